//! The passed-through rung: the source's own packets, cut on its keyframes.

use ffmpeg_next::Packet;

use super::reader::Reader;
use crate::domain::media::{Coding, Rung, Ticks};
use crate::media::error::Error;
use crate::media::grid::{Grid, reaches};
use crate::media::libav;
use crate::media::mux::{Muxer, Track};
use crate::media::task::Chunk;
use crate::media::wire::Emit;

/// Cuts packets into segments.
pub(super) struct Copy<'a> {
    pub rung: &'a Rung,
    muxer: Muxer,
    grid: Grid,
    end: Ticks,
    last: bool,
    filling: Option<u32>,
    begun_at: Ticks,
    packets: Vec<Packet>,
    ended: Option<Ticks>,
}

impl<'a> Copy<'a> {
    /// For the task's passed-through rung, where it has one.
    pub fn open(task: &'a Chunk, reader: &Reader, grid: &Grid, emit: &Emit) -> Result<Option<Self>, Error> {
        let Some(rung) = task.rungs.iter().find(|rung| rung.coding == Coding::Copy) else { return Ok(None) };
        let parameters = libav::with_colours(&reader.parameters()?)?;
        let muxer = Muxer::open(&parameters, Track::video(rung), (emit, &rung.name))?;
        let (grid, packets) = (grid.clone(), Vec::new());
        Ok(Some(Self {
            rung,
            muxer,
            grid,
            end: task.end,
            last: task.last,
            filling: None,
            begun_at: 0,
            packets,
            ended: None,
        }))
    }

    /// When the chunk ends, once its end has been seen.
    pub fn ended(&self) -> Option<Ticks> {
        self.ended
    }

    /// A segment has begun.
    pub fn has_begun(&self) -> bool {
        self.filling.is_some() || self.ended.is_some()
    }

    /// The earliest end that all pictures kept so far fit in.
    pub fn shown_until(&self) -> Ticks {
        self.packets.iter().filter_map(Packet::pts).max().map_or(0, |last| last + 1)
    }

    /// The next packet of the source.
    pub fn take(&mut self, packet: &Packet, reader: &Reader) -> Result<(), Error> {
        let Some(stamp) = packet.pts().or(packet.dts()) else { return Ok(()) };
        let at = reader.ticks(stamp);
        if self.ended.is_some() {
            return Ok(());
        }
        if packet.is_key() && reaches(at, self.grid.begin().max(reader.first_picture())) {
            if !self.last && reaches(at, self.end) {
                return self.finish(at);
            }
            let segment = self.grid.index(at);
            if self.filling != Some(segment) {
                self.close(at)?;
                self.filling = Some(segment);
                self.begun_at = at;
            }
        }
        // A picture from before the keyframe needs pictures that belong to the segment before.
        if self.filling.is_some() && at >= self.begun_at {
            let mut copy = libav::share(packet);
            // The very first picture stands from the beginning on.
            let is_first = self.packets.is_empty() && self.begun_at == at && self.filling == Some(0);
            copy.set_pts(Some(if is_first { 0 } else { at }));
            self.packets.push(copy);
        }
        Ok(())
    }

    /// Ends the last segment.
    pub fn finish(&mut self, end: Ticks) -> Result<(), Error> {
        if self.ended.is_none() {
            self.close(end)?;
            self.ended = Some(end);
        }
        Ok(())
    }

    fn close(&mut self, end: Ticks) -> Result<(), Error> {
        match self.filling {
            Some(index) if !self.packets.is_empty() => {
                self.muxer.segment(index, std::mem::take(&mut self.packets), end)
            }
            _ => Ok(()),
        }
    }
}
