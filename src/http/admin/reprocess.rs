//! Processing again by selection, with the same dry run as the command.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::auth::Operator;
use super::super::extract::Json;
use super::super::{App, Error};
use crate::catalogue::revision::Selection as Selected;
use crate::domain::account::Handle;
use crate::domain::media::MediaState;
use crate::domain::topic::Slug;
use crate::domain::{Timestamp, VideoId};
use crate::publishing::{Estimate, Reprocess};

/// Which videos; all that is said must hold.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReprocessSelection)]
pub struct Selection {
    #[schema(value_type = Option<String>, format = Uuid)]
    video: Option<VideoId>,
    account: Option<Handle>,
    /// This topic and all below it.
    topic: Option<Slug>,
    state: Option<MediaState>,
    /// Made with rules older than these.
    ladder_before: Option<u32>,
    /// Made since then.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Every video: needed where nothing else is said.
    #[serde(default)]
    all: bool,
    /// Only what is degraded or failed, and of that only the missing.
    #[serde(default)]
    missing_only: bool,
    /// Say what it would cost, and do nothing.
    #[serde(default)]
    dry_run: bool,
}

/// What it would cost, or what was begun.
#[derive(Debug, Serialize, ToSchema)]
pub struct Reprocessing {
    /// Of a dry run.
    estimate: Option<Estimate>,
    begun: Option<Reprocess>,
}

impl Selection {
    fn selected(self) -> Result<Selected, Error> {
        let selection = Selected {
            video: self.video,
            account: self.account,
            topic: self.topic,
            state: self.state,
            ladder_before: self.ladder_before,
            since: self.since,
            missing_only: self.missing_only,
        };
        let narrowed = selection.video.is_some()
            || selection.account.is_some()
            || selection.topic.is_some()
            || selection.state.is_some()
            || selection.ladder_before.is_some()
            || selection.since.is_some();
        // One careless request must not reprocess a million videos.
        if narrowed || self.all || self.missing_only {
            Ok(selection)
        } else {
            Err(Error::Missing("selection"))
        }
    }
}

/// Process videos again
///
/// Takes an operator's key. Interrupted, the same request goes on where it stopped.
#[utoipa::path(post, path = "/api/v1/admin/reprocess", operation_id = "reprocess_videos", tag = "admin",
    request_body = Selection,
    security(("key" = [])), responses((status = 200, description = "What it would cost, or what was begun",
    body = Reprocessing)))]
pub async fn reprocess(
    State(app): State<App>,
    _: Operator,
    Json(selection): Json<Selection>,
) -> Result<Json<Reprocessing>, Error> {
    let dry_run = selection.dry_run;
    let selection = selection.selected()?;
    Ok(Json(if dry_run {
        Reprocessing { estimate: Some(app.publishing.estimate(&selection, |_| ()).await?), begun: None }
    } else {
        Reprocessing { estimate: None, begun: Some(app.publishing.reprocess(&selection).await?) }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_selects_nothing_must_say_all() {
        let selected = |json: &str| serde_json::from_str::<Selection>(json).expect("a selection").selected();
        assert!(selected(r#"{"dry_run": true}"#).is_err());
        assert!(selected(r#"{"all": true}"#).is_ok());
        assert!(selected(r#"{"state": "failed"}"#).is_ok());
    }
}
