//! LL-HLS playlists as pure functions of the window (draft-pantos-hls-rfc8216bis).

use std::fmt::Write;

use super::window::{Closed, Listed, PART_TARGET, Part, Track, Window};
use crate::domain::Timestamp;
use crate::domain::media::{TICKS_PER_SECOND, Ticks};
use crate::media::playlist;

/// A delta playlist may leave out what is older than this many target durations (RFC 8216bis 6.2.5.1).
const SKIP_TARGETS: u32 = 6;
/// A delta saves nothing below this.
const LEAST_SKIPPED: usize = 4;

/// What is left of a segment of sound and shorter than two frames makes no part.
const LEAST_PART: Ticks = TICKS_PER_SECOND / 20;

/// How a playlist is asked for.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    pub rung: &'a str,
    /// Leave out what the client knows (`_HLS_skip`).
    pub skip: bool,
    /// Seconds, rounded, no segment is longer than.
    pub target: u32,
    /// Goes to the end of every address: empty, or `?token=…`.
    pub query: &'a str,
}

/// The file name of a segment.
pub fn segment_name(number: u32, epoch: u32) -> String {
    format!("{number}-{epoch}.m4s")
}

/// The file name of a part.
pub fn part_name(number: u32, epoch: u32, part: u32) -> String {
    format!("{number}-{epoch}.{part}.m4s")
}

/// The file name of an initialisation segment.
pub fn init_name(number: u32) -> String {
    if number == 0 { "init.mp4".to_owned() } else { format!("init-{number}.mp4") }
}

/// One rung's playlist; `None` where there is no such rung.
pub fn media(window: &Window, view: View<'_>) -> Option<String> {
    let track = window.track(view.rung)?;
    let mut out = head(window, track, view);
    if let Some(before_end) = start(track).filter(|_| !window.over) {
        line(&mut out, format_args!("#EXT-X-START:TIME-OFFSET=-{}", seconds(before_end)));
    }
    let skipped = if view.skip { skippable(track, view.target) } else { 0 };
    if skipped > 0 {
        line(&mut out, format_args!("#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}"));
    }
    let mut init = None;
    for (at, listed) in track.closed.iter().enumerate() {
        let known = at < skipped;
        segment(&mut out, listed, view, (known, init != Some(listed.closed.init)));
        init = Some(listed.closed.init);
    }
    if window.over {
        out.push_str("#EXT-X-ENDLIST\n");
        return Some(out);
    }
    let breaks = track.parts.first().is_some_and(|part| part.discontinuity);
    if breaks {
        out.push_str("#EXT-X-DISCONTINUITY\n");
    }
    if breaks || init != Some(track.init.number) {
        map(&mut out, track.init.number, view);
    }
    // Players that join what is on both sides of a discontinuity by the clock don't wait for the segment to be whole.
    if let Some(at) = track.parts.first().and_then(|part| part.shown_at) {
        line(&mut out, format_args!("#EXT-X-PROGRAM-DATE-TIME:{}", date_time(at)));
    }
    let next = next(window, track);
    for part in &track.parts {
        part_line(&mut out, part, &part_name(track.open, window.epoch, part.number), view);
    }
    let hint = part_name(next.0, window.epoch, next.1);
    line(&mut out, format_args!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{hint}{}\"", view.query));
    reports(&mut out, window, view);
    Some(out)
}

/// The segment and part that come next. Sound that has come to where its pictures began another segment does the same:
/// shaka-player gives up on a part that it was told of and that never comes.
fn next(window: &Window, track: &Track) -> (u32, u32) {
    let Some(last) = track.parts.last() else { return (track.open, 0) };
    let pictures = window.tracks.first().and_then(|source| {
        let mut closed = source.closed.iter().rev().map(|listed| &listed.closed);
        closed.find(|closed| closed.number == track.open && !closed.gap)
    });
    let is_whole = pictures.is_some_and(|closed| {
        last.start + last.duration + LEAST_PART > closed.segment.start + closed.segment.duration
    });
    if is_whole { (track.open + 1, 0) } else { (track.open, last.number + 1) }
}

fn head(window: &Window, track: &Track, view: View<'_>) -> String {
    let hold_back = seconds(PART_TARGET * 3);
    let part_target = seconds(PART_TARGET);
    let mut out = format!(
        "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:{}\n\
         #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={hold_back},CAN-SKIP-UNTIL={}.0,HOLD-BACK={}.0\n\
         #EXT-X-PART-INF:PART-TARGET={part_target}\n#EXT-X-MEDIA-SEQUENCE:{}\n",
        view.target,
        view.target * SKIP_TARGETS,
        view.target * 3,
        track.first(),
    );
    if window.over {
        // No more parts come: nothing but the list is left.
        out = format!(
            "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:{}\n",
            view.target,
            track.first()
        );
    }
    if track.removed.discontinuities > 0 {
        line(&mut out, format_args!("#EXT-X-DISCONTINUITY-SEQUENCE:{}", track.removed.discontinuities));
    }
    out
}

/// How far before the end viewers begin (RFC 8216bis 4.4.2.2), where they would begin within a segment that no keyframe
/// begins: browsers show nothing before the first one they are given, and hls.js does not look further.
fn start(track: &Track) -> Option<Ticks> {
    let end_of = |listed: &Listed| listed.closed.segment.start + listed.closed.segment.duration;
    let end = track.parts.last().map(|part| part.start + part.duration);
    let end = end.or(track.closed.back().map(end_of))?;
    let usual = end - PART_TARGET * 3;
    let is_open = track.parts.first().filter(|first| first.start <= usual);
    let mut before = track.closed.iter().rev().skip_while(|listed| listed.closed.segment.start > usual);
    let is_keyed = match is_open {
        Some(first) => first.independent,
        None => before.next().is_none_or(|listed| listed.closed.gap || listed.closed.segment.key_bytes > 0),
    };
    if is_keyed || track.init.form.is_audio() {
        return None;
    }
    before.find(|listed| listed.closed.segment.key_bytes > 0).map(|listed| end - listed.closed.segment.start)
}

/// How many segments from the first are old enough to be left out; nothing of what is skipped is needed again.
fn skippable(track: &Track, target: u32) -> usize {
    let end = track.closed.back().map_or(0, |last| last.closed.segment.start + last.closed.segment.duration);
    let until = end - Ticks::from(target * SKIP_TARGETS) * TICKS_PER_SECOND;
    let old = |listed: &&Listed| listed.closed.segment.start + listed.closed.segment.duration <= until;
    let count = track.closed.iter().take_while(old).count();
    if count >= LEAST_SKIPPED { count } else { 0 }
}

fn segment(out: &mut String, listed: &Listed, view: View<'_>, (known, changes_init): (bool, bool)) {
    let closed = &listed.closed;
    if known {
        return;
    }
    // Always told, also at the head of the window: players count them against DISCONTINUITY-SEQUENCE.
    if closed.discontinuity {
        out.push_str("#EXT-X-DISCONTINUITY\n");
    }
    if changes_init || closed.discontinuity {
        map(out, closed.init, view);
    }
    line(out, format_args!("#EXT-X-PROGRAM-DATE-TIME:{}", date_time(closed.shown_at)));
    for part in &listed.parts {
        part_line(out, part, &part_name(closed.number, closed.epoch, part.number), view);
    }
    if closed.gap {
        out.push_str("#EXT-X-GAP\n");
    }
    let name = segment_name(closed.number, closed.epoch);
    line(out, format_args!("#EXTINF:{},\n{name}{}", seconds(closed.segment.duration), view.query));
}

fn map(out: &mut String, number: u32, view: View<'_>) {
    line(out, format_args!("#EXT-X-MAP:URI=\"{}{}\"", init_name(number), view.query));
}

fn part_line(out: &mut String, part: &Part, name: &str, view: View<'_>) {
    let independent = if part.independent { ",INDEPENDENT=YES" } else { "" };
    let duration = seconds(part.duration);
    line(out, format_args!("#EXT-X-PART:DURATION={duration},URI=\"{name}{}\"{independent}", view.query));
}

fn reports(out: &mut String, window: &Window, view: View<'_>) {
    for track in window.tracks.iter().filter(|track| track.init.rung != view.rung) {
        if let Some((segment, part)) = track.newest() {
            let rung = &track.init.rung;
            line(
                out,
                format_args!(
                    "#EXT-X-RENDITION-REPORT:URI=\"../{rung}/playlist.m3u8{}\",LAST-MSN={segment},LAST-PART={part}",
                    view.query
                ),
            );
        }
    }
}

/// The multivariant playlist of a running channel; `None` before anything can be played.
pub fn master(window: &Window, view: MasterView<'_>) -> Option<String> {
    if !window.is_playable() {
        return None;
    }
    let uri = |rung: &str, file: &str| format!("{}/{rung}/{file}{}", view.revision, view.query);
    let audio = window.tracks.iter().find(|track| track.init.form.is_audio() && track.newest().is_some());
    let audio = audio.map(|track| playlist::Audio {
        uri: uri(&track.init.rung, "playlist.m3u8"),
        codecs: track.init.codecs.clone(),
        language: view.language.to_owned(),
        channels: if let super::window::Form::Audio { channels } = track.init.form { channels } else { 2 },
        segments: segments(track),
    });
    // Nobody is sent to a rung that is missing right now. The source is what there is: after a tenure that was cut off
    // it ends in a gap until the next one has closed a segment.
    let source = window.tracks.first().map(|track| track.init.rung.as_str());
    let flows = |track: &&Track| {
        let whole = track.closed.back().is_some_and(|listed| !listed.closed.gap);
        whole || Some(track.init.rung.as_str()) == source
    };
    let pictures = window.tracks.iter().filter(flows);
    let variants: Vec<_> = pictures
        .filter_map(|track| {
            let super::window::Form::Video { width, height, frame_rate } = track.init.form else {
                return None;
            };
            Some(playlist::Variant {
                uri: uri(&track.init.rung, "playlist.m3u8"),
                iframes_uri: None,
                codecs: track.init.codecs.clone(),
                width,
                height,
                frame_rate,
                segments: segments(track),
            })
        })
        .collect();
    (!variants.is_empty()).then(|| {
        playlist::master(&playlist::Master { variants, audio, target: view.target, independent: false })
    })
}

/// How a master is asked for.
#[derive(Debug, Clone, Copy)]
pub struct MasterView<'a> {
    pub revision: u32,
    pub language: &'a str,
    pub target: u32,
    pub query: &'a str,
}

/// The rates of a master are measured on these.
fn segments(track: &Track) -> Vec<crate::domain::media::Segment> {
    let has = |closed: &&Closed| !closed.gap;
    track.closed.iter().map(|listed| &listed.closed).filter(has).map(|closed| closed.segment).collect()
}

/// Five decimals would lose a 90 kHz tick.
fn seconds(ticks: Ticks) -> String {
    playlist::seconds(ticks)
}

fn date_time(at: Timestamp) -> String {
    at.to_rfc3339()
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = writeln!(out, "{text}");
}

#[cfg(test)]
mod tests {
    use super::super::window::tests::{S, closed, filled, init, part};
    use super::super::window::{News, Window};
    use super::*;

    fn told(window: &Window, skip: bool) -> String {
        media(window, View { rung: "720p", skip, target: 2, query: "" }).expect("a rung")
    }

    #[test]
    fn the_live_edge_is_told_in_parts() {
        insta::assert_snapshot!(told(&filled(2, 2, None), false), @r##"
        #EXTM3U
        #EXT-X-VERSION:9
        #EXT-X-TARGETDURATION:2
        #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.050000,CAN-SKIP-UNTIL=12.0,HOLD-BACK=6.0
        #EXT-X-PART-INF:PART-TARGET=0.350000
        #EXT-X-MEDIA-SEQUENCE:0
        #EXT-X-MAP:URI="init.mp4"
        #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20Z
        #EXT-X-PART:DURATION=0.333333,URI="0-1.0.m4s",INDEPENDENT=YES
        #EXT-X-PART:DURATION=0.333333,URI="0-1.1.m4s"
        #EXT-X-PART:DURATION=0.333333,URI="0-1.2.m4s"
        #EXT-X-PART:DURATION=0.333333,URI="0-1.3.m4s"
        #EXT-X-PART:DURATION=0.333333,URI="0-1.4.m4s"
        #EXT-X-PART:DURATION=0.333333,URI="0-1.5.m4s"
        #EXTINF:2.000000,
        0-1.m4s
        #EXT-X-DISCONTINUITY
        #EXT-X-MAP:URI="init.mp4"
        #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:22Z
        #EXT-X-PART:DURATION=0.333333,URI="1-1.0.m4s",INDEPENDENT=YES
        #EXT-X-PART:DURATION=0.333333,URI="1-1.1.m4s"
        #EXT-X-PART:DURATION=0.333333,URI="1-1.2.m4s"
        #EXT-X-PART:DURATION=0.333333,URI="1-1.3.m4s"
        #EXT-X-PART:DURATION=0.333333,URI="1-1.4.m4s"
        #EXT-X-PART:DURATION=0.333333,URI="1-1.5.m4s"
        #EXTINF:2.000000,
        1-1.m4s
        #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:24Z
        #EXT-X-PART:DURATION=0.333333,URI="2-1.0.m4s",INDEPENDENT=YES
        #EXT-X-PART:DURATION=0.333333,URI="2-1.1.m4s"
        #EXT-X-PRELOAD-HINT:TYPE=PART,URI="2-1.2.m4s"
        #EXT-X-RENDITION-REPORT:URI="../audio/playlist.m3u8",LAST-MSN=2,LAST-PART=1
        "##);
    }

    #[test]
    fn a_segment_that_a_lower_rung_lacks_is_told_as_a_gap_and_nobody_is_sent_there() {
        let mut window = filled(1, 0, None);
        let of_lower = [init("360p", 1), part("360p", 0, 0), closed("360p", 0), part("360p", 1, 0)];
        for news in of_lower.iter().chain(&[part("720p", 1, 0), closed("720p", 1)]) {
            window.apply(news);
        }
        let view = MasterView { revision: 1, language: "en", target: 2, query: "" };
        let offers = |window: &Window| master(window, view).is_some_and(|text| text.contains("1/360p/"));
        assert!(offers(&window));
        window.apply(&News::Missed { rung: "360p".to_owned(), through: 1 });
        assert!(!offers(&window));
        let text = media(&window, View { rung: "360p", skip: false, target: 2, query: "" }).expect("a rung");
        let gap = "#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init.mp4\"\n\
                   #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:22Z\n#EXT-X-GAP\n#EXTINF:2.000000,\n1-1.m4s\n\
                   #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"2-1.0.m4s\"\n";
        assert!(text.contains(gap), "{text}");
        window.apply(&part("360p", 2, 0));
        window.apply(&closed("360p", 2));
        assert!(offers(&window));
    }

    #[test]
    fn whoever_comes_after_a_tenure_that_was_cut_off_is_sent_to_the_source() {
        let mut window = filled(3, 2, None);
        window.apply(&News::Tenure { epoch: 2, next: 4, lost: 1 });
        let view = MasterView { revision: 1, language: "en", target: 2, query: "" };
        assert!(master(&window, view).is_some_and(|text| text.contains("1/720p/")));
    }

    #[test]
    fn sound_that_has_come_to_the_end_of_its_pictures_goes_on_with_the_next_segment() {
        let mut window = filled(3, 0, None);
        let hint = |window: &Window| {
            let text =
                media(window, View { rung: "audio", skip: false, target: 2, query: "" }).expect("a rung");
            text.lines().find(|line| line.starts_with("#EXT-X-PRELOAD-HINT")).map(str::to_owned)
        };
        let of = |name: &str| Some(format!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{name}\""));
        window.apply(&closed("720p", 3));
        (0..5).for_each(|number| window.apply(&part("audio", 3, number)));
        assert_eq!(hint(&window), of("3-1.5.m4s"));
        window.apply(&part("audio", 3, 5));
        assert_eq!(hint(&window), of("4-1.0.m4s"));
    }

    #[test]
    fn a_delta_leaves_out_what_is_old() {
        let text = told(&filled(20, 1, None), true);
        assert!(text.contains("#EXT-X-SKIP:SKIPPED-SEGMENTS=14\n"), "{text}");
        assert!(!text.contains("\n13-1.m4s") && text.contains("\n14-1.m4s"), "{text}");
    }

    #[test]
    fn whoever_comes_within_a_segment_without_a_keyframe_is_sent_to_the_last_one_with() {
        let mut window = filled(4, 0, None);
        let start = |window: &Window, rung| {
            let text = media(window, View { rung, skip: false, target: 2, query: "" }).expect("a rung");
            text.lines().find_map(|line| line.strip_prefix("#EXT-X-START:").map(str::to_owned))
        };
        assert_eq!(start(&window, "720p"), None);
        let News::Closed { mut closed, .. } = closed("720p", 4) else { panic!("no segment") };
        closed.segment.key_bytes = 0;
        window.apply(&News::Closed { rung: "720p".to_owned(), closed });
        assert_eq!(start(&window, "720p").as_deref(), Some("TIME-OFFSET=-4.000000"));
        assert_eq!(start(&window, "audio"), None);
        // Far enough into one with a keyframe, viewers begin with that.
        (0..2).for_each(|number| window.apply(&part("720p", 5, number)));
        assert!(start(&window, "720p").is_some());
        (2..6).for_each(|number| window.apply(&part("720p", 5, number)));
        assert_eq!(start(&window, "720p"), None);
    }

    #[test]
    fn a_window_counts_what_has_left_it() {
        let text = told(&filled(40, 0, Some(30 * S)), false);
        assert!(text.contains("#EXT-X-MEDIA-SEQUENCE:25\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n"), "{text}");
    }

    #[test]
    fn at_the_end_only_whole_segments_are_left() {
        let mut window = filled(2, 2, None);
        window.apply(&News::Over);
        let text = told(&window, false);
        assert!(text.ends_with("1-1.m4s\n#EXT-X-ENDLIST\n"), "{text}");
        assert!(!text.contains("PRELOAD-HINT") && !text.contains("SERVER-CONTROL"), "{text}");
    }

    #[test]
    fn a_token_goes_to_every_address() {
        let view = View { rung: "720p", skip: false, target: 2, query: "?token=t" };
        let text = media(&filled(1, 1, None), view).expect("a rung");
        for at in text.match_indices(".m") {
            assert!(
                text[at.0..].split(['"', '\n']).next().is_some_and(|rest| rest.ends_with("?token=t")),
                "{text}"
            );
        }
    }
}
