//! HLS playlists rendered from rows, never stored (RFC 8216 and draft-pantos-hls-rfc8216bis).

mod bandwidth;

use std::fmt::Write;

pub use bandwidth::{average, peak};

use crate::domain::Timestamp;
use crate::domain::media::{Fraction, Segment, TICKS_PER_SECOND, Ticks};
use crate::domain::trim::Trim;

/// The name of the one group of audio renditions.
const AUDIO_GROUP: &str = "audio";

/// Every rendition of a video that can be played.
#[derive(Debug, Clone)]
pub struct Master {
    /// Highest first.
    pub variants: Vec<Variant>,
    pub audio: Option<Audio>,
    /// Seconds, rounded, no segment is longer than.
    pub target: u32,
    /// Every segment begins with a keyframe.
    pub independent: bool,
}

/// One video rendition.
#[derive(Debug, Clone)]
pub struct Variant {
    pub uri: String,
    /// `None` while nobody can scrub.
    pub iframes_uri: Option<String>,
    /// RFC 6381.
    pub codecs: String,
    pub width: u32,
    pub height: u32,
    pub frame_rate: Fraction,
    pub segments: Vec<Segment>,
}

/// The audio rendition.
#[derive(Debug, Clone)]
pub struct Audio {
    pub uri: String,
    pub codecs: String,
    /// BCP 47.
    pub language: String,
    pub channels: u16,
    pub segments: Vec<Segment>,
}

/// One rendition's segments.
#[derive(Debug, Clone)]
pub struct Media {
    pub packs: Vec<Pack>,
    /// Seconds, rounded, no segment is longer than; must not change while the playlist grows (RFC 8216 6.2.1).
    pub target: u32,
    /// Segments are still being added.
    pub growing: bool,
    /// What is shown; `None`: all.
    pub trim: Option<Trim>,
}

/// One object of consecutive segments.
#[derive(Debug, Clone)]
pub struct Pack {
    pub uri: String,
    /// The initialisation segment it goes with.
    pub init_uri: String,
    pub segments: Vec<Segment>,
    /// What comes before does not lead up to it.
    pub discontinuity: bool,
    /// When its first picture was taken, in a recording.
    pub shown_at: Option<Timestamp>,
}

/// The rounded seconds of the longest of these (RFC 8216 4.3.3.1).
pub fn target_duration(durations: impl IntoIterator<Item = Ticks>) -> u32 {
    let longest = durations.into_iter().max().unwrap_or(0).max(0);
    u32::try_from((longest + TICKS_PER_SECOND / 2) / TICKS_PER_SECOND).unwrap_or(u32::MAX).max(1)
}

/// The multivariant playlist (RFC 8216 4.3.4).
pub fn master(master: &Master) -> String {
    let mut out = String::from("#EXTM3U\n#EXT-X-VERSION:7\n");
    if master.independent {
        out.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    }
    if let Some(audio) = &master.audio {
        line(
            &mut out,
            format_args!(
                "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{AUDIO_GROUP}\",NAME=\"{0}\",LANGUAGE=\"{0}\",\
                 DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"{1}\",URI=\"{2}\"",
                audio.language, audio.channels, audio.uri
            ),
        );
    }
    for variant in &master.variants {
        stream(&mut out, master, variant);
    }
    for variant in &master.variants {
        iframe_stream(&mut out, master, variant);
    }
    out
}

fn stream(out: &mut String, master: &Master, variant: &Variant) {
    let audio = master.audio.as_ref();
    let sound = audio.map_or(&[][..], |audio| &audio.segments[..]);
    let bandwidth = peak(&variant.segments, master.target) + peak(sound, master.target);
    let mean = average(&variant.segments) + average(sound);
    let codecs =
        audio.map_or_else(|| variant.codecs.clone(), |audio| format!("{},{}", variant.codecs, audio.codecs));
    let _ = write!(
        out,
        "#EXT-X-STREAM-INF:BANDWIDTH={bandwidth},AVERAGE-BANDWIDTH={mean},CODECS=\"{codecs}\",\
         RESOLUTION={}x{}",
        variant.width, variant.height,
    );
    // Optional; not every stream states it.
    if variant.frame_rate.num > 0 {
        let _ = write!(out, ",FRAME-RATE={:.3}", variant.frame_rate.as_f64());
    }
    if audio.is_some() {
        let _ = write!(out, ",AUDIO=\"{AUDIO_GROUP}\"");
    }
    line(out, format_args!("\n{}", variant.uri));
}

fn iframe_stream(out: &mut String, master: &Master, variant: &Variant) {
    let keys: Vec<Segment> = variant
        .segments
        .iter()
        .map(|segment| Segment { size_bytes: segment.key_bytes, ..*segment })
        .collect();
    let Some(uri) = &variant.iframes_uri else { return };
    if keys.is_empty() || keys.iter().any(|key| key.size_bytes == 0) {
        return;
    }
    line(
        out,
        format_args!(
            "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"{}\",RESOLUTION={}x{},URI=\"{}\"",
            peak(&keys, master.target),
            average(&keys),
            variant.codecs,
            variant.width,
            variant.height,
            uri
        ),
    );
}

impl Media {
    fn shows(&self, segment: &Segment) -> bool {
        self.trim.is_none_or(|trim| trim.keeps(segment))
    }

    fn shown(&self) -> impl Iterator<Item = &Pack> {
        self.packs.iter().filter(|pack| pack.segments.iter().any(|segment| self.shows(segment)))
    }

    /// Where in the first segment that is shown players begin (RFC 8216 4.3.5.2).
    fn offset(&self) -> Option<Ticks> {
        let trim = self.trim?;
        let first = self.packs.iter().flat_map(|pack| &pack.segments).find(|segment| trim.keeps(segment))?;
        Some(trim.start() - first.start).filter(|offset| *offset > 0)
    }
}

/// A rendition's playlist (RFC 8216 4.3.3): growing until its revision is settled, then VOD.
pub fn media(media: &Media) -> String {
    let mut out = head(media, "");
    let mut init = "";
    // Either all have a range or none, as in recordings: on a connection that is kept, FFmpeg 5.1 asks for the end of the
    // range before where one follows that has none, be it an EXT-X-MAP, and waits for ever.
    let ranged = media.packs.iter().any(|pack| pack.segments.len() > 1);
    for pack in media.shown() {
        seam(&mut out, pack, &mut init);
        let mut offset = 0;
        for segment in &pack.segments {
            let range = ranged.then_some((segment.size_bytes, offset));
            if media.shows(segment) {
                entry(&mut out, segment, range, &pack.uri);
            }
            offset += segment.size_bytes;
        }
    }
    foot(out, media)
}

/// The same rendition by its keyframes alone, for scrubbing (RFC 8216 4.3.3.6).
pub fn iframes(media: &Media) -> String {
    let mut out = head(media, "#EXT-X-I-FRAMES-ONLY\n");
    let mut init = "";
    for pack in media.shown() {
        seam(&mut out, pack, &mut init);
        let mut offset = 0;
        for segment in &pack.segments {
            if media.shows(segment) {
                entry(&mut out, segment, Some((segment.key_bytes, offset)), &pack.uri);
            }
            offset += segment.size_bytes;
        }
    }
    foot(out, media)
}

fn head(media: &Media, more: &str) -> String {
    // Without a start, players take a playlist that grows for a broadcast and begin at its end.
    let start = media.offset().unwrap_or(0);
    let kind = match (media.growing, start) {
        (false, 0) => "VOD".to_owned(),
        (true, 0) => "EVENT\n#EXT-X-START:TIME-OFFSET=0,PRECISE=YES".to_owned(),
        (growing, start) => {
            let kind = if growing { "EVENT" } else { "VOD" };
            format!("{kind}\n#EXT-X-START:TIME-OFFSET={},PRECISE=YES", seconds(start))
        }
    };
    let mut segments = media.packs.iter().flat_map(|pack| &pack.segments);
    // Sound has no keyframes and is independent everywhere; pictures are where every segment has one.
    let first = media.packs.first().and_then(|pack| pack.segments.first());
    let keyed = first.is_some_and(|segment| segment.key_bytes > 0);
    let dependent = keyed && segments.any(|segment| segment.key_bytes == 0);
    let independent = if dependent { "" } else { "#EXT-X-INDEPENDENT-SEGMENTS\n" };
    format!(
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:0\n\
         #EXT-X-PLAYLIST-TYPE:{kind}\n{independent}{more}",
        media.target
    )
}

/// What a pack of a recording begins with where it does not just go on.
fn seam<'a>(out: &mut String, pack: &'a Pack, init: &mut &'a str) {
    if pack.discontinuity {
        out.push_str("#EXT-X-DISCONTINUITY\n");
    }
    if pack.discontinuity || *init != pack.init_uri {
        line(out, format_args!("#EXT-X-MAP:URI=\"{}\"", pack.init_uri));
        *init = &pack.init_uri;
    }
    if let Some(at) = pack.shown_at {
        line(out, format_args!("#EXT-X-PROGRAM-DATE-TIME:{}", at.to_rfc3339()));
    }
}

fn entry(out: &mut String, segment: &Segment, range: Option<(u64, u64)>, uri: &str) {
    line(out, format_args!("#EXTINF:{},", seconds(segment.duration)));
    if let Some((bytes, offset)) = range {
        line(out, format_args!("#EXT-X-BYTERANGE:{bytes}@{offset}"));
    }
    line(out, format_args!("{uri}"));
}

fn foot(mut out: String, media: &Media) -> String {
    if !media.growing {
        out.push_str("#EXT-X-ENDLIST\n");
    }
    out
}

/// Six decimals, rounded: a 90 kHz tick is never lost.
pub fn seconds(ticks: Ticks) -> String {
    let micros = (ticks.max(0) * 1_000_000 + TICKS_PER_SECOND / 2) / TICKS_PER_SECOND;
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = writeln!(out, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(start: Ticks, duration: Ticks, size_bytes: u64, key_bytes: u64) -> Segment {
        Segment { start, duration, size_bytes, key_bytes }
    }

    fn pack(uri: &str, segments: Vec<Segment>) -> Pack {
        let init_uri = "init.mp4".to_owned();
        Pack { uri: uri.to_owned(), init_uri, segments, discontinuity: false, shown_at: None }
    }

    fn rendition(growing: bool) -> Media {
        let first = vec![segment(0, 360_000, 1000, 300)];
        let second = vec![segment(360_000, 360_360, 2000, 400), segment(720_360, 90_001, 500, 200)];
        Media { packs: vec![pack("0-1.m4s", first), pack("1-1.m4s", second)], target: 4, growing, trim: None }
    }

    fn ladder(audio: bool) -> Master {
        let segments: Vec<Segment> =
            rendition(false).packs.into_iter().flat_map(|pack| pack.segments).collect();
        let sound =
            segments.iter().map(|segment| Segment { size_bytes: 100, key_bytes: 0, ..*segment }).collect();
        Master {
            variants: vec![Variant {
                uri: "1/720p/playlist.m3u8".to_owned(),
                iframes_uri: Some("1/720p/iframes.m3u8".to_owned()),
                codecs: "avc1.64001f".to_owned(),
                width: 1280,
                height: 720,
                frame_rate: Fraction { num: 30000, den: 1001 },
                segments,
            }],
            audio: audio.then(|| Audio {
                uri: "1/audio/playlist.m3u8".to_owned(),
                codecs: "mp4a.40.2".to_owned(),
                language: "zh-Hans".to_owned(),
                channels: 2,
                segments: sound,
            }),
            target: 4,
            independent: true,
        }
    }

    #[test]
    fn a_settled_rendition_is_vod_over_byte_ranges() {
        insta::assert_snapshot!(media(&rendition(false)), @r##"
        #EXTM3U
        #EXT-X-VERSION:7
        #EXT-X-TARGETDURATION:4
        #EXT-X-MEDIA-SEQUENCE:0
        #EXT-X-PLAYLIST-TYPE:VOD
        #EXT-X-INDEPENDENT-SEGMENTS
        #EXT-X-MAP:URI="init.mp4"
        #EXTINF:4.000000,
        #EXT-X-BYTERANGE:1000@0
        0-1.m4s
        #EXTINF:4.004000,
        #EXT-X-BYTERANGE:2000@0
        1-1.m4s
        #EXTINF:1.000011,
        #EXT-X-BYTERANGE:500@2000
        1-1.m4s
        #EXT-X-ENDLIST
        "##);
    }

    #[test]
    fn cut_ends_are_left_out_to_the_segment() {
        let text = media(&Media { trim: "5000-".parse().ok(), ..rendition(false) });
        assert!(text.contains("#EXT-X-START:TIME-OFFSET=1.000000,PRECISE=YES\n"), "{text}");
        assert!(!text.contains("0-1.m4s") && text.contains("#EXT-X-BYTERANGE:2000@0\n1-1.m4s"), "{text}");
        let text = media(&Media { trim: "0-4000".parse().ok(), ..rendition(false) });
        assert!(text.contains("0-1.m4s") && !text.contains("1-1.m4s"), "{text}");
    }

    #[test]
    fn a_growing_rendition_is_an_event_that_begins_at_its_beginning() {
        insta::assert_snapshot!(media(&rendition(true)), @r##"
        #EXTM3U
        #EXT-X-VERSION:7
        #EXT-X-TARGETDURATION:4
        #EXT-X-MEDIA-SEQUENCE:0
        #EXT-X-PLAYLIST-TYPE:EVENT
        #EXT-X-START:TIME-OFFSET=0,PRECISE=YES
        #EXT-X-INDEPENDENT-SEGMENTS
        #EXT-X-MAP:URI="init.mp4"
        #EXTINF:4.000000,
        #EXT-X-BYTERANGE:1000@0
        0-1.m4s
        #EXTINF:4.004000,
        #EXT-X-BYTERANGE:2000@0
        1-1.m4s
        #EXTINF:1.000011,
        #EXT-X-BYTERANGE:500@2000
        1-1.m4s
        "##);
    }

    #[test]
    fn a_recording_tells_its_seams() {
        let mut media = rendition(false);
        media.packs[1].discontinuity = true;
        media.packs[1].init_uri = "init-1.mp4".to_owned();
        media.packs[1].shown_at = Some(Timestamp(1_700_000_000_000));
        let text = super::media(&media);
        let seam = "0-1.m4s\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init-1.mp4\"\n\
                    #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20Z\n#EXTINF";
        assert!(text.contains(seam), "{text}");
    }

    #[test]
    fn keyframes_are_prefixes_of_their_segments() {
        insta::assert_snapshot!(iframes(&rendition(false)), @r##"
        #EXTM3U
        #EXT-X-VERSION:7
        #EXT-X-TARGETDURATION:4
        #EXT-X-MEDIA-SEQUENCE:0
        #EXT-X-PLAYLIST-TYPE:VOD
        #EXT-X-INDEPENDENT-SEGMENTS
        #EXT-X-I-FRAMES-ONLY
        #EXT-X-MAP:URI="init.mp4"
        #EXTINF:4.000000,
        #EXT-X-BYTERANGE:300@0
        0-1.m4s
        #EXTINF:4.004000,
        #EXT-X-BYTERANGE:400@0
        1-1.m4s
        #EXTINF:1.000011,
        #EXT-X-BYTERANGE:200@2000
        1-1.m4s
        #EXT-X-ENDLIST
        "##);
    }

    #[test]
    fn the_master_says_what_a_player_needs_to_choose() {
        insta::assert_snapshot!(master(&ladder(true)), @r##"
        #EXTM3U
        #EXT-X-VERSION:7
        #EXT-X-INDEPENDENT-SEGMENTS
        #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="zh-Hans",LANGUAGE="zh-Hans",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="1/audio/playlist.m3u8"
        #EXT-X-STREAM-INF:BANDWIDTH=4317,AVERAGE-BANDWIDTH=3377,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO="audio"
        1/720p/playlist.m3u8
        #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=960,AVERAGE-BANDWIDTH=800,CODECS="avc1.64001f",RESOLUTION=1280x720,URI="1/720p/iframes.m3u8"
        "##);
    }

    #[test]
    fn a_silent_video_has_no_audio_group() {
        let text = master(&ladder(false));
        assert!(!text.contains("AUDIO") && text.contains("CODECS=\"avc1.64001f\""), "{text}");
    }

    #[test]
    fn a_target_duration_is_rounded_to_the_nearest_second() {
        assert_eq!(target_duration([360_000, 404_999]), 4);
        assert_eq!(target_duration([405_000]), 5);
        assert_eq!(target_duration([]), 1);
    }
}
