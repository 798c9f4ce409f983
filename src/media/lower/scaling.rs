//! From a decoded picture to one of each rung's size, each to its encoder.

use ffmpeg_next::util::color::TransferCharacteristic as Transfer;
use ffmpeg_next::{Rational, frame};

use super::encoding::Encoding;
use crate::domain::media::{Fraction, Rung, SourceClock, Ticks, VideoStream};
use crate::media::encode::{Deinterlace, Graph, Shape};
use crate::media::error::Error;
use crate::media::wire::Emit;

/// The cascade of scales and what comes after it.
pub(super) struct Scaling<'a> {
    sizes: Vec<(u32, u32)>,
    graph: Option<(Shape, Graph)>,
    encodings: Vec<Encoding<'a>>,
}

impl<'a> Scaling<'a> {
    pub fn new(rungs: &'a [Rung], emit: &'a Emit) -> Self {
        let encodings = (0..).zip(rungs).map(|(at, rung)| Encoding::new(at, rung, emit));
        Self {
            sizes: rungs.iter().map(|rung| (rung.width, rung.height)).collect(),
            graph: None,
            encodings: encodings.collect(),
        }
    }

    /// The first picture shown then or later is an IDR.
    pub fn begin_at(&mut self, shown: Ticks) {
        self.encodings.iter_mut().for_each(|encoding| encoding.begin_at(shown));
    }

    pub fn show(&mut self, at: Ticks, picture: &mut frame::Video) -> Result<(), Error> {
        let aspect = square_where_unknown(picture.aspect_ratio());
        self.encodings.iter_mut().for_each(|encoding| encoding.set_aspect(aspect));
        self.fit_graph(picture)?;
        if let Some((_, graph)) = &mut self.graph {
            graph.push(at, picture)?;
        }
        self.deliver()
    }

    pub fn finish(&mut self) -> Result<(), Error> {
        self.end_graph()?;
        self.encodings.iter_mut().try_for_each(Encoding::finish)
    }

    /// Encoders may change the size or format of their pictures on the way.
    fn fit_graph(&mut self, picture: &frame::Video) -> Result<(), Error> {
        let before = self.graph.as_ref().is_some_and(|(shape, _)| shape.is_interlaced());
        let interlaced = before || picture.is_interlaced();
        let deinterlace = if interlaced { Deinterlace::Frames } else { Deinterlace::No };
        // The encoders are told the shape of a pixel: it stays as it is.
        let shape = Shape::of(picture, Fraction { num: 1, den: 1 }, deinterlace);
        if self.graph.as_ref().is_none_or(|(fits, _)| *fits != shape) {
            self.end_graph()?;
            let graph = Graph::build(&shape, &as_stream(picture), &self.sizes)?;
            self.graph = Some((shape, graph));
        }
        Ok(())
    }

    fn end_graph(&mut self) -> Result<(), Error> {
        if let Some((_, graph)) = &mut self.graph {
            graph.end();
        }
        self.deliver()?;
        self.graph = None;
        Ok(())
    }

    fn deliver(&mut self) -> Result<(), Error> {
        let Some((_, graph)) = &mut self.graph else { return Ok(()) };
        for (sink, encoding) in self.encodings.iter_mut().enumerate() {
            while let Some(picture) = graph.pull(sink) {
                encoding.encode(picture)?;
            }
        }
        Ok(())
    }
}

fn square_where_unknown(aspect: Rational) -> Rational {
    if aspect.0 > 0 && aspect.1 > 0 { aspect } else { Rational(1, 1) }
}

/// What the graph wants to know of its source.
fn as_stream(picture: &frame::Video) -> VideoStream {
    let transfer = picture.color_transfer_characteristic();
    VideoStream {
        index: 0,
        codec: String::new(),
        width: picture.width(),
        height: picture.height(),
        rotation: 0,
        mirrored: false,
        pixel_aspect: Fraction { num: 1, den: 1 },
        frame_rate: Fraction { num: 0, den: 1 },
        pixel_format: String::new(),
        bit_depth: 8,
        interlaced: picture.is_interlaced(),
        top_field_first: None,
        unmarked: false,
        hdr: matches!(transfer, Transfer::SMPTE2084 | Transfer::ARIB_STD_B67),
        start_pts: 0,
        time_base: Fraction { num: 1, den: 90_000 },
        clock: SourceClock::default(),
        bitrate: 0,
        web_friendly: false,
    }
}
