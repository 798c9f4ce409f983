//! What a pusher tells of its target, written at a pace the database can bear; pushing never waits for it.

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::domain::TargetId;
use crate::publishing::{self, Publishing, PushNote, Tenure};

/// Between two writes.
const PACE: Duration = Duration::from_secs(1);
/// Lines that may wait for a database that is away.
const LINES: usize = 50;

/// A state, and perhaps a line for the broadcast's log as (code, message).
#[derive(Debug)]
pub struct Said {
    pub note: PushNote,
    pub line: Option<(&'static str, String)>,
}

/// Where a pusher tells; the other end writes.
pub fn notes() -> (UnboundedSender<Said>, UnboundedReceiver<Said>) {
    unbounded_channel()
}

/// Writes what is told until nobody tells any more; of states only the last.
pub async fn write(
    publishing: &Publishing,
    place: (Tenure, TargetId),
    mut told: UnboundedReceiver<Said>,
    stop: &CancellationToken,
) {
    let mut lines = Vec::new();
    while let Some(said) = told.recv().await {
        let mut note = said.note;
        lines.extend(said.line);
        loop {
            while let Ok(said) = told.try_recv() {
                note = said.note;
                lines.extend(said.line);
            }
            lines.truncate(LINES);
            let written = publishing.note_push(place, &note, &lines).await;
            tokio::select! {
                () = sleep(PACE) => {}
                () = stop.cancelled() => {}
            }
            match written {
                Err(error) if error.is_unavailable() && !stop.is_cancelled() => {}
                // Another tenure has the channel: the note would be of the past.
                Ok(()) | Err(publishing::Error::ChannelLost) => break,
                Err(error) => {
                    tracing::warn!(broadcast = %place.0.id, %error, "how a target takes the stream was not noted");
                    break;
                }
            }
        }
        lines.clear();
    }
}
