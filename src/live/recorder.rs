//! The recording: what is closed goes to the bucket as it closes, then its row, fenced by the tenure.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::window::{Closed, Form, Init};
use crate::domain::media::Ticks;
use crate::publishing::{self, Ingest, LiveForm, LiveRung, NewPack, Publishing, Seam};
use crate::storage::Key;

/// How long to wait before a bucket or database that is away is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Something to be kept.
#[derive(Debug)]
pub enum Keep {
    Init(Init, Bytes),
    Segment { rung: String, closed: Closed, bytes: Bytes, next: Option<(u32, Ticks)> },
}

impl Keep {
    fn size(&self) -> u64 {
        match self {
            Self::Init(_, bytes) | Self::Segment { bytes, .. } => bytes.len() as u64,
        }
    }
}

/// Where an ingest hands in what is closed; never waits.
#[derive(Debug, Clone)]
pub struct Tape {
    queue: mpsc::UnboundedSender<Keep>,
    pending: Arc<Pending>,
}

/// Bytes that are not in the bucket yet, here and in the metrics.
#[derive(Debug, Default)]
struct Pending(AtomicU64);

impl Pending {
    const METRIC: &str = "policast_live_recording_pending_bytes";

    fn add(&self, size_bytes: u64) {
        self.0.fetch_add(size_bytes, Ordering::Relaxed);
        metrics::gauge!(Self::METRIC).increment(exact(size_bytes));
    }

    fn remove(&self, size_bytes: u64) {
        self.0.fetch_sub(size_bytes, Ordering::Relaxed);
        metrics::gauge!(Self::METRIC).decrement(exact(size_bytes));
    }
}

/// What nobody records any more waits no more.
impl Drop for Pending {
    fn drop(&mut self) {
        metrics::gauge!(Self::METRIC).decrement(exact(*self.0.get_mut()));
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact below 8 PiB")]
fn exact(size_bytes: u64) -> f64 {
    size_bytes as f64
}

impl Tape {
    /// Hands something in.
    pub fn keep(&self, keep: Keep) {
        self.pending.add(keep.size());
        // The recorder ends before us only where the channel is lost: then nothing may be kept.
        let _ = self.queue.send(keep);
    }

    /// Bytes that wait for the bucket.
    pub fn pending(&self) -> u64 {
        self.pending.0.load(Ordering::Relaxed)
    }
}

/// The other end of a tape.
pub struct Recorder {
    queue: mpsc::UnboundedReceiver<Keep>,
    pending: Arc<Pending>,
}

/// A tape and what reads it.
pub fn tape() -> (Tape, Recorder) {
    let (sender, queue) = mpsc::unbounded_channel();
    let pending = Arc::<Pending>::default();
    (Tape { queue: sender, pending: pending.clone() }, Recorder { queue, pending })
}

impl Recorder {
    /// Keeps what comes, in order, until the tape ends; an error where the channel is lost.
    pub async fn run(mut self, publishing: &Publishing, ingest: &Ingest) -> Result<(), publishing::Error> {
        while let Some(keep) = self.queue.recv().await {
            loop {
                match put(publishing, ingest, &keep).await {
                    Ok(()) => break,
                    Err(error @ publishing::Error::ChannelLost) => return Err(error),
                    Err(error) => {
                        tracing::warn!(broadcast = %ingest.tenure.id, %error, "the recording waits");
                        tokio::time::sleep(AGAIN).await;
                    }
                }
            }
            self.pending.remove(keep.size());
        }
        Ok(())
    }
}

/// The bytes first, then the row.
async fn put(publishing: &Publishing, ingest: &Ingest, keep: &Keep) -> Result<(), publishing::Error> {
    let (id, tenure) = (ingest.recording(), ingest.tenure);
    match keep {
        Keep::Init(init, bytes) => {
            let key = Key::init_of(publishing.folder(id).await?, &init.rung, init.number);
            publishing.storage.put(&key, bytes.clone()).await?;
            let form = match init.form {
                Form::Video { width, height, frame_rate } => LiveForm::Video { width, height, frame_rate },
                Form::Audio { channels } => LiveForm::Audio { channels },
            };
            let (name, codecs) = (init.rung.clone(), init.codecs.clone());
            let rung = LiveRung { name, position: init.position, codecs, form };
            publishing.add_live_rung(tenure, id, &rung).await
        }
        Keep::Segment { rung, closed, bytes, next } => {
            let folder = publishing.folder(id).await?;
            let key = Key::pack(folder, rung, closed.number, closed.epoch);
            publishing.storage.put(&key, bytes.clone()).await?;
            let pack = NewPack {
                rung: rung.clone(),
                first_segment: closed.number,
                size_bytes: bytes.len() as u64,
                segments: vec![closed.segment],
                nonce: folder.nonce,
            };
            let Closed { epoch, init, discontinuity, shown_at, .. } = *closed;
            let seam = Seam { epoch, init, discontinuity, shown_at };
            publishing.add_live_pack(tenure, id, (pack, seam), *next).await
        }
    }
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;
    use crate::live::window::News;
    use crate::live::window::tests::init;

    #[test]
    fn what_is_never_recorded_does_not_stay_in_the_metrics() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let page = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            let (tape, reader) = tape();
            let News::Init(about) = init("720p", 0) else { panic!("no initialisation segment") };
            tape.keep(Keep::Init(about, Bytes::from_static(b"1234")));
            assert!(page.render().contains("policast_live_recording_pending_bytes 4"), "{}", page.render());
            drop((tape, reader));
            assert!(page.render().contains("policast_live_recording_pending_bytes 0"), "{}", page.render());
        });
    }
}
