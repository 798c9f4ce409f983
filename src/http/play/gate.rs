//! Who may play: everybody what is public, the bearer of a token what isn't.

use std::sync::Arc;

use serde::Deserialize;
use utoipa::IntoParams;

use super::super::{App, Error};
use crate::catalogue::video::{self, Video};
use crate::domain::VideoId;
use crate::domain::trim::Trim;
use crate::domain::video::VideoState;
use crate::publishing;

/// Playlists and media that change, or that not everybody may see.
const FRESH: &str = "no-cache";
const FRESH_PRIVATE: &str = "private, no-cache";
/// What never changes under its address.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
const IMMUTABLE_PRIVATE: &str = "private, max-age=31536000, immutable";

/// A permission for what isn't public.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
pub struct Permit {
    /// Needed for a video that isn't public; the addresses in an authorised answer carry it.
    pub token: Option<String>,
}

/// The permission carried from playlist to playlist, and what of the video they show.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
pub struct Bearer {
    /// Needed for a video that isn't public; the addresses in an authorised answer carry it.
    pub token: Option<String>,
    /// What is shown, in milliseconds: `1000-59000`. The addresses in a master playlist carry it.
    #[param(value_type = Option<String>, pattern = "^[0-9]{1,12}-([0-9]{1,12})?$")]
    pub trim: Option<Trim>,
}

/// A video that may be played, and how its addresses go on.
pub struct Pass {
    pub video: Arc<Video>,
    /// Goes to every address in a playlist.
    token: Option<String>,
    /// As the address says that is asked for.
    pub trim: Option<Trim>,
}

impl Pass {
    /// Nobody needs a token for it, and none was shown.
    pub fn is_public(&self) -> bool {
        self.token.is_none()
    }

    /// The address with the token it needs.
    pub fn with_token(&self, path: &str) -> String {
        format!("{path}{}", self.query())
    }

    /// The address of a playlist, with what it needs to show the same.
    pub fn below(&self, path: &str) -> String {
        let mark = if self.token.is_some() { '&' } else { '?' };
        match self.video.trim() {
            Some(trim) => format!("{}{mark}trim={trim}", self.with_token(path)),
            None => self.with_token(path),
        }
    }

    /// What addresses end with: nothing, or the token they need.
    pub fn query(&self) -> String {
        self.token.as_ref().map(|token| format!("?token={token}")).unwrap_or_default()
    }

    /// The cache rule of what never changes under its address, or of what does.
    pub fn cache_control(&self, immutable: bool) -> &'static str {
        match (immutable, self.is_public()) {
            (true, true) => IMMUTABLE,
            (true, false) => IMMUTABLE_PRIVATE,
            (false, true) => FRESH,
            (false, false) => FRESH_PRIVATE,
        }
    }
}

/// Lets in who may play this video now; to others a video that isn't public isn't there.
pub async fn enter(app: &App, id: VideoId, bearer: Bearer) -> Result<Pass, Error> {
    let video = app.recent.videos.get(id, async || find(app, id).await).await?;
    match &bearer.token {
        Some(token) if video.state != VideoState::Published => app.tokens.check(&video, token)?,
        None if video.state != VideoState::Published => {
            return Err(publishing::Error::NotFound("video").into());
        }
        _ => {}
    }
    // A token shown for a public video may be anything: it must not get into a playlist unread.
    let token =
        bearer.token.filter(|token| token.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)));
    Ok(Pass { video, token, trim: bearer.trim })
}

async fn find(app: &App, id: VideoId) -> Result<Arc<Video>, Error> {
    let found = video::find(app.read().await?.conn(), id).await?;
    Ok(found.map(Arc::new).ok_or(publishing::Error::NotFound("video"))?)
}
