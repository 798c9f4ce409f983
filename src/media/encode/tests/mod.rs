//! The chunk task judged by FFmpeg: what comes out of odd sources, and that chunks join without a seam.

mod changes;
mod colours;
mod losses;

use crate::domain::media::{Coding, Fraction, Rung, TICKS_PER_SECOND as S, Ticks};
use crate::media::proof::{Clip, Heard, chunk, clip, encoded, judge, probe, rung, split};
use crate::media::task::Chunk;

const RATE: Fraction = Fraction { num: 25, den: 1 };
const X264: &str = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p";

fn two_rungs() -> Vec<Rung> {
    vec![rung("180p", 320, 180, RATE), rung("90p", 160, 90, RATE)]
}

/// Encodes, judges every rung, and gives the boundaries they share.
fn boundaries(clip: &Clip, chunks: &[Chunk]) -> Vec<Ticks> {
    let encoded = encoded(clip, chunks);
    assert_eq!(encoded.0.failed, Vec::<String>::new());
    assert_eq!(encoded.0.tracks.len(), chunks[0].rungs.len());
    judged(clip, &encoded)
}

/// The same of what is encoded already.
fn judged(clip: &Clip, (heard, ended): &(Heard, Ticks)) -> Vec<Ticks> {
    let mut all = heard.tracks.values().map(super::super::proof::Track::edges).collect::<Vec<_>>();
    for (name, track) in &heard.tracks {
        judge(clip, name, track);
    }
    all.dedup();
    assert_eq!(all.len(), 1, "rungs have different boundaries");
    let edges = all.remove(0);
    assert_eq!(edges.last(), Some(ended));
    edges
}

fn size_of(clip: &Clip, chunk: &Chunk) -> (u64, u64, String) {
    let (heard, _) = encoded(clip, std::slice::from_ref(chunk));
    let track = heard.tracks.values().next().expect("a rung");
    let told = probe(&clip.beside("out.mp4", &track.whole()), &["-show_streams"]);
    let stream = &told["streams"][0];
    let tags =
        ["pix_fmt", "color_range", "color_space", "color_transfer", "color_primaries", "sample_aspect_ratio"];
    let tags = tags.map(|tag| stream[tag].as_str().unwrap_or("-").to_owned());
    (stream["width"].as_u64().unwrap_or(0), stream["height"].as_u64().unwrap_or(0), tags.join(" "))
}

const TAGS: &str = "yuv420p tv bt709 bt709 bt709 1:1";

#[test]
fn two_chunks_encoded_apart_join_without_a_seam() {
    let clip = clip("a.mp4", &format!("-f lavfi -i testsrc2=s=320x180:r=25:d=9 {X264} -g 60 -bf 2"));
    let whole = chunk(&clip, &[0, 4 * S, 8 * S], 9 * S, two_rungs());
    assert_eq!(boundaries(&clip, &split(&whole, 1)), [0, 4 * S, 8 * S, 9 * S]);
}

#[test]
fn reordered_pictures_of_a_thorough_preset_keep_their_times() {
    let clip = clip("a.mp4", &format!("-f lavfi -i testsrc2=s=320x180:r=25:d=9 {X264}"));
    let mut rungs = two_rungs();
    for rung in &mut rungs {
        if let Coding::H264 { preset, .. } = &mut rung.coding {
            "medium".clone_into(preset);
        }
    }
    let whole = chunk(&clip, &[0, 4 * S, 8 * S], 9 * S, rungs);
    assert_eq!(boundaries(&clip, &split(&whole, 2)), [0, 4 * S, 8 * S, 9 * S]);
}

#[test]
fn a_pause_of_ten_seconds_leaves_no_segment_empty() {
    let pause = "-vf setpts=PTS+if(gte(N\\,25)\\,10/TB\\,0) -vsync vfr";
    let clip = clip("a.mkv", &format!("-f lavfi -i testsrc2=s=320x180:r=25:d=2 {pause} {X264} -g 20"));
    let whole = chunk(&clip, &[0, 4 * S, 8 * S], 12 * S, two_rungs());
    let joined = boundaries(&clip, &split(&whole, 2));
    assert_eq!(joined, [0, 4 * S, 8 * S, 12 * S]);
    assert_eq!(boundaries(&clip, &[whole]), joined);
}

#[test]
fn a_single_picture_is_held_to_the_end() {
    let clip = clip("a.mkv", &format!("-f lavfi -i testsrc2=s=320x180:r=25:d=0.04 {X264}"));
    let whole = chunk(&clip, &[0, 4 * S, 8 * S], 10 * S, two_rungs());
    assert_eq!(boundaries(&clip, &split(&whole, 1)), [0, 4 * S, 8 * S, 10 * S]);
}

#[test]
fn a_web_friendly_source_is_cut_where_the_other_rungs_are() {
    let clip =
        clip("a.mp4", &format!("-f lavfi -i testsrc2=s=320x180:r=25:d=9 {X264} -g 50 -bf 3 -b_strategy 0"));
    let mut rungs = two_rungs();
    rungs[0].coding = Coding::Copy;
    let whole = chunk(&clip, &[0, 4 * S, 6 * S], 9 * S, rungs);
    assert_eq!(boundaries(&clip, &split(&whole, 1)), [0, 4 * S, 6 * S, 9 * S]);
    let copied = Chunk { rungs: whole.rungs[..1].to_vec(), ..whole };
    assert_eq!(boundaries(&clip, &split(&copied, 2)), [0, 4 * S, 6 * S, 9 * S]);
}

#[test]
fn a_transport_stream_is_passed_through_and_joined_as_well() {
    let clip = clip("a.ts", &format!("-f lavfi -i testsrc2=s=320x180:r=25:d=9 {X264} -g 50 -bf 2"));
    let mut rungs = two_rungs();
    rungs[0].coding = Coding::Copy;
    let whole = chunk(&clip, &[0, 4 * S], 9 * S, rungs);
    assert_eq!(boundaries(&clip, &split(&whole, 1)), [0, 4 * S, 9 * S]);
}

#[test]
fn sixty_pictures_a_second_are_kept_and_more_are_halved() {
    for (rate, kept) in [(60, 240), (120, 240)] {
        let clip = clip("a.mp4", &format!("-f lavfi -i testsrc2=s=160x90:r={rate}:d=4 {X264}"));
        let whole = chunk(&clip, &[0], 4 * S, vec![rung("90p", 160, 90, Fraction { num: 60, den: 1 })]);
        let (heard, _) = encoded(&clip, &[whole]);
        let path = clip.beside("out.mp4", &heard.tracks["90p"].whole());
        let told = probe(&path, &["-count_packets", "-show_streams"]);
        assert_eq!(told["streams"][0]["nb_read_packets"], kept.to_string());
    }
}

#[test]
fn pictures_come_out_upright_even_and_tagged_whatever_went_in() {
    let sources = [
        ("odd.mkv", "-c:v ffv1", "yuv444p", "101x75"),
        ("deep.mkv", "-c:v ffv1", "yuv420p10le", "100x74"),
        ("grey.mkv", "-c:v ffv1", "gray16le", "100x74"),
        ("alpha.mov", "-c:v qtrle", "argb", "100x74"),
        ("palette.avi", "-c:v rawvideo", "pal8", "100x74"),
        ("full.mkv", "-c:v mjpeg", "yuvj420p", "100x74"),
    ];
    for (name, codec, format, size) in sources {
        let clip = clip(name, &format!("-f lavfi -i testsrc2=s={size}:r=10:d=1 -pix_fmt {format} {codec}"));
        let mut task = chunk(&clip, &[0], S, vec![rung("74p", 100, 74, RATE)]);
        assert_eq!(size_of(&clip, &task), (100, 74, TAGS.to_owned()), "{name}");
        task.video.rotation = 90;
        task.rungs = vec![rung("74p", 74, 100, RATE)];
        assert_eq!(size_of(&clip, &task), (74, 100, TAGS.to_owned()), "{name}, turned");
    }
}

#[test]
fn interlaced_and_bright_pictures_are_encoded_as_plain_ones() {
    let sources = [
        ("interlaced.ts", "-vf tinterlace=interleave_top,fieldorder=tff -c:v mpeg2video -flags +ildct+ilme"),
        (
            "hdr.mkv",
            "-vf format=yuv420p10le -c:v ffv1 -color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc",
        ),
    ];
    for (name, codec) in sources {
        let clip = clip(name, &format!("-f lavfi -i testsrc2=s=160x90:r=50:d=2 {codec}"));
        let task = chunk(&clip, &[0], 2 * S, vec![rung("90p", 160, 90, RATE)]);
        assert!(task.video.interlaced || task.video.hdr, "{name} is not what it should be");
        assert_eq!(size_of(&clip, &task), (160, 90, TAGS.to_owned()), "{name}");
        assert_eq!(boundaries(&clip, &[task]), [0, 2 * S]);
    }
}

#[test]
fn a_size_that_changes_on_the_way_is_scaled_to_the_rung() {
    let small = clip("a.ts", &format!("-f lavfi -i testsrc2=s=160x90:r=25:d=2 {X264}"));
    let large = clip("b.ts", &format!("-f lavfi -i testsrc2=s=320x180:r=25:d=2 {X264} -output_ts_offset 2"));
    let both = [small.path.clone(), large.path].map(|path| std::fs::read(path).expect("a clip")).concat();
    let joined = small.replaced(&both);
    let task = chunk(&joined, &[0], 4 * S, two_rungs());
    assert_eq!(boundaries(&joined, &[task]), [0, 4 * S]);
}

#[test]
fn a_source_cut_short_ends_where_its_pictures_end() {
    let made = format!("-f lavfi -i testsrc2=s=320x180:r=25:d=9 {X264} -g 25 -movflags faststart");
    let clip = clip("a.mp4", &made);
    let whole = chunk(&clip, &[0, 4 * S, 8 * S], 9 * S, two_rungs());
    let bytes = std::fs::read(&clip.path).expect("a clip");
    let cut = clip.replaced(&bytes[..bytes.len() / 2]);
    let edges = boundaries(&cut, &split(&whole, 2)[..1]);
    assert!((3 * S..6 * S).contains(edges.last().expect("an end")), "{edges:?}");
    let (heard, ended) = encoded(&cut, &split(&whole, 2)[1..]);
    assert_eq!((heard.tracks.len(), ended), (0, 8 * S));
}
