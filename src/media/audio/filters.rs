//! The filters of sound: to 48 kHz, folded down, and then measured or brought to its loudness.

use std::collections::VecDeque;

use ffmpeg_next::{filter, frame};

use crate::media::error::Error;
use crate::media::libav;

/// The sampling rate of every rendition.
pub(super) const RATE: u32 = 48_000;

/// What a graph is built for; another shape needs another graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    rate: u32,
    format: &'static str,
    layout: String,
}

impl Shape {
    fn of(block: &frame::Audio) -> Self {
        Self { rate: block.rate(), format: block.format().name(), layout: libav::layout_name(block) }
    }
}

/// A chain of filters that is built anew whenever the sound changes its shape.
pub(super) struct Chain {
    channels: u16,
    tail: String,
    graph: Option<(Shape, filter::Graph)>,
}

impl Chain {
    /// Everything to `channels` at 48 kHz, and then through `tail`.
    pub fn new(channels: u16, tail: impl Into<String>) -> Self {
        Self { channels, tail: tail.into(), graph: None }
    }

    /// Puts a block in; `out` gets what comes out.
    pub fn push(&mut self, block: &frame::Audio, out: &mut VecDeque<frame::Audio>) -> Result<(), Error> {
        let shape = Shape::of(block);
        if self.graph.as_ref().is_none_or(|(fits, _)| *fits != shape) {
            self.end(out);
            self.graph = Some((shape.clone(), self.build(&shape)?));
        }
        let Some((_, graph)) = &mut self.graph else { return Ok(()) };
        if let Some(mut source) = graph.get("in") {
            source.source().add(block).map_err(Error::libav("filter sound"))?;
        }
        pull(graph, out);
        Ok(())
    }

    /// Lets out what the filters still hold.
    pub fn end(&mut self, out: &mut VecDeque<frame::Audio>) {
        let Some((_, mut graph)) = self.graph.take() else { return };
        if let Some(mut source) = graph.get("in") {
            // A graph that can't end has nothing more to give either.
            let _ = source.source().flush();
        }
        pull(&mut graph, out);
    }

    /// A layout nobody can fold down is heard by its first two channels.
    fn build(&self, shape: &Shape) -> Result<filter::Graph, Error> {
        self.parse(shape, "").or_else(|_| {
            let fold = if self.channels == 1 { "pan=mono|c0=c0," } else { "pan=stereo|c0=c0|c1=c1," };
            self.parse(shape, fold)
        })
    }

    fn parse(&self, shape: &Shape, fold: &str) -> Result<filter::Graph, Error> {
        let doing = || Error::libav("build the filters of sound");
        let (Some(source), Some(sink)) = (filter::find("abuffer"), filter::find("abuffersink")) else {
            return Err(doing()(ffmpeg_next::Error::FilterNotFound));
        };
        let Shape { rate, format, layout } = shape;
        let args =
            format!("time_base=1/{rate}:sample_rate={rate}:sample_fmt={format}:channel_layout={layout}");
        let mut graph = filter::Graph::new();
        graph.add(&source, "in", &args).map_err(doing())?;
        graph.add(&sink, "out", "").map_err(doing())?;
        let layout = if self.channels == 1 { "mono" } else { "stereo" };
        let to = format!("aformat=sample_fmts=fltp:sample_rates={RATE}:channel_layouts={layout}");
        let tail = &self.tail;
        let spec = format!("[in]{fold}aresample={RATE},{to}{tail},{to}[out]");
        graph
            .output("in", 0)
            .and_then(|parser| parser.input("out", 0))
            .and_then(|parser| parser.parse(&spec))
            .map_err(doing())?;
        graph.validate().map_err(doing())?;
        Ok(graph)
    }
}

fn pull(graph: &mut filter::Graph, out: &mut VecDeque<frame::Audio>) {
    let Some(mut sink) = graph.get("out") else { return };
    let mut block = frame::Audio::empty();
    while sink.sink().frame(&mut block).is_ok() {
        out.push_back(std::mem::replace(&mut block, frame::Audio::empty()));
    }
}
