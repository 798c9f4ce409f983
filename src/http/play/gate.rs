//! Who may play: everybody what is public, the bearer of a token what isn't.

use std::sync::Arc;

use axum::http::HeaderValue;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;

use super::super::{App, Error};
use crate::catalogue::video::{self, Video};
use crate::domain::VideoId;
use crate::domain::cdn::CacheTag;
use crate::domain::trim::Trim;
use crate::domain::video::VideoState;
use crate::publishing;
use crate::storage::SHOWN;

/// What changes: every cache asks again.
const FRESH: &str = "no-cache";
/// What not everybody may see: no cache keeps it.
const PRIVATE: &str = "private, no-store";

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
    #[param(value_type = Option<String>, format = "trim", pattern = "^[0-9]{1,12}-([0-9]{1,12})?$")]
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
    /// Everybody may play it.
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

    /// The token it needs.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Marks what caches may keep, so that they can drop it by video and by account.
    pub fn tagged(&self, mut response: Response) -> Response {
        if self.is_public() {
            let video = CacheTag::Video(self.video.id);
            let account = CacheTag::Account(self.video.account.clone());
            for (name, between) in [("cache-tag", ','), ("surrogate-key", ' ')] {
                if let Ok(tags) = HeaderValue::from_str(&format!("{video}{between}{account}")) {
                    response.headers_mut().insert(name, tags);
                }
            }
        }
        response
    }

    /// The cache rule of what never changes under its address, or of what does.
    pub fn cache_control(&self, immutable: bool) -> &'static str {
        match (immutable, self.is_public()) {
            (true, true) => SHOWN,
            (false, true) => FRESH,
            (_, false) => PRIVATE,
        }
    }
}

/// Lets in who may play this video now; to others a video that isn't public isn't there.
pub async fn enter(app: &App, id: VideoId, bearer: Bearer) -> Result<Pass, Error> {
    let video = app.recent.videos.get(id, async || find(app, id).await).await?;
    // For what is public a token changes nothing: caches would keep a copy for each.
    let token = bearer.token.filter(|_| video.state != VideoState::Published);
    match &token {
        Some(token) => app.tokens.check(&video, token)?,
        None if video.state != VideoState::Published => {
            return Err(publishing::Error::NotFound("video").into());
        }
        None => {}
    }
    Ok(Pass { video, token, trim: bearer.trim })
}

async fn find(app: &App, id: VideoId) -> Result<Arc<Video>, Error> {
    let found = video::find(app.read().await?.conn(), id).await?;
    Ok(found.map(Arc::new).ok_or(publishing::Error::NotFound("video"))?)
}
