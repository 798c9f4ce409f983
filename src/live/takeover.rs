//! Where a tenure begins: after all that the one before told players. What of that is known here and not kept is kept now.

use std::sync::Arc;

use bytes::Bytes;

use super::channel::{Channel, Salvaged};
use super::cut::Position;
use super::recorder::{Keep, Tape};
use super::window::{AUDIO, Kept, News, Window};
use super::{Live, recall};
use crate::domain::media::{TICKS_PER_SECOND, Ticks};
use crate::publishing::{Ingest, Recorded};

/// What a session begins with.
pub(super) struct Beginning {
    pub channel: Arc<Channel>,
    pub from: Position,
    /// Segments that have pictures and no sound, with their starts.
    pub owed: Vec<(u32, Ticks)>,
}

/// Tells the channel of the tenure.
pub(super) fn begin(live: &Live, ingest: &Ingest, (recorded, tape): (&Recorded, &Tape)) -> Beginning {
    let (before, owner) = ingest.before();
    let (channel, recalled) = channel_of(live, ingest, recorded);
    let was_followed = !recalled && channel.look(|window| window.epoch) == before;
    let (kept, start) = ingest.kept();
    let mut known = Known { kept, start, owed: unheard(recorded) };
    if was_followed {
        for salvaged in channel.salvage(known.from(), ingest.epoch()) {
            known.keep(salvaged, tape);
        }
    }
    let Known { kept, start, owed } = known;
    let (told, _) = channel.look(Window::told);
    // Where the tenure before had the channel here it is known how far it went, else how far it may have gone.
    let is_known = was_followed && owner == Some(live.settings.node.as_str());
    let segment = told.max(if is_known { kept } else { ingest.next().max(kept) });
    let news = News::Tenure { epoch: ingest.epoch(), next: segment, lost: segment - kept };
    channel.tell(news, Bytes::new());
    // After the gaps it has there, so that players, who add up what they are told, find it where they look.
    let (_, told_until) = channel.look(Window::told);
    let time = if segment > kept { start.max(told_until) } else { start };
    Beginning { channel, from: Position { segment, time }, owed }
}

/// The channel, and whether what it tells is but what the rows hold.
fn channel_of(live: &Live, ingest: &Ingest, recorded: &Recorded) -> (Arc<Channel>, bool) {
    let own = ingest.broadcast.dvr_ms.map(|ms| ms * TICKS_PER_SECOND / 1000);
    let dvr = live.settings.window(own);
    let mut recalled = false;
    let channel = live.channel(ingest, || {
        recalled = true;
        let mut window = Window::new(ingest.before().0, 0, Some(dvr));
        recall::recall(&mut window, recorded);
        window
    });
    (channel, recalled)
}

/// What is kept, or will be once the tape is read.
struct Known {
    /// The number after the last segment with pictures, and where that ends.
    kept: u32,
    start: Ticks,
    owed: Vec<(u32, Ticks)>,
}

impl Known {
    fn from(&self) -> Kept {
        Kept { pictures: self.kept, sound: self.owed.first().map_or(self.kept, |(number, _)| *number) }
    }

    fn keep(&mut self, Salvaged { init, init_bytes, closed, bytes }: Salvaged, tape: &Tape) {
        let (number, begin) = (closed.number, closed.segment.start);
        self.start = self.start.max(begin + closed.segment.duration);
        let mut next = None;
        if init.form.is_audio() {
            self.owed.retain(|(segment, _)| *segment != number);
        } else {
            self.kept = number + 1;
            self.owed.push((number, begin));
            next = Some((self.kept, self.start));
        }
        let rung = init.rung.clone();
        tape.keep(Keep::Init(init, init_bytes));
        tape.keep(Keep::Segment { rung, closed, bytes, next });
    }
}

/// Segments that have the source's pictures and no sound, with their starts: the node before was lost between the two.
fn unheard(recorded: &Recorded) -> Vec<(u32, Ticks)> {
    let source = recorded.rungs.iter().find(|rung| !rung.audio && rung.position == 0);
    let Some(source) = source else { return Vec::new() };
    let heard = recorded.packs.iter().filter(|pack| pack.rung == AUDIO).map(|pack| pack.first_segment).max();
    let seen = recorded.packs.iter().filter(|pack| pack.rung == source.name);
    let missing = seen.filter(|pack| heard.is_none_or(|heard| pack.first_segment > heard));
    let told = missing
        .filter_map(|pack| Some((u32::try_from(pack.first_segment).ok()?, pack.segments.first()?.start)));
    told.collect()
}
