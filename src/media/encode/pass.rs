//! The one pass over a chunk: packets to the passed-through rung, pictures to the encoders.

use ffmpeg_next::{decoder, frame};

use super::copy::Copy;
use super::graph::{Graph, Shape, sizes};
use super::pace::Pace;
use super::pictures::{Pictures, Span};
use super::reader::Reader;
use super::rung::{Feed, Parcel};
use crate::domain::media::{Coding, Ticks};
use crate::domain::{Refusal, RefusalCode};
use crate::media::error::Error;
use crate::media::grid::{Grid, reaches};
use crate::media::libav;
use crate::media::pulse::Pulse;
use crate::media::task::Chunk;
use crate::media::wire::Emit;

/// A source this much faster than its rung loses pictures; less is the jitter of averages.
const FASTER: f64 = 1.05;

/// Why a source is not passed through after all.
const DAMAGED: &str = "the decoder complains of the source";

/// Everything between the reader and the encoders.
pub(super) struct Pass<'a> {
    task: &'a Chunk,
    emit: &'a Emit,
    reader: Reader,
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
        Ok(Self { task, emit, reader, copy, decoding })
    }

    /// Reads the chunk to its end, which is returned.
    pub fn run(mut self, mut feeds: Vec<Feed>) -> Result<Ticks, Error> {
        let mut pulse = Pulse::new(self.emit);
        while !self.is_done(&feeds) {
            let Some(packet) = self.reader.next() else { break };
            pulse.beat(self.reader.shown_until())?;
            self.copied(|copy, reader| copy.take(&packet, reader))?;
            self.decoding.packet(&packet, &self.reader, &mut feeds)?;
            self.check_copy()?;
        }
        self.finish(feeds)
    }

    fn is_done(&self, feeds: &[Feed]) -> bool {
        let copied = self.copy.as_ref().is_none_or(|copy| copy.ended().is_some());
        let decoded = self.decoding.pictures.ended().is_some();
        copied && (decoded || !feeds.iter().any(Feed::is_open))
    }

    fn finish(mut self, mut feeds: Vec<Feed>) -> Result<Ticks, Error> {
        let end = self.decoding.finish(&self.reader, &mut feeds)?;
        self.check_copy()?;
        let end = end.or(self.copy.as_ref().and_then(Copy::ended));
        let begun = self.copy.as_ref().is_some_and(Copy::has_begun) || self.decoding.pictures.has_begun();
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

    /// A player would show what the decoder complains of: such a source is not passed through.
    fn check_copy(&mut self) -> Result<(), Error> {
        match self.copy.take_if(|_| self.decoding.damaged) {
            Some(copy) => super::fail(self.emit, copy.rung, DAMAGED),
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

/// From packets to the pictures each encoder gets.
struct Decoding<'a> {
    task: &'a Chunk,
    decoder: decoder::Video,
    pace: Pace,
    pictures: Pictures<frame::Video>,
    sizes: Vec<(u32, u32)>,
    graph: Option<(Shape, Graph)>,
    /// The decoder complained.
    damaged: bool,
    begin: Ticks,
}

impl<'a> Decoding<'a> {
    fn open(task: &'a Chunk, reader: &Reader, grid: &Grid) -> Result<Self, Error> {
        let encoded = || task.rungs.iter().filter(|rung| rung.coding != Coding::Copy);
        let slowest = encoded().map(|rung| rung.frame_rate.as_f64()).fold(f64::MAX, f64::min);
        let rate = (task.video.frame_rate.as_f64() > slowest * FASTER).then_some(slowest);
        let span = Span { grid: grid.clone(), end: task.end, last: task.last, rate };
        Ok(Self {
            task,
            decoder: reader.decoder(super::cores())?,
            pace: Pace::new(reader.nominal()),
            pictures: Pictures::new(span, libav::repeat),
            sizes: sizes(encoded()),
            graph: None,
            damaged: false,
            begin: grid.begin(),
        })
    }

    fn packet(
        &mut self,
        packet: &ffmpeg_next::Packet,
        reader: &Reader,
        feeds: &mut [Feed],
    ) -> Result<(), Error> {
        if self.pictures.ended().is_some() {
            return Ok(());
        }
        // A packet that can't be decoded costs its pictures only.
        self.damaged |= matches!(self.decoder.send_packet(packet), Err(ffmpeg_next::Error::InvalidData));
        self.receive(reader, feeds)
    }

    fn receive(&mut self, reader: &Reader, feeds: &mut [Feed]) -> Result<(), Error> {
        let mut picture = frame::Video::empty();
        while self.pictures.ended().is_none() {
            match self.decoder.receive_frame(&mut picture) {
                Ok(()) => {}
                Err(ffmpeg_next::Error::InvalidData) => {
                    self.damaged = true;
                    continue;
                }
                Err(_) => break,
            }
            let stamp = picture.timestamp().map(|stamp| reader.ticks(stamp));
            let decoded = std::mem::replace(&mut picture, frame::Video::empty());
            // Of a group whose beginning is missing: the first picture that is whole stands in for them.
            if stamp.is_some_and(|at| !reaches(at, reader.first_picture())) {
                continue;
            }
            let Some(at) = self.pace.time(stamp) else { continue };
            // What comes before the chunk may lack pictures it refers to.
            self.damaged |= reaches(at, self.begin) && libav::is_damaged(&decoded);
            let shown = self.pictures.take(at, decoded);
            self.show(shown, feeds)?;
        }
        Ok(())
    }

    fn finish(&mut self, reader: &Reader, feeds: &mut [Feed]) -> Result<Option<Ticks>, Error> {
        if self.pictures.ended().is_none() {
            // A decoder that can't end has no more pictures.
            let _ = self.decoder.send_eof();
            self.receive(reader, feeds)?;
        }
        let held = self.pictures.finish(reader.shown_until(), reader.is_cut_short());
        self.show(held, feeds)?;
        self.end_graph(feeds);
        Ok(self.pictures.ended().filter(|_| self.pictures.has_begun()))
    }

    fn show(&mut self, shown: Vec<(Ticks, frame::Video)>, feeds: &mut [Feed]) -> Result<(), Error> {
        if self.sizes.is_empty() {
            return Ok(());
        }
        for (at, mut picture) in shown {
            self.fit_graph(&picture, feeds)?;
            if let Some((_, graph)) = &mut self.graph {
                graph.push(at, &mut picture)?;
                deliver(graph, feeds);
            }
        }
        Ok(())
    }

    /// A graph that fits the picture; sources may change their size or format on the way.
    fn fit_graph(&mut self, picture: &frame::Video, feeds: &mut [Feed]) -> Result<(), Error> {
        let interlaced =
            self.graph.as_ref().map_or(self.task.video.interlaced, |(shape, _)| shape.is_interlaced());
        let shape = Shape::of(picture, interlaced);
        if self.graph.as_ref().is_none_or(|(fits, _)| *fits != shape) {
            self.end_graph(feeds);
            let graph = Graph::build(&shape, &self.task.video, &self.sizes)?;
            self.graph = Some((shape, graph));
        }
        Ok(())
    }

    fn end_graph(&mut self, feeds: &mut [Feed]) {
        if let Some((_, mut graph)) = self.graph.take() {
            graph.end();
            deliver(&mut graph, feeds);
        }
    }
}

fn deliver(graph: &mut Graph, feeds: &mut [Feed]) {
    for (sink, feed) in feeds.iter_mut().enumerate() {
        while let Some(picture) = graph.pull(sink) {
            feed.send(Parcel::Picture(picture));
        }
    }
}
