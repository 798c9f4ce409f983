//! A video's news as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt};
use tokio::sync::broadcast::Receiver;
use tokio::time::Instant;

use super::auth::{Viewer, revoked};
use super::extract::{Path, Query};
use super::play::gate::Permit;
use super::video::look;
use super::{App, Error};
use crate::domain::VideoId;

/// Changes whose news got lost are found by looking this often.
const LOOK: Duration = Duration::from_secs(10);
/// Then the client connects again: no connection lives for ever, and its key is checked anew.
const LIFE: Duration = Duration::from_hours(1);

/// A video as an event tells it.
pub(super) struct Told {
    /// The JSON without tokens, which are made anew each time and make no difference.
    stamp: String,
    json: String,
}

impl Told {
    /// About what it takes in memory.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.stamp.len() + self.json.len()
    }
}

struct Watch {
    app: App,
    viewer: Viewer,
    token: Option<String>,
    id: VideoId,
    changes: Receiver<Option<VideoId>>,
    /// The stamp of the last event.
    told: Option<String>,
    until: Instant,
}

/// Follow a video's state and progress
///
/// `event: video` with the whole video at once, and again whenever it changes.
#[utoipa::path(get, path = "/api/v1/videos/{id}/events", operation_id = "stream_video_events", tag = "videos",
    security((), ("key" = [])),
    params(("id" = String, Path, format = Uuid), Permit),
    responses((status = 200, description = "A stream of events; it ends after an hour at the latest",
        content_type = "text/event-stream", body = String)))]
pub async fn events(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<VideoId>,
    Query(permit): Query<Permit>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Error> {
    let changes = app.publishing.changes.follow();
    let until = Instant::now() + LIFE;
    let watch = Watch { viewer, token: permit.token, id, changes, told: None, until, app: app.clone() };
    watch.look().await?;
    let revoked = async move {
        match viewer.0 {
            Some(caller) => revoked(&app, caller).await,
            None => std::future::pending().await,
        }
    };
    let events = futures::stream::unfold(watch, Watch::next).take_until(Box::pin(revoked));
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

impl Watch {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if self.told.is_some() {
                self.wait().await;
            }
            if Instant::now() >= self.until {
                return None;
            }
            match self.look().await {
                Ok(told) if self.told.as_ref() != Some(&told.stamp) => {
                    self.told = Some(told.stamp.clone());
                    return Some((Ok(Event::default().event("video").data(&told.json)), self));
                }
                Ok(_) => {}
                // The database may come back; a video that is gone does not.
                Err(error) if error.is_unavailable() => {
                    self.told.get_or_insert_default();
                }
                Err(_) => return None,
            }
        }
    }

    /// Until this video may have changed, or it is time to look.
    async fn wait(&mut self) {
        let look = tokio::time::sleep(LOOK);
        tokio::pin!(look);
        loop {
            tokio::select! {
                () = &mut look => return,
                change = self.changes.recv() => match change {
                    Ok(Some(id)) if id != self.id => {}
                    _ => return,
                },
            }
        }
    }

    /// The video as it stands; to all who came without a key or a token it is the same.
    async fn look(&self) -> Result<Arc<Told>, Error> {
        if self.viewer.0.is_some() || self.token.is_some() {
            return self.read().await;
        }
        Ok(self.app.recent.events.get(self.id, async || self.read().await).await?)
    }

    async fn read(&self) -> Result<Arc<Told>, Error> {
        let (_, video) = look(&self.app, self.viewer, self.token.as_deref(), self.id).await?;
        let json = serde_json::to_value(&video).map_err(|error| Error::Internal(Box::new(error)))?;
        Ok(Arc::new(Told { stamp: stamp(json.clone()), json: json.to_string() }))
    }
}

/// The JSON without tokens.
fn stamp(mut json: serde_json::Value) -> String {
    fn strip(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::String(text) => {
                if let Some((before, _)) = text.split_once("?token=") {
                    *text = before.to_owned();
                }
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(strip),
            serde_json::Value::Object(fields) => fields.values_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut json);
    json.to_string()
}
