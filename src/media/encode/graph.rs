//! The filter graph: upright, deinterlaced, tone-mapped pictures, scaled down rung by rung.

use std::fmt::Write as _;

use ffmpeg_next::util::color::TransferCharacteristic as Transfer;
use ffmpeg_next::util::color::{Range, Space};
use ffmpeg_next::{filter, format, frame};

use crate::domain::media::{Fraction, Rung, Ticks, VideoStream};
use crate::media::error::Error;
use crate::media::libav::{self, TICK, rescale};
use crate::media::raw;

/// What a graph is built for; another shape needs another graph.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::media) struct Shape {
    width: u32,
    height: u32,
    format: format::Pixel,
    space: Space,
    range: Range,
    transfer: Transfer,
    /// The shape of a pixel.
    aspect: Fraction,
    deinterlace: Deinterlace,
}

/// What is made of two fields in one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::media) enum Deinterlace {
    /// They are none.
    No,
    /// One picture.
    Frames,
    /// Two, each of its own moment.
    Fields,
}

/// Sides this much apart, in pixels and as a part of the side, are one side rounded differently.
const ROUNDED: f64 = 2.0;
const ROUNDED_PART: f64 = 0.01;

impl Shape {
    /// The shape of a decoded picture with pixels of this shape.
    pub fn of(picture: &frame::Video, aspect: Fraction, deinterlace: Deinterlace) -> Self {
        Self {
            width: picture.width(),
            height: picture.height(),
            format: picture.format(),
            space: picture.color_space(),
            range: picture.color_range(),
            transfer: picture.color_transfer_characteristic(),
            aspect,
            deinterlace,
        }
    }

    pub fn is_interlaced(&self) -> bool {
        self.deinterlace != Deinterlace::No
    }

    fn is_hdr(&self) -> bool {
        matches!(self.transfer, Transfer::SMPTE2084 | Transfer::ARIB_STD_B67)
    }

    /// The part of a picture of `size` that this one fills when it is shown whole, upright and in its own shape; `None`
    /// where that is all of it.
    fn fitted(&self, video: &VideoStream, (width, height): (u32, u32)) -> Option<(u32, u32)> {
        let own = (f64::from(self.width) * self.aspect.as_f64(), f64::from(self.height));
        let own = if video.rotation % 180 == 90 { (own.1, own.0) } else { own };
        let scale = (f64::from(width) / own.0).min(f64::from(height) / own.1);
        let fitted = (own.0 * scale, own.1 * scale);
        let fills =
            |fitted: f64, side: u32| f64::from(side) - fitted <= ROUNDED.max(f64::from(side) * ROUNDED_PART);
        if fills(fitted.0, width) && fills(fitted.1, height) {
            return None;
        }
        Some((even(fitted.0), even(fitted.1)))
    }
}

fn even(side: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most the side of a rung")]
    let half = (side / 2.0).round().max(1.0) as u32;
    half * 2
}

/// Pictures in, for each rung a smaller picture out.
pub(in crate::media) struct Graph(filter::Graph);

impl Graph {
    /// A graph for one shape of picture; `sizes` are those of the rungs, highest first.
    pub fn build(shape: &Shape, video: &VideoStream, sizes: &[(u32, u32)]) -> Result<Self, Error> {
        let spec = spec(shape, video, sizes, shape.is_hdr());
        match Self::parse(shape, sizes.len(), &spec) {
            // Colours nobody can map are shown as they are.
            Err(_) if shape.is_hdr() => {
                Self::parse(shape, sizes.len(), &self::spec(shape, video, sizes, false))
            }
            other => other,
        }
    }

    /// A graph of any other kind, from `in` to `out0` and further sinks.
    pub fn parse(shape: &Shape, sinks: usize, spec: &str) -> Result<Self, Error> {
        let doing = || Error::libav("build the filters");
        let mut graph = filter::Graph::new();
        let (Some(source), Some(sink)) = (filter::find("buffer"), filter::find("buffersink")) else {
            return Err(doing()(ffmpeg_next::Error::FilterNotFound));
        };
        let args = format!(
            "video_size={}x{}:pix_fmt={}:time_base=1/90000:pixel_aspect=1/1",
            shape.width,
            shape.height,
            ffmpeg_next::ffi::AVPixelFormat::from(shape.format) as i32
        );
        graph.add(&source, "in", &args).map_err(doing())?;
        for at in 0..sinks {
            graph.add(&sink, &format!("out{at}"), "").map_err(doing())?;
        }
        let mut parser = graph.output("in", 0).map_err(doing())?;
        for at in 0..sinks {
            parser = parser.input(&format!("out{at}"), 0).map_err(doing())?;
        }
        parser.parse(spec).map_err(doing())?;
        graph.validate().map_err(doing())?;
        Ok(Self(graph))
    }

    /// Hands a picture in, to be shown at `at`.
    pub fn push(&mut self, at: Ticks, picture: &mut frame::Video) -> Result<(), Error> {
        picture.set_pts(Some(at));
        let Some(mut source) = self.0.get("in") else { return Ok(()) };
        source.source().add(picture).map_err(Error::libav("filter a picture"))
    }

    /// No more pictures come.
    pub fn end(&mut self) {
        if let Some(mut source) = self.0.get("in") {
            // A graph that can't end has nothing more to give either.
            let _ = source.source().flush();
        }
    }

    /// The next finished picture of a rung, its time in ticks.
    pub fn pull(&mut self, sink: usize) -> Option<frame::Video> {
        let mut sink = self.0.get(&format!("out{sink}"))?;
        let mut picture = frame::Video::empty();
        let base = sink.sink().time_base();
        sink.sink().frame(&mut picture).ok()?;
        let at = picture.pts().map(|pts| rescale(pts, base, TICK));
        picture.set_pts(at);
        Some(picture)
    }
}

/// The sizes of rungs.
pub(super) fn sizes<'a>(rungs: impl Iterator<Item = &'a Rung>) -> Vec<(u32, u32)> {
    rungs.map(|rung| (rung.width, rung.height)).collect()
}

fn spec(shape: &Shape, video: &VideoStream, sizes: &[(u32, u32)], tone_map: bool) -> String {
    let mut spec = String::from("[in]");
    if shape.width >= 3 && shape.height >= 3 {
        spec.push_str(match shape.deinterlace {
            Deinterlace::No => "",
            Deinterlace::Frames => "bwdif=mode=send_frame:deint=interlaced,",
            Deinterlace::Fields => "bwdif=mode=send_field:deint=interlaced,",
        });
    }
    spec.push_str(upright(video));
    let size = sizes.first().copied().unwrap_or((2, 2));
    let fitted = shape.fitted(video, size);
    let to = fitted.unwrap_or(size);
    spec.push_str(&match (raw::has_alpha(shape.format), tone_map) {
        (true, _) => opaque(shape, to),
        (false, true) => tone_mapped(shape, to),
        (false, false) => plain(shape, to),
    });
    if fitted.is_some() {
        let (width, height) = size;
        // Writing into a string can't go wrong.
        let _ = write!(spec, ",pad={width}:{height}:-1:-1");
    }
    spec.push_str(",setsar=1");
    for at in 0..sizes.len() {
        match sizes.get(at + 1) {
            Some((width, height)) => {
                let _ = write!(spec, ",split[out{at}][next{at}];[next{at}]scale={width}:{height}");
            }
            None => {
                let _ = write!(spec, "[out{at}]");
            }
        }
    }
    spec
}

fn upright(video: &VideoStream) -> &'static str {
    match (video.mirrored, video.rotation) {
        (false, 90) => "transpose=clock,",
        (false, 180) => "hflip,vflip,",
        (false, 270) => "transpose=cclock,",
        (true, 90) => "hflip,transpose=clock,",
        (true, 180) => "vflip,",
        (true, 270) => "hflip,transpose=cclock,",
        (true, _) => "hflip,",
        (false, _) => "",
    }
}

fn plain(shape: &Shape, (width, height): (u32, u32)) -> String {
    let limited = shape.range != Range::JPEG && shape.format == format::Pixel::YUV420P;
    let colours = match matrix(shape) {
        // Said where nothing is to be done, it would cost a copy of every picture.
        Some("bt709") if limited => String::new(),
        Some(matrix) => format!(":in_color_matrix={matrix}:out_color_matrix=bt709:out_range=tv"),
        None => ":out_color_matrix=bt709:out_range=tv".to_owned(),
    };
    format!("scale={width}:{height}{colours},format=yuv420p")
}

/// On black: what can't be seen has colours too, which nobody is meant to see.
fn opaque(shape: &Shape, (width, height): (u32, u32)) -> String {
    let depth = if raw::bit_depth(shape.format) > 8 { "gbrap16le" } else { "gbrap" };
    let colours = matrix(shape).map(|matrix| format!("scale=in_color_matrix={matrix},")).unwrap_or_default();
    format!(
        "{colours}format={depth},premultiply=inplace=1,\
         scale={width}:{height}:out_color_matrix=bt709:out_range=tv,format=yuv420p"
    )
}

/// What the samples mean; by the picture's height where nobody says.
fn matrix(shape: &Shape) -> Option<&'static str> {
    match shape.space {
        Space::RGB => None,
        Space::BT709 => Some("bt709"),
        Space::BT470BG | Space::SMPTE170M => Some("bt601"),
        Space::FCC => Some("fcc"),
        Space::SMPTE240M => Some("smpte240m"),
        Space::BT2020NCL | Space::BT2020CL => Some("bt2020"),
        _ if libav::is_hd(shape.width, shape.height) => Some("bt709"),
        _ => Some("bt601"),
    }
}

/// To what a screen of 1000 cd/m² shows, and from there to BT.709 so that reference white (203 cd/m², ITU-R BT.2408)
/// stays white; `docs/colour.md` has what was measured.
fn tone_mapped(shape: &Shape, (width, height): (u32, u32)) -> String {
    let transfer = if shape.transfer == Transfer::ARIB_STD_B67 { "arib-std-b67" } else { "smpte2084" };
    // Pictures need not say all of it, and zscale gives up where they don't.
    let matrix = if shape.space == Space::RGB { "gbr" } else { "bt2020nc" };
    format!(
        "scale={width}:{height},setparams=color_primaries=bt2020:color_trc={transfer}:colorspace={matrix},\
         zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=709,tonemap=mobius:param=0.7:desat=0:peak=4.926,\
         zscale=t=709:m=709:r=limited,format=yuv420p"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::media::SourceClock;

    fn video(rotation: u16, hdr: bool) -> VideoStream {
        VideoStream {
            index: 0,
            codec: "h264".to_owned(),
            width: 1280,
            height: 720,
            rotation,
            mirrored: false,
            pixel_aspect: Fraction { num: 1, den: 1 },
            frame_rate: Fraction { num: 25, den: 1 },
            pixel_format: "yuv420p".to_owned(),
            bit_depth: 8,
            interlaced: false,
            top_field_first: None,
            unmarked: false,
            hdr,
            start_pts: 0,
            time_base: Fraction { num: 1, den: 90_000 },
            clock: SourceClock::default(),
            bitrate: 0,
            web_friendly: false,
        }
    }

    fn shape(deinterlace: Deinterlace) -> Shape {
        Shape {
            width: 720,
            height: 576,
            format: format::Pixel::YUV420P,
            space: Space::Unspecified,
            range: Range::Unspecified,
            transfer: Transfer::Unspecified,
            aspect: Fraction { num: 1, den: 1 },
            deinterlace,
        }
    }

    #[test]
    fn each_rung_is_scaled_from_the_one_above() {
        insta::assert_snapshot!(
            spec(&shape(Deinterlace::Frames), &video(90, false), &[(576, 720), (360, 450)], false),
            @"[in]bwdif=mode=send_frame:deint=interlaced,transpose=clock,scale=576:720:in_color_matrix=bt601:out_color_matrix=bt709:out_range=tv,format=yuv420p,setsar=1,split[out0][next0];[next0]scale=360:450[out1]"
        );
    }

    #[test]
    fn bright_colours_are_mapped_after_the_first_scale() {
        let wide = Shape { width: 1920, height: 1080, ..shape(Deinterlace::No) };
        insta::assert_snapshot!(
            spec(&wide, &video(0, true), &[(1280, 720)], true),
            @"[in]scale=1280:720,setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc,zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=709,tonemap=mobius:param=0.7:desat=0:peak=4.926,zscale=t=709:m=709:r=limited,format=yuv420p,setsar=1[out0]"
        );
    }
}
