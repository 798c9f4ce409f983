//! Sources whose clock is set anew on the way: joined pieces, encoders started again, and captures cut together.

use super::{Through, assert_at, assert_near, flashing, through};
use crate::media::proof::{Clip, clip};

const TS: &str = "-c:v libx264 -preset ultrafast -g 50 -pix_fmt yuv420p -c:a aac";

/// So many bytes that a source is too large to be read whole for its own sake.
const LARGE: usize = 70 << 20;

fn bytes(clip: &Clip) -> Vec<u8> {
    std::fs::read(&clip.path).expect("a clip")
}

/// Empty packets of a transport stream (ISO/IEC 13818-1 2.4.1).
fn stuffing(size: usize) -> Vec<u8> {
    let packet = [[0x47, 0x1f, 0xff, 0x10].as_slice(), &[0xff; 184]].concat();
    packet.repeat(size / 188)
}

/// Each second of the pieces has its flash and its beep, at the same time in every rung and the sound.
fn assert_together(made: &Through, wanted: &[f64], seconds: f64) {
    assert!((made.seconds() - seconds).abs() < 0.2, "{} s, wanted {seconds}", made.seconds());
    for flashes in made.flashes() {
        assert_at("flashes", &flashes, wanted);
        assert_at("beeps", &made.beeps(), &flashes);
    }
    assert!(made.probe.warnings.is_empty(), "{:?}", made.probe.warnings);
    made.judge();
}

#[test]
fn a_stream_joined_four_times_with_itself_plays_four_times() {
    let piece = flashing("piece.ts", (6, 6), TS);
    let joined = bytes(&piece).repeat(4);
    let made = through(&piece.replaced(&joined).path);
    let wanted: Vec<f64> = (0..12).map(|at| f64::from(at) * 2.0 + 1.0).collect();
    assert_together(&made, &wanted, 24.0);
}

#[test]
fn joined_streams_too_large_to_be_read_for_nothing_play_to_the_end_of_the_last() {
    let piece = flashing("piece.ts", (6, 6), TS);
    let one = [bytes(&piece), stuffing(LARGE / 2)].concat();
    let made = through(&piece.replaced(&one.repeat(2)).path);
    assert_together(&made, &[1.0, 3.0, 5.0, 7.0, 9.0, 11.0], 12.0);
}

#[test]
fn a_clock_that_jumps_an_hour_ahead_is_no_hour_of_a_still() {
    for offset in ["3600", "20"] {
        let first = flashing("first.ts", (6, 6), TS);
        let second =
            clip("second.ts", &format!("-i {} -c copy -output_ts_offset {offset}", first.path.display()));
        let joined = [bytes(&first), bytes(&second)].concat();
        assert_together(&through(&first.replaced(&joined).path), &[1.0, 3.0, 5.0, 7.0, 9.0, 11.0], 12.0);
    }
}

#[test]
fn pieces_of_other_clocks_codecs_and_lengths_follow_each_other() {
    let pieces = [(4, 4, 900), (6, 7, 100), (6, 5, 5000)].map(|(pictures, sound, offset)| {
        let coded = format!("{TS} -output_ts_offset {offset}");
        bytes(&flashing("piece.ts", (pictures, sound), &coded))
    });
    let joined = flashing("joined.ts", (1, 1), TS).replaced(&pieces.concat());
    let made = through(&joined.path);
    // The second piece's sound is a second longer than its pictures, and isn't cut for them.
    assert!((made.seconds() - 17.0).abs() < 0.3, "{} s", made.seconds());
    for flashes in made.flashes() {
        // Where nothing may be cut, each joint may add a little.
        assert_near("flashes", &flashes, (&[1.0, 3.0, 5.0, 7.0, 9.0, 12.0, 14.0, 16.0], 0.15));
        assert_at("beeps", &made.beeps(), &flashes[..7]);
    }
}

#[test]
fn joined_programme_streams_play_all_their_pieces_too() {
    let piece = flashing("piece.mpg", (6, 6), "-c:v mpeg2video -b:v 1M -c:a mp2");
    let joined = bytes(&piece).repeat(3);
    let wanted: Vec<f64> = (0..9).map(|at| f64::from(at) * 2.0 + 1.0).collect();
    assert_together(&through(&piece.replaced(&joined).path), &wanted, 18.0);
}

#[test]
fn a_recorder_s_file_that_begins_anew_plays_both_its_parts() {
    let part = flashing("part.flv", (6, 6), TS);
    let (whole, header) = (bytes(&part), 13);
    let joined = [&whole[..], &whole[header..]].concat();
    assert_together(&through(&part.replaced(&joined).path), &[1.0, 3.0, 5.0, 7.0, 9.0, 11.0], 12.0);
}

#[test]
fn a_clock_that_runs_over_is_no_other_clock() {
    // 2^33 ticks are 95443.7 s.
    let made = through(&flashing("over.ts", (6, 6), &format!("{TS} -output_ts_offset 95440")).path);
    assert_together(&made, &[1.0, 3.0, 5.0], 6.0);
}

/// Writes another time into the `nth` packet of a stream that says its time (ISO/IEC 13818-1 2.4.3.7).
fn with_time(stream: &mut [u8], (id, nth): (u8, usize), seconds: u64) {
    let starts: Vec<usize> = stream
        .windows(8)
        .enumerate()
        .filter(|(_, bytes)| bytes.starts_with(&[0, 0, 1, id]) && bytes[7] & 0x80 != 0)
        .map(|(at, _)| at)
        .collect();
    let (at, time) = (starts[nth], seconds * 90_000);
    let both = stream[at + 7] & 0x40 != 0;
    for (field, mark) in [(9, if both { 3 } else { 2 }), (14, 1)].into_iter().take(if both { 2 } else { 1 }) {
        stream[at + field..at + field + 5].copy_from_slice(&coded(mark, time));
    }
}

/// A time as a packet tells it.
fn coded(mark: u8, time: u64) -> [u8; 5] {
    let byte = |shift: u32, mask: u64| u8::try_from(time >> shift & mask).expect("masked");
    [
        mark << 4 | byte(30, 7) << 1 | 1,
        byte(22, 255),
        byte(15, 127) << 1 | 1,
        byte(7, 255),
        byte(0, 127) << 1 | 1,
    ]
}

#[test]
fn single_times_that_lie_cost_nothing_that_comes_after() {
    let clip = flashing("lies.ts", (9, 9), TS);
    let mut stream = bytes(&clip);
    for (packet, seconds) in [((0xe0, 60), 3600), ((0xe0, 130), 0), ((0xc0, 8), 7000), ((0xc0, 16), 0)] {
        with_time(&mut stream, packet, seconds);
    }
    let made = through(&clip.replaced(&stream).path);
    assert_eq!(made.probe.video.clock.discontinuities, []);
    assert_together(&made, &[1.0, 3.0, 5.0, 7.0], 9.0);
}

#[test]
fn slides_that_stand_for_long_beside_their_sound_have_one_clock() {
    let slides = "-f lavfi -t 40 -i testsrc2=s=320x180:r=1/12 -f lavfi -t 40 -i sine=r=48000";
    let made = through(&clip("slides.ts", &format!("{slides} {TS}")).path);
    assert_eq!(made.probe.video.clock.discontinuities, []);
    assert!((made.seconds() - 40.0).abs() < 0.1, "{} s", made.seconds());
}

/// Moves the clock of a transport stream's streams with these PIDs (ISO/IEC 13818-1 2.4.3.2).
fn moved(stream: &mut [u8], pids: &[u16], seconds: u64) {
    for packet in stream.chunks_exact_mut(188) {
        let pid = u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
        let begins = packet[1] & 0x40 != 0;
        let adaptation = if packet[3] & 0x20 != 0 { usize::from(packet[4]) + 1 } else { 0 };
        let at = 4 + adaptation;
        if !pids.contains(&pid) || !begins || at + 19 > 188 || packet[at + 7] & 0x80 == 0 {
            continue;
        }
        let fields = if packet[at + 7] & 0x40 != 0 { &[9, 14][..] } else { &[9][..] };
        for field in fields {
            let told = &mut packet[at + field..at + field + 5];
            let bits = |byte: u8, shift: u32| u64::from(byte) << shift;
            let time =
                bits(told[0] & 0x0e, 29) | bits(told[1], 22) | bits(told[2] >> 1, 15) | bits(told[3], 7);
            let time = (time | bits(told[4] >> 1, 0)) + seconds * 90_000;
            let mark = told[0] >> 4;
            told.copy_from_slice(&coded(mark, time));
        }
    }
}

#[test]
fn another_programme_with_a_clock_of_its_own_disturbs_nothing() {
    let pair = flashing("pair.ts", (9, 9), TS);
    let path = pair.path.display();
    let programmes = "-program title=one:st=0:st=1 -program title=two:st=2:st=3";
    let both = clip(
        "both.ts",
        &format!(
            "-i {path} -i {path} -map 0 -map 1 -c copy {programmes} -streamid 0:256 -streamid 1:257 -streamid 2:258 -streamid 3:259"
        ),
    );
    let mut stream = bytes(&both);
    moved(&mut stream, &[258, 259], 5000);
    let made = through(&both.replaced(&stream).path);
    assert_eq!(made.probe.video.clock.discontinuities, []);
    assert_eq!(made.probe.video.clock.wrong_stamps, Vec::<u64>::new());
    assert_together(&made, &[1.0, 3.0, 5.0, 7.0], 9.0);
}
