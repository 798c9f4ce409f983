//! One encoder's stream, from permission to its last frame: cut into parts, told to the channel, taped.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, OptionFuture};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::channel::Channel;
use super::cut::{self, Cutter, Event};
use super::encoder::{Encoder, Left, Way};
use super::frame::Media;
use super::gauges::Gauge;
use super::meter::Meter;
use super::push_on;
use super::recorder::{Keep, Tape};
use super::rungs;
use super::slate::{self, Slate};
use super::stand_in::StandIn;
use super::takeover::{Beginning, begin};
use super::window::{AUDIO, Closed, Form, Init, News, Part};
use super::{Live, listen, recorder};
use crate::domain::Timestamp;
use crate::domain::key::Secret;
use crate::domain::media::{Fraction, TICKS_PER_SECOND, Ticks};
use crate::media::playlist::target_duration;
use crate::publishing::{self, Ingest, Recorded, Tenure, one_connection};

/// How often the channel's lease is renewed while media comes.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// A renewal that takes longer is begun anew: its connection may be dead.
const PATIENCE: Duration = Duration::from_secs(5);
/// Sound is listed last.
const AUDIO_POSITION: u32 = 99;
/// No frame of sound is longer.
const TOGETHER: Ticks = TICKS_PER_SECOND / 5;
/// How long the last segments may wait to be told together with the end.
const LAST_WORD: Duration = Duration::from_millis(400);

/// The channel's lease being renewed.
type Keeping = BoxFuture<'static, Result<(), Left>>;

/// What a stream needs beside its encoder.
pub struct Session {
    live: Live,
    ingest: Ingest,
    /// What its encoder came with, and where it is counted; `None` where the slate is sent in place of one.
    guest: Option<(Secret, Gauge)>,
    channel: Arc<Channel>,
    tape: Tape,
    cutter: Cutter,
    meter: Meter,
    stand_in: StandIn,
    /// What goes on to further targets.
    feed: push_on::Feed,
    rungs: rungs::Feed,
    /// The name of the rung with the source's own pictures.
    source: Option<String>,
    /// Wall clock and timeline of the first picture of this tenure.
    origin: Option<(Timestamp, Ticks)>,
    target: Option<u32>,
    /// When media last came.
    heard: Instant,
}

/// Serves an encoder that holds a broadcast's key until it goes or is shown out. One that falls silent and keeps its
/// connection interrupts the broadcast, and goes on as one that comes back does.
pub async fn serve(live: Live, encoder: Encoder, (ingest, key): (Ingest, Secret), stop: &CancellationToken) {
    let mut next = Some((encoder, ingest));
    while let Some((encoder, ingest)) = next {
        let silent = Box::pin(serve_once(&live, encoder, (ingest.clone(), key.clone()), stop)).await;
        let Some(encoder) = silent else { return };
        next = match encoder.wait(stop).await {
            Ok(encoder) => come_back(&live, encoder, &key).await,
            Err(left) => {
                tracing::info!(broadcast = %ingest.tenure.id, code = left.told().0, "a silent encoder went");
                None
            }
        };
    }
}

/// Takes the channel again for an encoder that was silent, or tells it why not.
async fn come_back(live: &Live, encoder: Encoder, key: &Secret) -> Option<(Encoder, Ingest)> {
    let (node, lease) = (live.settings.node.as_str(), live.settings.lease);
    match live.publishing.begin_ingest(key, node, lease).await {
        Ok(ingest) => Some((encoder, ingest)),
        Err(error) => {
            tracing::info!(%error, "an encoder that was silent can't go on");
            encoder.refuse(listen::sentence(&error)).await;
            None
        }
    }
}

/// Serves one tenure. Gives the encoder back where it is silent and still there.
async fn serve_once(
    live: &Live,
    encoder: Encoder,
    (ingest, key): (Ingest, Secret),
    stop: &CancellationToken,
) -> Option<Encoder> {
    let recorded = match live.publishing.find_recorded(ingest.recording()).await {
        Ok(recorded) => recorded,
        Err(error) => {
            tracing::warn!(broadcast = %ingest.tenure.id, %error, "the recording can't be gone on with");
            encoder.refuse("The database can't be reached now. Please try again.").await;
            return None;
        }
    };
    let (tape, reader) = recorder::tape();
    let (mut session, lower) = Session::open(live.clone(), (ingest.clone(), Some(key)), &recorded, tape);
    let (pushes, over) = (TaskTracker::new(), CancellationToken::new());
    pushes.spawn(push_on::run(live.clone(), ingest.clone(), session.feed.clone(), over.clone()));
    let recording = reader.run(&live.publishing, &ingest);
    let (mut leaving, video, mut silent) = (None, ingest.video.id, None);
    let (left, recorded, ()) = tokio::join!(
        one_connection(async {
            let (left, encoder) = session.run(encoder, stop).await;
            silent = encoder;
            leaving = Some(live.leave(video));
            over.cancel();
            if matches!(left, Left::Over) {
                session.hold();
            }
            session.close();
            // Dropping it ends the lower rungs and the tape, and with it the recorder.
            drop(session);
            left
        }),
        one_connection(recording),
        one_connection(lower.run())
    );
    if let Err(error) = recorded {
        tracing::warn!(broadcast = %ingest.tenure.id, %error, "the recording ended early");
    }
    leave(live, &ingest, left).await;
    drop(leaving);
    live.tasks.spawn(slate::show(live.clone(), ingest));
    // Only now: a target that hangs must not keep the encoder from coming back.
    pushes.close();
    if silent.is_none() {
        pushes.wait().await;
    }
    silent
}

/// Sends the slate in place of an encoder, from where the recording is, until one is back or nobody waits for it.
pub(super) async fn serve_slate(live: &Live, ingest: &Ingest, (slate, recorded): (Slate, Recorded)) {
    let (tape, reader) = recorder::tape();
    let (mut session, lower) = Session::open(live.clone(), (ingest.clone(), None), &recorded, tape);
    let sent = async {
        session.run(Encoder::of(Way::Slate(Box::new(slate))), &live.stop).await;
        session.close();
        drop(session);
    };
    // What is not kept then was never to be.
    let recording = reader.run(&live.publishing, ingest);
    let _ = tokio::join!(one_connection(sent), one_connection(recording), one_connection(lower.run()));
    live.settle(ingest.video.id).await;
}

/// Says how it ended; the database may be away for a moment.
async fn leave(live: &Live, ingest: &Ingest, left: Left) {
    let told = left.told();
    tracing::info!(broadcast = %ingest.tenure.id, code = told.0, "{}", told.1);
    for _ in 0..30 {
        match live.publishing.leave_ingest(ingest, (told.0, &told.1)).await {
            Err(error) if error.is_unavailable() => tokio::time::sleep(HEARTBEAT).await,
            // Another tenure has the channel, and will say how that one ends.
            Ok(()) | Err(publishing::Error::ChannelLost) => break,
            Err(error) => {
                tracing::error!(broadcast = %ingest.tenure.id, %error, "the end of a stream could not be told");
                break;
            }
        }
    }
    live.settle(ingest.video.id).await;
}

/// What becomes of a stream whose channel is to be kept. It goes on without the database for as long as the tape holds.
async fn kept(tenure: Tenure, keep: impl Future<Output = Result<(), publishing::Error>>) -> Result<(), Left> {
    let error = match timeout(PATIENCE, keep).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(publishing::Error::StreamKey)) => return Err(Left::Revoked),
        Ok(Err(publishing::Error::BroadcastOver)) => return Err(Left::Over),
        Ok(Err(publishing::Error::ChannelLost)) => return Err(Left::TakenOver),
        Ok(Err(error)) => error.to_string(),
        Err(late) => late.to_string(),
    };
    tracing::warn!(broadcast = %tenure.id, error, "the channel could not be renewed");
    Ok(())
}

impl Drop for Session {
    fn drop(&mut self) {
        self.live.forget_sending(self.ingest.tenure);
    }
}

impl Session {
    fn open(
        live: Live,
        (ingest, key): (Ingest, Option<Secret>),
        recorded: &Recorded,
        tape: Tape,
    ) -> (Self, rungs::Runner) {
        let Beginning { channel, from, owed } = begin(&live, &ingest, (recorded, &tape));
        let source = recorded.rungs.iter().find(|rung| !rung.audio && rung.position == 0);
        let lengths =
            recorded.packs.iter().flat_map(|pack| pack.segments.iter().map(|segment| segment.duration));
        let longest = lengths.max();
        let mut cutter = match from.segment {
            0 => Cutter::new(live.settings.cut),
            _ => Cutter::resume(live.settings.cut, from),
        };
        for (segment, start) in owed {
            cutter.owe_sound(segment, start);
        }
        // What players were told here, or what the recording has kept: a promise never changes.
        let target = longest.map(|longest| target_duration([longest]).max(channel.target_seconds()));
        if let Some(target) = target {
            cutter.keep_target(target);
            channel.tell(News::Target { seconds: target }, Bytes::new());
        }
        let source = source.map(|rung| rung.name.clone());
        let guest = key.map(|key| (key, live.gauges.begin()));
        let (rungs, lower) = rungs::open(rungs::Base {
            live: live.clone(),
            ingest: ingest.clone(),
            channel: channel.clone(),
            tape: tape.clone(),
        });
        let session = Self {
            live,
            ingest,
            guest,
            channel,
            tape,
            cutter,
            meter: Meter::new(),
            stand_in: StandIn::new(),
            feed: push_on::Feed::default(),
            rungs,
            source,
            origin: None,
            target,
            heard: Instant::now(),
        };
        (session, lower)
    }

    /// Takes what the encoder sends until it goes, or is to go. One that is silent is given back.
    async fn run(&mut self, mut encoder: Encoder, stop: &CancellationToken) -> (Left, Option<Encoder>) {
        let mut changes = self.live.publishing.changes.follow();
        let mut beat = interval(HEARTBEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut due, mut keeping): (bool, Option<Keeping>) = (false, None);
        let left = loop {
            if self.tape.pending() > self.live.settings.buffer_bytes {
                break Left::Full(self.live.settings.buffer_bytes);
            }
            if due && keeping.is_none() {
                (due, keeping) = (false, self.keep());
            }
            tokio::select! {
                media = encoder.next() => match media {
                    Ok(Some(media)) => if let Err(error) = self.take(media) {
                        break Left::Unfit(error.to_string());
                    },
                    Ok(None) => return (Left::Unpublished, None),
                    Err(left) => return (left, None),
                },
                _ = beat.tick() => {
                    due = true;
                    self.live.note_sending(self.ingest.tenure, self.heard);
                    // Before others take the node for lost, which can't renew what no media comes for.
                    let silent = self.heard.elapsed();
                    if self.guest.is_some() && silent >= self.live.settings.lease {
                        return (Left::Silent(silent), Some(encoder));
                    }
                }
                change = changes.recv() => due |= match change {
                    Ok(id) => id.is_none_or(|id| id == self.ingest.video.id),
                    Err(RecvError::Lagged(_)) => true,
                    Err(RecvError::Closed) => false,
                },
                Some(kept) = OptionFuture::from(keeping.as_mut()) => {
                    keeping = None;
                    if let Err(left) = kept {
                        break left;
                    }
                },
                () = stop.cancelled() => break Left::Stopping,
            }
        };
        (encoder.show_out(left).await, None)
    }

    /// Renews the lease where media has come since; an encoder that is silent keeps nothing. No media waits for it.
    fn keep(&mut self) -> Option<Keeping> {
        if self.heard.elapsed() > HEARTBEAT * 2 {
            return None;
        }
        let (publishing, tenure) = (self.live.publishing.clone(), self.ingest.tenure);
        let next = self.cutter.position().segment;
        let viewers = self.channel.audience.count(self.channel.target());
        let Some((key, gauge)) = &self.guest else {
            let keep = async move { publishing.keep_slate(tenure, (viewers, next)).await };
            return Some(Box::pin(kept(tenure, keep)));
        };
        let health = self.meter.read(Instant::now());
        gauge.set(&health, viewers);
        let (key, lease) = (key.clone(), self.live.settings.lease);
        Some(Box::pin(kept(tenure, async move {
            publishing.keep_ingest((&key, tenure), lease, (&health, viewers, next)).await
        })))
    }

    fn take(&mut self, media: Media) -> Result<(), cut::Error> {
        self.heard = Instant::now();
        self.meter.count(&media, self.heard);
        if let Media::LeftOut(track) = media {
            self.log("track_left_out", format!("{track} is left out; one picture and one sound are taken"));
            return Ok(());
        }
        self.feed.offer(&media);
        if self.guest.is_some() {
            for picture in self.stand_in.before(&media, (&self.live, self.ingest.tenure.id)) {
                self.cutter.push(picture)?;
            }
        }
        let taken = self.cutter.push(media);
        self.meter.set_dropped(self.cutter.damaged());
        self.tell_all();
        taken
    }

    /// The people of the broadcast read of it; the stream does not wait for that.
    fn log(&self, code: &'static str, message: String) {
        tracing::info!(broadcast = %self.ingest.tenure.id, code, "{message}");
        let (publishing, tenure) = (self.live.publishing.clone(), self.ingest.tenure);
        self.live.tasks.spawn(async move {
            if let Err(error) = publishing.log_ingest(tenure, code, &message).await {
                tracing::debug!(broadcast = %tenure.id, %error, code, "could not be logged");
            }
        });
    }

    fn tell_all(&mut self) {
        while let Some(event) = self.cutter.poll() {
            self.rungs.see(&event);
            self.tell(event);
        }
    }

    /// Viewers hear of the last segments and of the end at once, unless the end takes long: each has a second buffered.
    fn hold(&self) {
        let channel = self.channel.clone();
        channel.hold();
        self.live.tasks.spawn(async move {
            tokio::time::sleep(LAST_WORD).await;
            channel.release();
        });
    }

    /// The last segments end with the stream.
    fn close(&mut self) {
        if let Err(error) = self.cutter.finish() {
            tracing::warn!(broadcast = %self.ingest.tenure.id, %error, "the end could not be cut");
        }
        self.tell_all();
    }

    fn tell(&mut self, event: Event) {
        match event {
            Event::Init(init) => self.tell_init(init),
            Event::Begin(_) | Event::Picture(_) => {}
            Event::Part(part) => {
                let Some(rung) = self.rung(part.track) else { return };
                let begins = part.part == 0;
                let shown_at = begins.then(|| self.shown_at(part.segment, (part.start, part.duration)));
                let told = Part { shown_at, ..Part::from(&part) };
                let news = News::Part { rung, segment: part.segment, part: told };
                self.tell_news(news, part.bytes);
            }
            Event::End(end) => self.tell_end(&end),
        }
    }

    fn tell_news(&self, news: News, bytes: Bytes) {
        self.channel.tell_of(self.ingest.epoch(), news, bytes);
    }

    fn rung(&self, track: cut::Track) -> Option<String> {
        match track {
            cut::Track::Video => self.source.clone(),
            cut::Track::Audio => Some(AUDIO.to_owned()),
        }
    }

    fn tell_init(&mut self, init: cut::Init) {
        let (rung, position, form) = match init.shape {
            cut::Shape::Video { width, height, frame_rate } => {
                if !self.stand_in.is_shown() {
                    self.meter.describe(&init.codecs, (width, height));
                }
                let name = self.source.get_or_insert_with(|| format!("{}p", width.min(height))).clone();
                let frame_rate = frame_rate.unwrap_or(Fraction { num: 0, den: 1 });
                (name, 0, Form::Video { width, height, frame_rate })
            }
            cut::Shape::Audio { channels, .. } => {
                self.meter.describe_sound(&init.codecs);
                (AUDIO.to_owned(), AUDIO_POSITION, Form::Audio { channels })
            }
        };
        let about = Init { rung, position, number: init.number, codecs: init.codecs, form };
        self.tape.keep(Keep::Init(about.clone(), init.bytes.clone()));
        self.tell_news(News::Init(about), init.bytes);
    }

    fn tell_end(&mut self, end: &cut::End) {
        let Some(rung) = self.rung(end.track) else { return };
        let closed = Closed {
            number: end.number,
            epoch: self.ingest.epoch(),
            segment: end.segment,
            init: end.init,
            discontinuity: end.discontinuity,
            shown_at: self.shown_at(end.number, (end.segment.start, end.segment.duration)),
            gap: false,
        };
        self.promise();
        let Some(bytes) = self.channel.segment(&rung, end.number) else { return };
        self.tell_news(News::Closed { rung: rung.clone(), closed: closed.clone() }, Bytes::new());
        let next = (end.track == cut::Track::Video)
            .then_some((end.number + 1, end.segment.start + end.segment.duration));
        self.tape.keep(Keep::Segment { rung, closed, bytes, next });
    }

    /// When the picture at this time of the timeline was taken: the first part was taken just now.
    fn shown_at(&mut self, number: u32, (start, duration): (Ticks, Ticks)) -> Timestamp {
        // Pictures and sound that begin a segment together say the same.
        let known = self.source.as_ref().and_then(|rung| {
            let begun = self.channel.look(|window| window.track(rung)?.begun(number));
            begun.filter(|(begin, _)| (begin - start).abs() < TOGETHER).map(|(_, shown_at)| shown_at)
        });
        if let Some(known) = known {
            return known;
        }
        let now = self.live.publishing.clock.now();
        let (at, origin) =
            *self.origin.get_or_insert((Timestamp(now.0 - duration * 1000 / TICKS_PER_SECOND), start));
        Timestamp(at.0 + (start - origin) * 1000 / TICKS_PER_SECOND)
    }

    /// Players hear how long segments may be before the first one, once for all (RFC 8216bis 6.2.1).
    fn promise(&mut self) {
        if let Some(seconds) = self.cutter.target().filter(|_| self.target.is_none()) {
            self.tell_news(News::Target { seconds }, Bytes::new());
            self.target = Some(seconds);
        }
    }
}
