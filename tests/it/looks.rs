//! The probe judges by the whole of a file, not by its first pictures, and says why it turns one away.

use policast::domain::RefusalCode;

use crate::clip::{PLAIN, box_at, flv_joined, joined, make, remake, spoil};
use crate::probe::{probed, refused};

fn webm(size: &str, seconds: u32) -> Vec<u8> {
    let made =
        format!("-f lavfi -i testsrc2=s={size}:r=25:d={seconds} -c:v libvpx -b:v 300k -deadline realtime");
    make(&format!("{made} -cpu-used 8"), "clip.webm")
}

#[test]
fn the_size_is_the_largest_of_a_stream_that_begins_small() {
    let probe = probed(joined(&[webm("160x90", 2), webm("640x360", 4)], "ramp.webm"));
    assert_eq!((probe.video.width, probe.video.height), (640, 360));
}

#[test]
fn the_shape_is_the_one_that_is_shown_longest() {
    let turned = |lying, standing| {
        let probe = probed(joined(&[webm("320x180", lying), webm("180x320", standing)], "turned.webm"));
        (probe.video.width, probe.video.height)
    };
    assert_eq!(turned(3, 3), (320, 180));
    assert_eq!(turned(2, 5), (180, 320));
}

fn transport(filters: &str, seconds: u32, offset: u32) -> Vec<u8> {
    let source = format!("-f lavfi -i testsrc2=s=720x576:r=50:d={seconds} -vf {filters}");
    make(&format!("{source} -c:v mpeg2video -b:v 3M -g 12 -output_ts_offset {offset}"), "clip.ts")
}

#[test]
fn the_shape_of_pixels_and_the_fields_are_those_of_the_whole() {
    let fields = "tinterlace=interleave_top,setsar=64/45 -flags +ildct+ilme -top 1";
    let source = [transport("fps=25,setsar=16/15", 2, 0), transport(fields, 6, 2)].concat();
    let probe = probed(source);
    assert_eq!((probe.video.width, probe.video.height), (1024, 576));
    assert!(probe.video.interlaced && probe.video.top_field_first.is_none());
}

#[test]
fn fields_that_only_the_container_tells_of_are_known() {
    let clip = |order: &str, coding: &str, name: &str| {
        let source = "-f lavfi -i testsrc2=s=320x180:r=50:d=1 -vf format=yuv422p,tinterlace=interleave_top,setfield=tff";
        probed(make(&format!("{source} {coding} -field_order {order}"), name)).video
    };
    let jpeg = "-pix_fmt yuvj422p -c:v mjpeg";
    assert_eq!(clip("tt", jpeg, "clip.mov").top_field_first, Some(true));
    assert_eq!(clip("bb", jpeg, "clip.mov").top_field_first, Some(false));
    assert_eq!(clip("tt", jpeg, "clip.mkv").top_field_first, Some(true));
    let progressive = clip("progressive", jpeg, "clip.mov");
    assert!(!progressive.interlaced && progressive.top_field_first.is_none());
}

#[test]
fn pictures_that_come_too_fast_for_a_while_are_not_passed_through() {
    let burst = "-vf setpts=if(lt(N\\,150)\\,N/150/TB\\,(1+(N-150)/25)/TB) -fps_mode passthrough -video_track_timescale 90000";
    let clip = |filters: &str| {
        let coding = "-c:v libx264 -preset ultrafast -bf 2 -g 25 -pix_fmt yuv420p";
        probed(make(&format!("-f lavfi -i testsrc2=s=160x90:r=60:d=5 {filters} {coding}"), "clip.mp4"))
    };
    assert!(clip("").video.web_friendly);
    assert!(!clip(burst).video.web_friendly);
}

#[test]
fn new_parameter_sets_keep_a_source_from_being_passed_through() {
    let fixture = format!("{}/media-fixtures/two-descriptions.mp4", env!("CARGO_MANIFEST_DIR"));
    let movie = probed(std::fs::read(fixture).expect("a fixture"));
    assert!(!movie.video.web_friendly && movie.seekable);
    let piece = |profile: &str| {
        let coding = format!("-c:v libx264 -preset superfast -profile:v {profile} -g 25 -pix_fmt yuv420p");
        make(&format!("-f lavfi -i testsrc2=s=160x90:r=25:d=2 {coding}"), "clip.flv")
    };
    let alone = probed(piece("main"));
    assert!(alone.video.web_friendly && alone.seekable);
    let joined = probed(flv_joined(&[piece("main"), piece("baseline")]));
    assert!(!joined.video.web_friendly);
    assert!(!joined.seekable, "after a jump nothing tells of them");
}

#[test]
fn encrypted_fragments_that_can_t_be_opened_are_told_as_encrypted() {
    let key = "-encryption_scheme cenc-aes-ctr -encryption_key 00112233445566778899aabbccddeeff \
               -encryption_kid 00112233445566778899aabbccddeeff -movflags frag_keyframe+empty_moov";
    let mut source = remake(&make(PLAIN, "clip.mp4"), &format!("-c copy {key}"), "locked.mp4");
    let counted = box_at(&source, *b"senc") + 12;
    source[counted..counted + 4].copy_from_slice(&u32::to_be_bytes(60_000));
    assert_eq!(refused(source), RefusalCode::Encrypted);
}

#[test]
fn a_codec_that_flv_has_no_number_for_is_named() {
    let mut source = make(&format!("{PLAIN} -an"), "clip.flv");
    let mut at = 13;
    while at + 11 < source.len() {
        let length = u32::from_be_bytes([0, source[at + 1], source[at + 2], source[at + 3]]) as usize;
        if source[at] == 9 {
            source[at + 11] = source[at + 11] & 0xf0 | 0x0c;
        }
        at += 15 + length;
    }
    assert_eq!(refused(source), RefusalCode::UndecodableCodec);
}

#[test]
fn a_bare_mpeg_4_stream_is_a_video() {
    let stream = make("-f lavfi -i testsrc2=s=320x180:r=25:d=2 -c:v mpeg4 -f m4v", "clip.m4v");
    let begins = stream.windows(4).position(|window| window == [0, 0, 1, 0]).expect("an object");
    assert_eq!(probed(stream[begins..].to_vec()).video.codec, "mpeg4");
}

#[test]
fn one_picture_of_many_that_can_t_be_decoded_is_no_video() {
    let clip = make("-f lavfi -i testsrc2=s=160x90:r=25:d=2 -c:v mjpeg -pix_fmt yuvj420p", "clip.mov");
    assert_eq!(refused(spoil(&clip, "clip.mov", (0.05, 2.0))), RefusalCode::NoFrames);
}
