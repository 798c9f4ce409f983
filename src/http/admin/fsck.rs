//! Holding rows against objects, and going back to an earlier revision.

use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::ToSchema;

use super::super::auth::{Operator, Viewer};
use super::super::extract::{Json, MaybeJson, Path};
use super::super::video::{Video, look};
use super::super::{App, Error};
use crate::domain::VideoId;
use crate::publishing::{Checked, Finding, Fsck, PARALLEL, PENDING, Pace, Publishing};

/// Objects younger than this may belong to work under way, in seconds.
const GRACE_SECS: u64 = 3600;
/// A space is sent this often while nothing is found, so that nobody on the way takes the silence for the end.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// What is to be checked.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = FsckRequest)]
pub struct Check {
    /// Also read every source and compare its digest.
    rehash: bool,
    /// Mend what can be mended.
    repair: bool,
    /// Leave objects alone that are younger; an hour where it is left out.
    #[schema(minimum = 0, maximum = 31_536_000)]
    grace_seconds: Option<u64>,
    /// Go on where a check with the same `rehash` and `repair` was interrupted.
    resume: bool,
    /// Spans of a hundred videos that are compared at a time; 4 where it is left out.
    #[schema(minimum = 1, maximum = 32)]
    parallel: Option<u8>,
}

/// What was found. Sent as it is found; where the check breaks off, so does the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FsckFindings)]
pub struct Findings {
    findings: Vec<Finding>,
    checked: Checked,
}

type Chunks = mpsc::Sender<Result<Bytes, io::Error>>;

/// Hold rows against objects
///
/// Takes an operator's key. Findings are sent as they are found.
#[utoipa::path(post, path = "/api/v1/admin/fsck", operation_id = "run_fsck", tag = "admin",
    security(("key" = [])),
    request_body(content = Option<Check>), responses((status = 200, description = "What was found",
    body = Findings)))]
pub async fn fsck(
    State(app): State<App>,
    _: Operator,
    MaybeJson(check): MaybeJson<Check>,
) -> Result<Response, Error> {
    let parallel = usize::from(check.parallel.unwrap_or(0));
    if check.parallel.is_some() && !(1..=32).contains(&parallel) {
        return Err(Error::Invalid {
            field: "parallel",
            message: format!("{parallel} is not between 1 and 32"),
        });
    }
    let parallel = if parallel == 0 { PARALLEL } else { parallel };
    let pace = Pace { resume: check.resume, parallel };
    let grace = Duration::from_secs(check.grace_seconds.unwrap_or(GRACE_SECS));
    let check = Fsck { rehash: check.rehash, repair: check.repair, grace };
    // What is out of reach now is told by a status.
    app.publishing.storage.check().await.map_err(crate::publishing::Error::from)?;
    let (chunks, body) = mpsc::channel(PENDING);
    let publishing = app.publishing.clone();
    app.tasks.spawn(async move { write_findings(&publishing, (check, pace), chunks).await });
    let json = [(header::CONTENT_TYPE, "application/json")];
    Ok((json, Body::from_stream(ReceiverStream::new(body))).into_response())
}

/// Writes one JSON document, piece by piece. Nobody waits for it any more: the check stops, and may be gone on with.
async fn write_findings(publishing: &Publishing, (check, pace): (Fsck, Pace), chunks: Chunks) {
    let (found, findings) = mpsc::channel(PENDING);
    let checking = async move { publishing.check_into(&check, pace, &found).await };
    let (checked, ()) = tokio::join!(checking, pass_on(findings, &chunks));
    let end = match checked {
        Ok(checked) => {
            let checked = serde_json::to_string(&checked).unwrap_or_default();
            Ok(Bytes::from(format!("],\"checked\":{checked}}}")))
        }
        Err(error) => {
            tracing::warn!(%error, "fsck broke off");
            Err(io::Error::other("fsck broke off"))
        }
    };
    // Nobody may be left to hear it.
    let _ = chunks.send(end).await;
}

async fn pass_on(mut findings: mpsc::Receiver<Finding>, chunks: &Chunks) {
    let mut next = Bytes::from_static(b"{\"findings\":[");
    let mut between = "";
    while chunks.send(Ok(next)).await.is_ok() {
        next = match timeout(SIGN_OF_LIFE, findings.recv()).await {
            Err(_) => Bytes::from_static(b" "),
            Ok(None) => return,
            Ok(Some(finding)) => {
                let json = serde_json::to_string(&finding).unwrap_or_default();
                Bytes::from(format!("{}{json}", std::mem::replace(&mut between, ",")))
            }
        };
    }
}
/// Where to go back to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RollbackRequest)]
pub struct Back {
    #[schema(minimum = 1, maximum = 2_147_483_647)]
    revision: u32,
}

/// Play an earlier revision again
///
/// Takes an operator's key. The revision must still be stored.
#[utoipa::path(post, path = "/api/v1/admin/videos/{id}/rollback", operation_id = "roll_back_video",
    tag = "admin", security(("key" = [])),
    request_body = Back, params(("id" = String, Path, format = Uuid)), responses((status = 200,
    description = "The video as it is now", body = Video)))]
pub async fn roll_back(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(id): Path<VideoId>,
    Json(back): Json<Back>,
) -> Result<Json<Video>, Error> {
    app.publishing.roll_back(id, back.revision).await?;
    Ok(Json(look(&app, Viewer(Some(caller)), None, id).await?.1))
}
