//! Signed, expiring permissions to play what isn't public: JWT, HS256 (RFC 7519).

use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use super::super::Error;
use crate::catalogue::video::Video;
use crate::domain::secret::Keys;
use crate::domain::video::VideoState;
use crate::domain::{Clock, VideoId};

/// Issues and checks tokens; cheap to clone.
#[derive(Clone)]
pub struct Tokens {
    keys: Keys,
    ttl: Duration,
    clock: Clock,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    video: VideoId,
    /// Seconds since 1970.
    exp: i64,
    /// Given out when the video was withdrawn already: only its account gets these.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    withdrawn: bool,
    /// How often the video's links had been called back.
    #[serde(default)]
    preview: i64,
}

impl Tokens {
    pub(in crate::http) fn new(keys: Keys, ttl: Duration, clock: Clock) -> Self {
        Self { keys, ttl, clock }
    }

    /// A token for a video that isn't public, as it stands now; `None` for a public one, which needs none.
    pub fn issue(&self, video: &Video) -> Result<Option<String>, Error> {
        if video.state == VideoState::Published {
            return Ok(None);
        }
        let now = self.clock.now();
        let exp = now.plus(self.ttl).0 / 1000;
        let withdrawn = video.state == VideoState::Withdrawn;
        let claims = Claims { video: video.id, exp, withdrawn, preview: video.preview };
        let secret = EncodingKey::from_secret(&self.keys.signing(now));
        let token = encode(&Header::new(Algorithm::HS256), &claims, &secret);
        token.map(Some).map_err(|error| Error::Internal(Box::new(error)))
    }

    /// Refuses a token that does not let its bearer play this video now.
    pub fn check(&self, video: &Video, token: &str) -> Result<(), Error> {
        let mut rules = Validation::new(Algorithm::HS256);
        // The expiry is held against our own clock below.
        rules.validate_exp = false;
        rules.required_spec_claims.clear();
        let now = self.clock.now();
        let read = |secret: &[u8]| decode::<Claims>(token, &DecodingKey::from_secret(secret), &rules).ok();
        let claims = self.keys.find(now, read).ok_or(Error::TokenInvalid)?.claims;
        if claims.preview != video.preview {
            return Err(Error::TokenInvalid);
        }
        if claims.video != video.id || (video.state == VideoState::Withdrawn && !claims.withdrawn) {
            return Err(Error::TokenInvalid);
        }
        if claims.exp * 1000 <= now.0 { Err(Error::TokenExpired) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use sqlx::types::Json;

    use super::*;
    use crate::domain::media::MediaState;
    use crate::domain::secret::Keyring;
    use crate::domain::{AccountId, Language, Texts, Timestamp, TopicId};

    fn video(state: VideoState) -> Video {
        let now = Timestamp(0);
        Video {
            id: VideoId::new(),
            account_id: AccountId::new(),
            account: "agency".parse().expect("a handle"),
            topic_id: TopicId::new(),
            topic: "air".parse().expect("a slug"),
            title: Json(Texts::default()),
            description: Json(Texts::default()),
            language: Language::english(),
            state,
            published_at: None,
            withdrawn_reason: None,
            poster_alt: Json(Texts::default()),
            poster: None,
            poster_upload: None,
            poster_error: None,
            media_state: MediaState::Ready,
            error: None,
            revision: Some(1),
            upload_id: None,
            source_refused: None,
            trim_start_ms: 0,
            trim_end_ms: None,
            preview: 0,
            version: 1,
            created_at: now,
            updated_at: now,
        }
    }

    fn tokens(clock: &Clock) -> Tokens {
        let keys = Keys::new(Keyring::new("secret".to_owned(), Timestamp(0)));
        Tokens::new(keys, Duration::from_mins(1), clock.clone())
    }

    #[test]
    fn a_token_is_good_for_its_video_until_it_expires() {
        let clock = Clock::fixed(Timestamp(1_000_000));
        let (tokens, draft) = (tokens(&clock), video(VideoState::Draft));
        let token = tokens.issue(&draft).expect("signed").expect("a token");
        assert!(tokens.check(&draft, &token).is_ok());
        assert!(matches!(tokens.check(&video(VideoState::Draft), &token), Err(Error::TokenInvalid)));
        clock.advance(Duration::from_mins(1));
        assert!(matches!(tokens.check(&draft, &token), Err(Error::TokenExpired)));
    }

    proptest::proptest! {
        #[test]
        fn nothing_but_what_was_signed_is_a_token(text in "[-_.a-zA-Z0-9]{0,200}", at in 0..400_usize, byte in "[-_.a-zA-Z0-9]") {
            let clock = Clock::fixed(Timestamp(1_000_000));
            let (tokens, draft) = (tokens(&clock), video(VideoState::Draft));
            let token = tokens.issue(&draft).expect("signed").expect("a token");
            proptest::prop_assert!(tokens.check(&draft, &text).is_err());
            let at = at % token.len();
            let changed = format!("{}{byte}{}", &token[..at], &token[at + 1..]);
            proptest::prop_assert_eq!(tokens.check(&draft, &changed).is_ok(), changed == token);
            proptest::prop_assert!(tokens.check(&draft, &token[..at]).is_err());
        }
    }

    #[test]
    fn a_token_of_another_server_is_refused() {
        let clock = Clock::fixed(Timestamp(1_000_000));
        let draft = video(VideoState::Draft);
        let keys = Keys::new(Keyring::new("other".to_owned(), Timestamp(0)));
        let other = Tokens::new(keys, Duration::from_mins(1), clock.clone());
        let token = other.issue(&draft).expect("signed").expect("a token");
        assert!(matches!(tokens(&clock).check(&draft, &token), Err(Error::TokenInvalid)));
    }

    #[test]
    fn a_drafts_token_does_not_outlive_its_withdrawal() {
        let clock = Clock::fixed(Timestamp(1_000_000));
        let tokens = tokens(&clock);
        let mut shown = video(VideoState::Draft);
        let token = tokens.issue(&shown).expect("signed").expect("a token");
        shown.state = VideoState::Withdrawn;
        assert!(tokens.check(&shown, &token).is_err());
        let own = tokens.issue(&shown).expect("signed").expect("a token");
        assert!(tokens.check(&shown, &own).is_ok());
    }

    #[test]
    fn a_link_that_was_called_back_is_refused_and_the_next_one_is_good() {
        let clock = Clock::fixed(Timestamp(1_000_000));
        let tokens = tokens(&clock);
        let mut draft = video(VideoState::Draft);
        let token = tokens.issue(&draft).expect("signed").expect("a token");
        draft.preview += 1;
        assert!(matches!(tokens.check(&draft, &token), Err(Error::TokenInvalid)));
        let next = tokens.issue(&draft).expect("signed").expect("a token");
        assert!(tokens.check(&draft, &next).is_ok());
    }
}
