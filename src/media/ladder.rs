//! Which renditions a source gets: a pure function of what the probe found.

use crate::domain::RefusalCode;
use crate::domain::media::{
    AudioRung, Coding, Fraction, Ladder, Probe, Rung, TICKS_PER_SECOND, Ticks, VideoStream,
};

/// Goes up whenever the rules below change.
pub const VERSION: u32 = 3;

/// Shorter sides of the rungs everyone gets.
const SIDES: [u32; 5] = [1080, 720, 480, 360, 240];
/// Of a broadcast's lower rungs the one wanted most comes first: what a phone shows, then what a bad line carries.
const LIVE_SIDES: [u32; 5] = [480, 240, 720, 360, 1080];
/// Shorter sides added where UHD is enabled.
const UHD_SIDES: [u32; 2] = [2160, 1440];
/// No side is longer, or pictures leave H.264 level 5.1 and the decoders that stop there.
const MAX_SIDE: u32 = 4096;
/// A rung has to be this much smaller than the source's own size to be worth its place.
const WORTHWHILE: f64 = 1.15;
/// Frame rates up to here are kept; the half is for 60 told imprecisely.
const MAX_RATE: f64 = 60.5;
/// Beyond this a frame rate is a header's nonsense.
const ABSURD_RATE: f64 = 300.0;
/// A passed-through rung needs a keyframe at least this often, or its segments grow too long.
const MAX_KEYFRAME_GAP: Ticks = 6 * TICKS_PER_SECOND;
/// Visually close to the source for speech and slides at every size.
const CRF: u8 = 23;
/// Pixels of a picture and the bits a second it may take at most, at 30 pictures a second.
const CAPS: [(f64, f64); 8] = [
    (0.0, 60_000.0),
    (102_240.0, 522_000.0),
    (230_400.0, 1_037_000.0),
    (409_920.0, 1_475_000.0),
    (921_600.0, 3_041_000.0),
    (2_073_600.0, 6_221_000.0),
    (3_686_400.0, 10_500_000.0),
    (8_294_400.0, 21_000_000.0),
];

/// What an operator decides about ladders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LadderSettings {
    /// Rungs of 1440 and 2160 lines where the source has them.
    pub enable_uhd: bool,
    /// x264's preset.
    pub preset: String,
    /// A web-friendly source is its own top rung.
    pub passthrough: bool,
}

impl Default for LadderSettings {
    fn default() -> Self {
        Self { enable_uhd: false, preset: "veryfast".to_owned(), passthrough: true }
    }
}

/// The renditions of a source, highest first; none is larger than the source.
#[must_use]
pub fn plan(probe: &Probe, settings: &LadderSettings) -> Ladder {
    let video = &probe.video;
    let frame_rate = frame_rate(moments(video));
    let mut rungs = sizes((video.width, video.height), settings.enable_uhd)
        .into_iter()
        .map(|size| encoded(size, frame_rate, &settings.preset))
        .collect::<Vec<_>>();
    if let Some(top) = rungs.first_mut().filter(|top| settings.passthrough && may_be_copied(probe, top)) {
        top.coding = Coding::Copy;
    }
    Ladder { version: VERSION, rungs, audio: audio(probe) }
}

/// The `count` renditions a running broadcast gets below its own pictures, highest first.
#[must_use]
pub fn lower(source: (u32, u32), frame_rate: Fraction, (count, preset): (usize, &str)) -> Vec<Rung> {
    let short = f64::from(source.0.min(source.1));
    let mut sizes = sizes(source, false);
    sizes.retain(|(width, height)| f64::from(*width.min(height)) * WORTHWHILE <= short);
    let preferred = |(width, height): &(u32, u32)| {
        LIVE_SIDES.iter().position(|side| side == width.min(height)).unwrap_or(LIVE_SIDES.len())
    };
    sizes.sort_by_key(preferred);
    sizes.truncate(count);
    sizes.sort_by_key(|(width, height)| std::cmp::Reverse(width.min(height).to_owned()));
    sizes.into_iter().map(|size| encoded(size, self::frame_rate(frame_rate), preset)).collect()
}

/// What stands in for a broadcast's own pictures while none come: as large and as fast.
#[must_use]
pub fn alike(size: (u32, u32), frame_rate: Fraction, preset: &str) -> Rung {
    encoded(size, self::frame_rate(frame_rate), preset)
}

/// How many of the usual sizes are not smaller than a rung: lower ones rank later, whatever others there are.
#[must_use]
pub fn rank(rung: &Rung) -> u32 {
    (0..).zip(SIDES).filter(|(_, side)| *side >= rung.width.min(rung.height)).count().try_into().unwrap_or(0)
}

fn sizes(source: (u32, u32), enable_uhd: bool) -> Vec<(u32, u32)> {
    let (width, height) = fit(source, source.0.max(source.1).min(MAX_SIDE), u32::max);
    let short = width.min(height);
    let uhd = UHD_SIDES.iter().filter(|_| enable_uhd);
    let sides = uhd.chain(&SIDES).copied().collect::<Vec<_>>();
    let own = (!sides.contains(&short) && sides.first().is_some_and(|top| short < *top)).then_some(short);
    let fits = |side: &u32| match own {
        Some(own) => f64::from(*side) * WORTHWHILE <= f64::from(own),
        None => *side <= short,
    };
    let own_size = own.map(|_| (width, height));
    let scaled = sides.into_iter().filter(fits).map(|side| fit((width, height), side, u32::min));
    own_size.into_iter().chain(scaled).collect()
}

/// Scaled so that the side which `pick` picks is `side`; the other follows, both even.
fn fit((width, height): (u32, u32), side: u32, pick: fn(u32, u32) -> u32) -> (u32, u32) {
    let (width, height) = (width.max(1), height.max(1));
    let picked = u64::from(pick(width, height));
    let scaled = |length: u32| {
        let exact = (u64::from(length) * u64::from(side) * 2 + picked) / (2 * picked);
        even(u32::try_from(exact).unwrap_or(MAX_SIDE))
    };
    (scaled(width), scaled(height))
}

fn even(length: u32) -> u32 {
    (length & !1).max(2)
}

/// Moments a second that a source shows: each of two fields is one of its own.
fn moments(video: &VideoStream) -> Fraction {
    let rate = video.frame_rate;
    let fields = video.interlaced && rate.as_f64() <= MAX_RATE / 2.0;
    Fraction { num: if fields { rate.num.saturating_mul(2) } else { rate.num }, ..rate }
}

fn frame_rate(source: Fraction) -> Fraction {
    let rate = source.as_f64();
    if rate <= 0.0 {
        return Fraction { num: 25, den: 1 };
    }
    if rate > ABSURD_RATE {
        return Fraction { num: 60, den: 1 };
    }
    let divisor = (2..=8).fold(1, |least, by| if rate / f64::from(least) > MAX_RATE { by } else { least });
    Fraction { num: source.num, den: source.den.saturating_mul(divisor) }
}

fn encoded((width, height): (u32, u32), frame_rate: Fraction, preset: &str) -> Rung {
    let max_bitrate = max_bitrate((width, height), frame_rate);
    let coding =
        Coding::H264 { crf: CRF, max_bitrate, buffer_bits: 2 * max_bitrate, preset: preset.to_owned() };
    Rung { name: format!("{}p", width.min(height)), width, height, frame_rate, coding }
}

/// Between the points of [`CAPS`] in a straight line; with the square root of the frame rate.
fn max_bitrate((width, height): (u32, u32), frame_rate: Fraction) -> u64 {
    let pixels = f64::from(width) * f64::from(height);
    let above = CAPS.iter().position(|(point, _)| *point >= pixels).unwrap_or(CAPS.len() - 1).max(1);
    let ((from, low), (to, high)) = (CAPS[above - 1], CAPS[above]);
    let at_30 = low + (high - low) * (pixels - from) / (to - from);
    let faster = (frame_rate.as_f64() / 30.0).sqrt().clamp(0.7, 1.42);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and below 2^32")]
    let thousands = (at_30 * faster / 1000.0).round() as u64;
    thousands * 1000
}

fn may_be_copied(probe: &Probe, top: &Rung) -> bool {
    let video = &probe.video;
    let cap = max_bitrate((top.width, top.height), top.frame_rate);
    video.web_friendly
        && probe.seekable
        && (video.width, video.height) == (top.width, top.height)
        && is_own_rate(video, top)
        && (1..=cap).contains(&video.bitrate)
        && are_close(&probe.keyframes, probe.duration)
}

fn is_own_rate(video: &VideoStream, top: &Rung) -> bool {
    video.frame_rate == top.frame_rate
}

/// The first keyframe is the first picture, and none is far from the next or from the end.
fn are_close(keyframes: &[Ticks], end: Ticks) -> bool {
    let nexts = keyframes.iter().skip(1).chain([&end]);
    keyframes.first().is_some_and(|first| first.abs() <= 2)
        && keyframes.iter().zip(nexts).all(|(at, next)| next - at <= MAX_KEYFRAME_GAP)
}

fn audio(probe: &Probe) -> Option<AudioRung> {
    let undecodable = probe.warnings.iter().any(|warning| warning.code == RefusalCode::AudioUndecodable);
    let stream = probe.audio.as_ref().filter(|_| !undecodable)?;
    let (channels, bitrate) = if stream.channels == 1 { (1, 96_000) } else { (2, 128_000) };
    Some(AudioRung { name: "audio".to_owned(), channels, bitrate, loudness_lufs: -16.0 })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::media::{AudioStream, SourceClock};

    const S: Ticks = TICKS_PER_SECOND;

    pub fn probed(width: u32, height: u32) -> Probe {
        Probe {
            container: "mov,mp4,m4a,3gp,3g2,mj2".to_owned(),
            duration: 30 * S,
            seekable: true,
            video: VideoStream {
                index: 0,
                codec: "h264".to_owned(),
                width,
                height,
                rotation: 0,
                mirrored: false,
                pixel_aspect: Fraction { num: 1, den: 1 },
                frame_rate: Fraction { num: 30, den: 1 },
                pixel_format: "yuv420p".to_owned(),
                bit_depth: 8,
                interlaced: false,
                top_field_first: None,
                unmarked: false,
                hdr: false,
                start_pts: 0,
                time_base: Fraction { num: 1, den: 90_000 },
                clock: SourceClock::default(),
                bitrate: 2_000_000,
                web_friendly: false,
            },
            audio: None,
            warnings: Vec::new(),
            keyframes: Vec::new(),
        }
    }

    fn web_friendly(width: u32, height: u32) -> Probe {
        let mut probe = probed(width, height);
        probe.video.web_friendly = true;
        probe.video.bitrate = 1_000_000;
        probe.keyframes = (0..15).map(|at| at * 2 * S).collect();
        probe
    }

    fn told(probe: &Probe, settings: &LadderSettings) -> String {
        let rungs = plan(probe, settings).rungs.into_iter().map(|rung| {
            let coding = match rung.coding {
                Coding::Copy => "copy".to_owned(),
                Coding::H264 { max_bitrate, .. } => format!("{}k", max_bitrate / 1000),
            };
            format!("{} {}x{} {coding}", rung.name, rung.width, rung.height)
        });
        rungs.collect::<Vec<_>>().join(", ")
    }

    fn shape(width: u32, height: u32) -> String {
        told(&probed(width, height), &LadderSettings::default())
    }

    #[test]
    fn a_usual_source_gets_the_usual_rungs() {
        insta::assert_snapshot!(shape(1920, 1080), @"1080p 1920x1080 6221k, 720p 1280x720 3041k, 480p 852x480 1473k, 360p 640x360 1037k, 240p 426x240 522k");
        insta::assert_snapshot!(shape(1280, 720), @"720p 1280x720 3041k, 480p 852x480 1473k, 360p 640x360 1037k, 240p 426x240 522k");
    }

    #[test]
    fn portrait_is_named_by_its_width() {
        insta::assert_snapshot!(shape(1080, 1920), @"1080p 1080x1920 6221k, 720p 720x1280 3041k, 480p 480x852 1473k, 360p 360x640 1037k, 240p 240x426 522k");
    }

    #[test]
    fn a_size_in_between_is_its_own_top_rung() {
        insta::assert_snapshot!(shape(640, 428), @"428p 640x428 1143k, 360p 538x360 889k, 240p 358x240 448k");
        insta::assert_snapshot!(shape(720, 576), @"576p 720x576 1490k, 480p 600x480 1178k, 360p 450x360 762k, 240p 300x240 385k");
        insta::assert_snapshot!(shape(853, 481), @"480p 852x480 1473k, 360p 638x360 1034k, 240p 426x240 522k");
    }

    #[test]
    fn a_tiny_source_gets_one_rung_of_its_own_size() {
        insta::assert_snapshot!(shape(176, 144), @"144p 176x144 175k");
        insta::assert_snapshot!(shape(1, 1), @"2p 2x2 60k");
        insta::assert_snapshot!(shape(321, 239), @"238p 320x238 404k");
    }

    #[test]
    fn extreme_shapes_stay_within_what_decoders_take() {
        insta::assert_snapshot!(shape(8000, 1000), @"512p 4096x512 6283k, 360p 2880x360 3359k, 240p 1920x240 1631k");
        insta::assert_snapshot!(shape(100, 9000), @"46p 46x4096 868k");
    }

    #[test]
    fn more_than_hd_is_scaled_down_unless_it_is_enabled() {
        insta::assert_snapshot!(shape(3840, 2160), @"1080p 1920x1080 6221k, 720p 1280x720 3041k, 480p 852x480 1473k, 360p 640x360 1037k, 240p 426x240 522k");
        let uhd = LadderSettings { enable_uhd: true, ..LadderSettings::default() };
        insta::assert_snapshot!(told(&probed(3840, 2160), &uhd), @"2160p 3840x2160 21000k, 1440p 2560x1440 10500k, 1080p 1920x1080 6221k, 720p 1280x720 3041k, 480p 852x480 1473k, 360p 640x360 1037k, 240p 426x240 522k");
        insta::assert_snapshot!(told(&probed(1600, 1200), &uhd), @"1200p 1600x1200 5797k, 720p 960x720 2336k, 480p 640x480 1224k, 360p 480x360 806k, 240p 320x240 407k");
    }

    #[test]
    fn frame_rates_are_kept_up_to_sixty() {
        let rates = [(30_000, 1001), (60, 1), (120, 1), (90, 1), (240, 1), (1000, 1), (0, 1)];
        let kept = rates.map(|(num, den)| {
            let Fraction { num, den } = frame_rate(Fraction { num, den });
            format!("{num}/{den}")
        });
        insta::assert_snapshot!(kept.join(" "), @"30000/1001 60/1 120/2 90/2 240/4 60/1 25/1");
    }

    #[test]
    fn fields_become_pictures_of_their_own() {
        let rates = [(25, 1), (30_000, 1001), (50, 1)].map(|(num, den)| {
            let mut probe = probed(1920, 1080);
            (probe.video.interlaced, probe.video.frame_rate) = (true, Fraction { num, den });
            let Fraction { num, den } = plan(&probe, &LadderSettings::default()).rungs[0].frame_rate;
            format!("{num}/{den}")
        });
        assert_eq!(rates, ["50/1", "60000/1001", "50/1"]);
    }

    #[test]
    fn a_web_friendly_source_is_its_own_top_rung() {
        let settings = LadderSettings::default();
        insta::assert_snapshot!(told(&web_friendly(640, 428), &settings).split(", ").next().unwrap_or_default(), @"428p 640x428 copy");
        insta::assert_snapshot!(told(&web_friendly(1280, 720), &settings), @"720p 1280x720 copy, 480p 852x480 1473k, 360p 640x360 1037k, 240p 426x240 522k");
    }

    #[test]
    fn nothing_is_passed_through_that_would_play_badly() {
        let spoil: [fn(&mut Probe); 5] = [
            |probe| probe.keyframes = vec![0, 4 * S, 11 * S],
            |probe| probe.keyframes[0] = 300,
            |probe| probe.video.bitrate = 9_000_000,
            |probe| probe.video.frame_rate = Fraction { num: 120, den: 1 },
            |probe| probe.video.web_friendly = false,
        ];
        for (at, spoil) in spoil.iter().enumerate() {
            let mut probe = web_friendly(1280, 720);
            spoil(&mut probe);
            let ladder = plan(&probe, &LadderSettings::default());
            assert_ne!(ladder.rungs[0].coding, Coding::Copy, "case {at}");
        }
        let off = LadderSettings { passthrough: false, ..LadderSettings::default() };
        assert_ne!(plan(&web_friendly(1280, 720), &off).rungs[0].coding, Coding::Copy);
    }

    #[test]
    fn a_broadcast_gets_a_few_rungs_below_its_own() {
        let rungs = |width, height, count| {
            let rate = Fraction { num: 30, den: 1 };
            let rungs = lower((width, height), rate, (count, "veryfast")).into_iter();
            rungs
                .map(|rung| format!("{} {}x{}", rung.name, rung.width, rung.height))
                .collect::<Vec<_>>()
                .join(", ")
        };
        assert_eq!(rungs(1920, 1080, 2), "480p 852x480, 240p 426x240");
        assert_eq!(rungs(1280, 720, 1), "480p 852x480");
        assert_eq!(rungs(1920, 1080, 3), "720p 1280x720, 480p 852x480, 240p 426x240");
        assert_eq!(
            rungs(3840, 2160, 9),
            "1080p 1920x1080, 720p 1280x720, 480p 852x480, 360p 640x360, 240p 426x240"
        );
        assert_eq!(rungs(720, 1280, 2), "480p 480x852, 240p 240x426");
        assert_eq!(rungs(853, 481, 2), "360p 638x360, 240p 426x240");
        assert_eq!(rungs(426, 240, 2), "");
        assert_eq!(rungs(1920, 1080, 0), "");
    }

    #[test]
    fn mono_stays_mono_and_the_rest_is_stereo() {
        let mut probe = probed(640, 360);
        assert_eq!(audio(&probe), None);
        let stream = |channels| AudioStream {
            index: 1,
            codec: "aac".to_owned(),
            channels,
            sample_rate: 44_100,
            together: Vec::new(),
            instead: Vec::new(),
            start: 0,
            language: None,
        };
        probe.audio = Some(stream(1));
        assert_eq!(audio(&probe).map(|rung| (rung.channels, rung.bitrate)), Some((1, 96_000)));
        probe.audio = Some(stream(6));
        assert_eq!(audio(&probe).map(|rung| (rung.channels, rung.bitrate)), Some((2, 128_000)));
    }
}
