//! The one pass over a chunk: packets to the passed-through rung, pictures to the encoders.

use super::copy::Copy;
use super::decoding::Decoding;
use super::reader::Reader;
use super::rung::{Feed, Parcel};
use crate::domain::media::{Coding, Ticks};
use crate::domain::{Refusal, RefusalCode};
use crate::media::error::Error;
use crate::media::grid::Grid;
use crate::media::pulse::Pulse;
use crate::media::task::{Chunk, Event};
use crate::media::wire::Emit;

/// Why a source is not passed through after all.
const RENEWED: &str = "the source's parameter sets change on the way";

/// Everything between the reader and the encoders.
pub(super) struct Pass<'a> {
    task: &'a Chunk,
    emit: &'a Emit,
    reader: Reader,
    grid: Grid,
    copy: Option<Copy<'a>>,
    decoding: Decoding<'a>,
}

impl<'a> Pass<'a> {
    pub fn open(task: &'a Chunk, reader: Reader, grid: &Grid, emit: &'a Emit) -> Result<Self, Error> {
        let copy = match Copy::open(task, &reader, grid, emit) {
            Err(Error::Libav { doing, source }) => {
                let copied = task.rungs.iter().find(|rung| rung.coding == Coding::Copy);
                copied.map_or(Ok(()), |rung| {
                    super::fail(emit, rung, &format!("could not {doing}: {source}"))
                })?;
                None
            }
            other => other?,
        };
        // Also where nothing is encoded: what is passed through has to be whole, and alone it is small.
        let decoding = Decoding::open(task, &reader, grid)?;
        Ok(Self { task, emit, reader, grid: grid.clone(), copy, decoding })
    }

    /// Reads the chunk to its end, which is returned.
    pub fn run(mut self, mut feeds: Vec<Feed>) -> Result<Ticks, Error> {
        let mut pulse = Pulse::new(self.emit);
        loop {
            self.read(&mut pulse, &mut feeds)?;
            if !self.decoding.wants_run_up() {
                return self.finish(feeds);
            }
            if self.reader.go_further_back(self.grid.begin()) {
                self.decoding = Decoding::open(self.task, &self.reader, &self.grid)?;
            } else {
                self.decoding.accept(&self.reader, &mut feeds)?;
            }
        }
    }

    fn read(&mut self, pulse: &mut Pulse<'_>, feeds: &mut [Feed]) -> Result<(), Error> {
        while !self.is_done(feeds) && !self.decoding.wants_run_up() {
            let Some(packet) = self.reader.next() else { break };
            pulse.beat(self.reader.shown_until())?;
            self.copied(|copy, reader| copy.take(&packet, reader))?;
            self.decoding.packet(&packet, &self.reader, feeds)?;
            self.check_copy()?;
        }
        self.decoding.drain(&self.reader, feeds)
    }

    fn is_done(&self, feeds: &[Feed]) -> bool {
        let copied = self.copy.as_ref().is_none_or(|copy| copy.ended().is_some());
        let decoded = self.decoding.ended().is_some();
        copied && (decoded || !feeds.iter().any(Feed::is_open))
    }

    fn finish(mut self, mut feeds: Vec<Feed>) -> Result<Ticks, Error> {
        self.check_copy()?;
        let (end, damaged) = self.decoding.finish(&self.reader, &mut feeds)?;
        let begun = self.copy.as_ref().is_some_and(Copy::has_begun) || end.is_some();
        let end = end.or(self.copy.as_ref().and_then(Copy::ended));
        if !begun && self.task.first_segment == 0 {
            let refusal = Refusal::new(RefusalCode::NoFrames, "No picture of this video could be decoded.");
            return Err(Error::Refused(refusal));
        }
        let end =
            end.unwrap_or_else(|| self.copied_end()).max(self.copy.as_ref().map_or(0, Copy::shown_until));
        for feed in &mut feeds {
            feed.send(Parcel::End(end));
        }
        self.copied(|copy, _| copy.finish(end))?;
        damaged.into_iter().try_for_each(|(from, to)| self.emit.send(&Event::Damaged { from, to }))?;
        Ok(end)
    }

    /// The end where nothing but copying tells it.
    fn copied_end(&self) -> Ticks {
        let natural = self.reader.shown_until();
        if !self.copy.as_ref().is_some_and(Copy::has_begun) {
            return self.task.starts.first().copied().unwrap_or(0);
        }
        if self.reader.is_cut_short() { natural.min(self.task.end) } else { self.task.end }
    }

    /// A player would show what the decoder complains of, or what it can't know of: such a source is not passed
    /// through.
    fn check_copy(&mut self) -> Result<(), Error> {
        let renewed = self.reader.has_new_parameters().then_some(RENEWED);
        let Some(unfit) = self.decoding.unfit().or(renewed) else { return Ok(()) };
        match self.copy.take() {
            Some(copy) => super::fail(self.emit, copy.rung, unfit),
            None => Ok(()),
        }
    }

    /// A passed-through rung that can't go on is told and left out.
    fn copied(
        &mut self,
        step: impl FnOnce(&mut Copy<'a>, &Reader) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some(copy) = &mut self.copy else { return Ok(()) };
        match step(copy, &self.reader) {
            Err(Error::Libav { doing, source }) => {
                let rung = copy.rung;
                self.copy = None;
                super::fail(self.emit, rung, &format!("could not {doing}: {source}"))
            }
            other => other,
        }
    }
}
