//! From packets to the pictures each encoder gets, and what is lost or damaged on the way.

use std::collections::VecDeque;

use ffmpeg_next::{Packet, decoder, format, frame};

use super::damage::{Damage, Spans};
use super::graph::{Deinterlace, Graph, Shape, sizes};
use super::pace::Pace;
use super::pictures::{Pictures, Span};
use super::reader::Reader;
use super::rung::{Feed, Parcel};
use crate::domain::media::{Coding, TICKS_PER_SECOND, Ticks, VideoStream};
use crate::media::error::Error;
use crate::media::grid::{Grid, reaches};
use crate::media::libav;
use crate::media::task::Chunk;

/// A source this much faster than its rung loses pictures; less is the jitter of averages.
const FASTER: f64 = 1.05;
/// So many pictures for one make fields of an interlaced source into pictures of their own.
const DOUBLED: f64 = 1.5;
/// A decoder that gave nothing this long after the chunk's begin lacks something from before.
const RUN_UP: Ticks = 2 * TICKS_PER_SECOND;
/// Pictures that filters hold back at most.
const IN_GRAPH: usize = 16;

/// Why a source is not passed through after all.
const DAMAGED: &str = "the decoder complains of the source";
const CHANGING: &str = "the source's pictures change their shape on the way";

/// Whether what was read before the chunk was enough.
enum RunUp {
    /// Its first picture has not come; true where one from before it has.
    Open(bool),
    /// The first picture is damaged, or nothing comes at all.
    Wanting(Option<(Ticks, frame::Video)>),
    Enough,
}

/// A decoder and the filters behind it.
pub(super) struct Decoding<'a> {
    task: &'a Chunk,
    decoder: decoder::Video,
    pace: Pace,
    pictures: Pictures<frame::Video>,
    sizes: Vec<(u32, u32)>,
    graph: Option<(Shape, Graph)>,
    fields: Fields,
    run_up: RunUp,
    damage: Damage,
    /// Why the source can't be passed through.
    unfit: Option<&'static str>,
    /// The time of the last packet.
    fed: Ticks,
    /// When the first picture is due.
    begin: Ticks,
}

impl<'a> Decoding<'a> {
    pub fn open(task: &'a Chunk, reader: &Reader, grid: &Grid) -> Result<Self, Error> {
        let begin = grid.begin().max(reader.first_picture());
        let encoded = || task.rungs.iter().filter(|rung| rung.coding != Coding::Copy);
        let slowest = encoded().map(|rung| rung.frame_rate.as_f64()).fold(f64::MAX, f64::min);
        let own = task.video.frame_rate.as_f64();
        let rate = (own > slowest * FASTER).then_some(slowest);
        let span = Span { grid: grid.clone(), end: task.end, last: task.last, rate };
        let doubled = !encoded().any(|rung| rung.frame_rate.as_f64() < own * DOUBLED);
        let copied = task.rungs.iter().any(|rung| rung.coding == Coding::Copy);
        let may_lack = task.seekable && task.first_segment > 0 && !copied;
        Ok(Self {
            task,
            decoder: reader.decoder(super::cores())?,
            pace: Pace::new(reader.nominal()),
            pictures: Pictures::new(span, libav::repeat),
            sizes: sizes(encoded()),
            graph: None,
            fields: Fields { grid: grid.clone(), doubled, shown: VecDeque::new() },
            run_up: if may_lack { RunUp::Open(false) } else { RunUp::Enough },
            damage: Damage::new((begin, task.end), reader.nominal()),
            unfit: None,
            fed: Ticks::MIN,
            begin,
        })
    }

    /// What was read before the chunk was not enough: it is to be begun further back, or else accepted.
    pub fn wants_run_up(&self) -> bool {
        matches!(self.run_up, RunUp::Wanting(_))
    }

    /// Why the source can't be passed through, as far as is known.
    pub fn unfit(&self) -> Option<&'static str> {
        self.unfit
    }

    /// When the chunk ends, once that is known.
    pub fn ended(&self) -> Option<Ticks> {
        self.pictures.ended()
    }

    pub fn packet(&mut self, packet: &Packet, reader: &Reader, feeds: &mut [Feed]) -> Result<(), Error> {
        if self.ended().is_some() {
            return Ok(());
        }
        if let Some(stamp) = packet.pts().or(packet.dts()) {
            self.fed = reader.ticks(stamp);
            self.damage.packet(self.fed, packet.size());
        }
        // A packet that can't be decoded costs its pictures only.
        if matches!(self.decoder.send_packet(packet), Err(ffmpeg_next::Error::InvalidData)) {
            self.refuse();
        }
        self.receive(reader, feeds)?;
        if matches!(self.run_up, RunUp::Open(false)) && self.fed >= self.begin + RUN_UP {
            self.run_up = RunUp::Wanting(None);
        }
        Ok(())
    }

    /// No more packets come.
    pub fn drain(&mut self, reader: &Reader, feeds: &mut [Feed]) -> Result<(), Error> {
        if self.ended().is_some() || self.wants_run_up() {
            return Ok(());
        }
        // A decoder that can't end has no more pictures.
        let _ = self.decoder.send_eof();
        self.receive(reader, feeds)?;
        if matches!(self.run_up, RunUp::Open(false)) && !reader.is_cut_short() {
            self.run_up = RunUp::Wanting(None);
        }
        Ok(())
    }

    /// Nothing better is to be had: the pictures are taken as they come.
    pub fn accept(&mut self, reader: &Reader, feeds: &mut [Feed]) -> Result<(), Error> {
        if let RunUp::Wanting(Some((at, picture))) = std::mem::replace(&mut self.run_up, RunUp::Enough) {
            self.take((at, picture), reader, feeds)?;
        }
        self.receive(reader, feeds)
    }

    fn receive(&mut self, reader: &Reader, feeds: &mut [Feed]) -> Result<(), Error> {
        let mut picture = frame::Video::empty();
        while self.ended().is_none() && !self.wants_run_up() {
            match self.decoder.receive_frame(&mut picture) {
                Ok(()) => {}
                Err(ffmpeg_next::Error::InvalidData) => {
                    self.refuse();
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
            match self.run_up {
                RunUp::Open(_) if !reaches(at, self.begin) => self.run_up = RunUp::Open(true),
                RunUp::Open(_) if is_damaged(&decoded, &self.task.video) => {
                    self.run_up = RunUp::Wanting(Some((at, decoded)));
                    break;
                }
                RunUp::Open(_) => self.run_up = RunUp::Enough,
                _ => {}
            }
            self.take((at, decoded), reader, feeds)?;
        }
        Ok(())
    }

    fn take(
        &mut self,
        (at, mut picture): (Ticks, frame::Video),
        reader: &Reader,
        feeds: &mut [Feed],
    ) -> Result<(), Error> {
        let damaged = is_damaged(&picture, &self.task.video);
        self.damage.picture(at, picture.is_key(), damaged);
        // What comes before the chunk may lack pictures it refers to.
        if reaches(at, self.begin) {
            let changing = !is_as_told(&picture, &self.task.video);
            self.unfit = self.unfit.or(damaged.then_some(DAMAGED)).or(changing.then_some(CHANGING));
        }
        libav::set_fields(&mut picture, self.task.video.top_field_first);
        let shown = self.pictures.take(at, picture);
        self.show(shown, reader, feeds)
    }

    fn refuse(&mut self) {
        self.damage.refuse(self.fed);
        if self.fed >= self.begin {
            self.unfit = self.unfit.or(Some(DAMAGED));
        }
    }

    /// The chunk's end, and the spans that are missing or damaged.
    pub fn finish(&mut self, reader: &Reader, feeds: &mut [Feed]) -> Result<(Option<Ticks>, Spans), Error> {
        let video = &self.task.video;
        if self.pictures.is_blank() && self.task.first_segment > 0 && !reader.is_cut_short() {
            // Every segment of a plan has a picture, or players stop there.
            let black = self.pictures.take(self.fields.grid.begin(), libav::black(video.width, video.height));
            self.show(black, reader, feeds)?;
        }
        let held = self.pictures.finish(reader.shown_until(), reader.is_cut_short());
        self.show(held, reader, feeds)?;
        self.end_graph(feeds);
        let ended = self.pictures.ended().filter(|_| self.pictures.has_begun());
        Ok((ended, self.damage.finish()))
    }

    fn show(
        &mut self,
        shown: Vec<(Ticks, frame::Video)>,
        reader: &Reader,
        feeds: &mut [Feed],
    ) -> Result<(), Error> {
        if self.sizes.is_empty() {
            return Ok(());
        }
        for (at, mut picture) in shown {
            self.fit_graph(&picture, reader, feeds)?;
            if let Some((_, graph)) = &mut self.graph {
                self.fields.push(at);
                graph.push(at, &mut picture)?;
                self.fields.deliver(graph, feeds);
            }
        }
        Ok(())
    }

    /// A graph that fits the picture; sources may change their size or format on the way.
    fn fit_graph(
        &mut self,
        picture: &frame::Video,
        reader: &Reader,
        feeds: &mut [Feed],
    ) -> Result<(), Error> {
        let before = self.graph.as_ref().is_some_and(|(shape, _)| shape.is_interlaced());
        let interlaced = before || self.task.video.interlaced || picture.is_interlaced();
        let deinterlace = match (interlaced, self.fields.doubled) {
            (false, _) => Deinterlace::No,
            (true, false) => Deinterlace::Frames,
            (true, true) => Deinterlace::Fields,
        };
        let shape = Shape::of(picture, reader.pixel_aspect(picture), deinterlace);
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
            self.fields.deliver(&mut graph, feeds);
        }
        self.fields.shown.clear();
    }
}

/// Pictures on their way to the encoders, where one may have become two.
struct Fields {
    grid: Grid,
    doubled: bool,
    /// Times of the last pictures that went into the graph.
    shown: VecDeque<Ticks>,
}

impl Fields {
    fn push(&mut self, at: Ticks) {
        self.shown.push_back(at);
        if self.shown.len() > IN_GRAPH {
            self.shown.pop_front();
        }
    }

    fn deliver(&self, graph: &mut Graph, feeds: &mut [Feed]) {
        for (sink, feed) in feeds.iter_mut().enumerate() {
            while let Some(picture) = graph.pull(sink) {
                if picture.pts().is_none_or(|at| self.is_in_its_segment(at)) {
                    feed.send(Parcel::Picture(picture));
                }
            }
        }
    }

    /// The second field of a picture does not begin the segment after it: chunks made apart would disagree on when
    /// that begins.
    fn is_in_its_segment(&self, at: Ticks) -> bool {
        let picture = self.shown.iter().rev().find(|shown| **shown <= at);
        picture.is_none_or(|picture| self.grid.index(*picture) == self.grid.index(at))
    }
}

/// The decoder has doubts of the picture, and they mean something.
fn is_damaged(picture: &frame::Video, video: &VideoStream) -> bool {
    if video.unmarked { libav::is_made_up(picture) } else { libav::is_damaged(picture) }
}

/// A picture such as all of a source that is passed through have to be.
fn is_as_told(picture: &frame::Video, video: &VideoStream) -> bool {
    let aspect = picture.aspect_ratio();
    (picture.width(), picture.height()) == (video.width, video.height)
        && picture.format() == format::Pixel::YUV420P
        && !picture.is_interlaced()
        && (aspect.0 == aspect.1 || aspect.0 <= 0 || aspect.1 <= 0)
}
