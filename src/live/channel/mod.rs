//! A broadcast's running state on one node: the window, the bytes at its edge, and everybody who waits for more.

mod state;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use self::state::State;
use super::audience::Audience;
use super::cut::key_bytes;
use super::playlist::{self, MasterView, View};
use super::window::{Closed, Init, Kept, Listed, News, Track, Window};
use crate::domain::VideoId;

/// A reload may ask for a part this many segments ahead at most (RFC 8216bis 6.2.5.2).
const AHEAD: u32 = 2;

/// Where in a rung: the segment, and within it the part; no part: all of the segment.
pub type Place = (u32, Option<u32>);

/// Where a rung's edge is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Edge {
    /// The open segment, and the parts it has.
    open: u32,
    parts: u32,
    /// The parts that the segment before it has.
    before: u32,
}

impl Edge {
    /// A rung that goes on with this segment.
    fn at(open: u32) -> Self {
        Self { open, parts: 0, before: 0 }
    }

    /// The edge has reached the place. A part beyond the last of its segment is the first of the next (RFC 8216bis 6.2.5.2).
    fn has(self, (segment, part): Place) -> bool {
        let Self { open, parts, before } = self;
        match part {
            Some(part) if open == segment => parts > part,
            Some(part) if open == segment.saturating_add(1) => before > part || parts > 0,
            None | Some(_) => open > segment,
        }
    }

    /// The place is there, or never will be.
    fn is_past(self, (segment, part): Place) -> bool {
        self.open > segment || self.open == segment && part.is_some_and(|part| self.parts > part)
    }
}

/// A piece of news and its bytes.
pub type Told = (News, Bytes);

/// A channel as of one moment, and every event after it.
pub struct Subscription {
    pub epoch: u32,
    /// The news that leads to what the channel is at that moment.
    pub snapshot: Vec<Told>,
    pub events: broadcast::Receiver<Told>,
}

/// What a channel belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    pub video: VideoId,
    pub revision: u32,
}

/// A segment that a tenure told of and did not keep.
#[derive(Debug)]
pub struct Salvaged {
    pub init: Init,
    pub init_bytes: Bytes,
    pub closed: Closed,
    pub bytes: Bytes,
}

/// Why a reload was not answered with a playlist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    NoRung,
    /// It asks for what no live playlist will have soon.
    TooFarAhead,
    /// Nothing came for three target durations.
    Stalled,
}

/// A running broadcast; shared by its ingest and its viewers.
pub struct Channel {
    pub about: About,
    state: RwLock<State>,
    pub audience: Audience,
    /// Something can be played.
    playable: watch::Sender<bool>,
    /// Another node's news is being told here.
    followed: AtomicBool,
    /// When somebody last asked for something.
    asked: Mutex<Instant>,
    rendered: Mutex<HashMap<String, (Edge, Bytes)>>,
}

impl Channel {
    /// Goes on from this window.
    pub fn new(about: About, window: Window, target: u32) -> Arc<Self> {
        Arc::new(Self {
            about,
            state: RwLock::new(State::new(window, target)),
            audience: Audience::default(),
            playable: watch::Sender::new(false),
            followed: AtomicBool::new(false),
            asked: Mutex::new(Instant::now()),
            rendered: Mutex::new(HashMap::new()),
        })
    }

    /// Takes a piece of news with its bytes, and wakes whoever waited for it.
    pub fn tell(&self, news: News, bytes: Bytes) {
        self.tell_where(|_| true, news, bytes);
    }

    /// The same from one tenure, which nobody hears any more once a later one has begun.
    pub fn tell_of(&self, epoch: u32, news: News, bytes: Bytes) {
        self.tell_where(|window| window.epoch == epoch, news, bytes);
    }

    fn tell_where(&self, counts: impl FnOnce(&Window) -> bool, news: News, bytes: Bytes) {
        let mut state = self.write();
        if !counts(&state.window) {
            return;
        }
        state.window.apply(&news);
        state.keep(&news, bytes.clone());
        state.wake(&news);
        if matches!(news, News::Tenure { .. }) {
            lock(&self.rendered).clear();
        }
        let playable = state.window.is_playable();
        self.playable.send_if_modified(|known| std::mem::replace(known, playable) != playable);
        // Under the lock, so that events come in the order of their changes. Nobody subscribing is no fault.
        let _ = state.events.send((news, bytes));
    }

    /// What comes now is told with the end, or once [`Self::release`] is called: whoever waits is answered once.
    pub fn hold(&self) {
        self.write().held = true;
    }

    /// Tells what was held back.
    pub fn release(&self) {
        let mut state = self.write();
        state.held = false;
        if !state.window.over {
            state.move_edges();
        }
    }

    /// Becomes what another channel is, which nobody waits at; whoever waits here goes on with it.
    pub fn adopt(&self, other: &Self) {
        let mut theirs = other.write();
        let mut state = self.write();
        state.replace_by(&mut theirs);
        lock(&self.rendered).clear();
        self.playable.send_replace(state.window.is_playable());
    }

    /// Waits until something can be played; false where it takes too long.
    pub async fn wait_until_playable(&self, patience: Duration) -> bool {
        let mut playable = self.playable.subscribe();
        tokio::time::timeout(patience, playable.wait_for(|playable| *playable)).await.is_ok()
    }

    /// Whoever gets true tells another node's news here, until it says false by [`Self::unfollow`].
    pub fn follow_once(&self) -> bool {
        !self.followed.swap(true, Ordering::AcqRel)
    }

    /// The other node's news is told here no more.
    pub fn unfollow(&self) {
        self.followed.store(false, Ordering::Release);
    }

    /// How long nobody has asked for anything.
    pub fn idle(&self) -> Duration {
        lock(&self.asked).elapsed()
    }

    /// No segment is longer than this.
    pub fn target(&self) -> Duration {
        Duration::from_secs(self.target_seconds().into())
    }

    /// The same in seconds.
    pub fn target_seconds(&self) -> u32 {
        self.read().target
    }

    /// Looks at the window.
    pub fn look<T>(&self, see: impl FnOnce(&Window) -> T) -> T {
        see(&self.read().window)
    }

    /// The broadcast is over; its recording plays from the rows.
    pub fn is_over(&self) -> bool {
        self.look(|window| window.over)
    }

    /// Everything that is known and every event after it, each once; ends where another channel's state replaces this.
    pub fn subscribe(&self) -> Subscription {
        let state = self.read();
        Subscription { epoch: state.window.epoch, snapshot: state.retell(), events: state.events.subscribe() }
    }

    /// The multivariant playlist; `None` before anything can be played.
    pub fn master(&self, language: &str, query: &str) -> Option<String> {
        let state = self.read();
        let view = MasterView { revision: self.about.revision, language, target: state.target, query };
        playlist::master(&state.window, view)
    }

    /// A rung's playlist, once it holds what is asked for (`_HLS_msn`, `_HLS_part`).
    pub async fn playlist(
        &self,
        rung: &str,
        (until, skip): (Option<Place>, bool),
        query: &str,
    ) -> Result<Bytes, Unanswered> {
        *lock(&self.asked) = Instant::now();
        let pictures =
            self.look(|window| window.track(rung).is_some_and(|track| !track.init.form.is_audio()));
        match until {
            Some(place) => {
                let _seat = pictures.then(|| self.audience.sit());
                self.wait_for(rung, place).await?;
            }
            None if pictures => self.audience.pass(),
            None => {}
        }
        self.render(rung, skip, query)
    }

    /// Many viewers ask for the same playlist at the same moment: it is rendered once.
    fn render(&self, rung: &str, skip: bool, query: &str) -> Result<Bytes, Unanswered> {
        let state = self.read();
        let edge = state.edges.get(rung).map(|edge| *edge.borrow()).ok_or(Unanswered::NoRung)?;
        let name = format!("{rung} {skip}");
        // Only the public one: a map of tokens would grow for ever.
        let shared = query.is_empty();
        if shared
            && let Some((at, text)) = lock(&self.rendered).get(&name)
            && *at == edge
        {
            return Ok(text.clone());
        }
        let view = View { rung, skip, target: state.target, query };
        let text = Bytes::from(playlist::media(&state.window, view).ok_or(Unanswered::NoRung)?);
        if shared {
            lock(&self.rendered).insert(name, (edge, text.clone()));
        }
        Ok(text)
    }

    /// Waits until the place is there, for three target durations at most (RFC 8216bis 6.2.5.2).
    pub async fn wait_for(&self, rung: &str, place: Place) -> Result<(), Unanswered> {
        self.wait(rung, place, Edge::has).await
    }

    async fn wait(
        &self,
        rung: &str,
        place: Place,
        reached: impl Fn(Edge, Place) -> bool,
    ) -> Result<(), Unanswered> {
        let (mut edge, patience) = {
            let state = self.read();
            let edge = state.edges.get(rung).ok_or(Unanswered::NoRung)?;
            if place.0 > edge.borrow().open.saturating_add(AHEAD) {
                return Err(Unanswered::TooFarAhead);
            }
            (edge.subscribe(), Duration::from_secs(u64::from(state.target) * 3))
        };
        let reached = edge.wait_for(|edge| reached(*edge, place));
        match tokio::time::timeout(patience, reached).await {
            // The channel closed with its sender: whatever there is, is all.
            Ok(_) => Ok(()),
            Err(_) => Err(Unanswered::Stalled),
        }
    }

    /// The bytes of a part, or of a whole segment, while they are in memory; waits for what is next.
    pub async fn media(&self, rung: &str, (epoch, place): (u32, Place)) -> Option<Bytes> {
        if place.1.is_some() && !self.look(|window| window.is_of(rung, place.0, epoch)) {
            return None;
        }
        let next = self.look(|window| window.track(rung).map(|track| track.open));
        if place.1.is_some() && next.is_some_and(|open| place.0 >= open) {
            self.wait(rung, place, Edge::is_past).await.ok()?;
        }
        let state = self.read();
        let parts = state.parts.get(&(rung.to_owned(), place.0))?;
        match place.1 {
            Some(part) => parts.get(part as usize).cloned(),
            None if state.window.track(rung)?.closed.iter().any(|Listed { closed, .. }| {
                (closed.number, closed.epoch) == (place.0, epoch) && !closed.gap
            }) =>
            {
                Some(join(parts))
            }
            None => None,
        }
    }

    /// An initialisation segment, while it is in memory.
    pub fn init(&self, rung: &str, number: u32) -> Option<Bytes> {
        self.read().inits.get(&(rung.to_owned(), number)).cloned()
    }

    /// The bytes of a segment that was just closed.
    pub fn segment(&self, rung: &str, number: u32) -> Option<Bytes> {
        self.read().parts.get(&(rung.to_owned(), number)).map(|parts| join(parts))
    }

    /// What was told here of pictures and sound from there on, in order, for the tenure `epoch` to keep: what was open is
    /// closed where it was cut off. Ends with the first segment whose bytes are not in memory. Nobody hears the tenure
    /// before any more.
    pub fn salvage(&self, kept: Kept, epoch: u32) -> Vec<Salvaged> {
        self.write().window.epoch = epoch;
        let unkept = self.look(|window| window.unkept(kept, epoch));
        let found = unkept.into_iter().map_while(|(rung, closed)| self.find_whole(&rung, closed));
        let found: Vec<Salvaged> = found.collect();
        for Salvaged { init, closed, .. } in &found {
            let news = News::Closed { rung: init.rung.clone(), closed: closed.clone() };
            let is_open = |track: &Track| track.open <= closed.number;
            self.tell_where(|window| window.track(&init.rung).is_some_and(is_open), news, Bytes::new());
        }
        found
    }

    fn find_whole(&self, rung: &str, mut closed: Closed) -> Option<Salvaged> {
        let bytes = self.segment(rung, closed.number)?;
        let init = Init {
            number: closed.init,
            ..self.look(|window| window.track(rung).map(|track| track.init.clone()))?
        };
        let init_bytes = self.init(rung, closed.init)?;
        if closed.segment.key_bytes == 0 && !init.form.is_audio() {
            closed.segment.key_bytes = key_bytes(&bytes).unwrap_or(0);
        }
        (bytes.len() as u64 == closed.segment.size_bytes).then_some(Salvaged {
            init,
            init_bytes,
            closed,
            bytes,
        })
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn join(parts: &[Bytes]) -> Bytes {
    if let [one] = parts {
        return one.clone();
    }
    let mut whole = BytesMut::with_capacity(parts.iter().map(Bytes::len).sum());
    for part in parts {
        whole.extend_from_slice(part);
    }
    whole.freeze()
}
