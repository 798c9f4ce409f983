//! The stills tasks judged by FFmpeg: poster and storyboard of odd sources, posters of odd pictures.

use crate::domain::RefusalCode;
use crate::domain::media::{TICKS_PER_SECOND as S, Ticks};
use crate::media::Error;
use crate::media::proof::{Clip, clip, ear, probe, video};
use crate::media::task::{Outcome, Source, Still, Stills};
use crate::media::{stills, storyboard};

/// The poster made of a clip.
fn poster_of(clip: &Clip, duration: Ticks) -> std::path::PathBuf {
    pictures(clip, duration, true);
    clip.path.with_file_name("Poster.jpg")
}

fn pictures(clip: &Clip, duration: Ticks, seekable: bool) -> Vec<(Still, u32, u32)> {
    let video = video(&clip.path);
    let board = storyboard::plan(duration, video.width, video.height);
    let source = Source { size_bytes: 0 };
    let task = Stills { source, video, seekable, duration, poster_side: 1280, storyboard: board };
    let (emit, heard) = ear();
    let bytes = std::fs::File::open(&clip.path).expect("opened");
    let outcome = stills::run(&task, bytes, &emit).expect("made");
    assert!(matches!(outcome, Outcome::Encoded { .. }));
    let heard = heard.lock().expect("unpoisoned");
    let judged = heard.stills.iter().map(|(still, width, height, bytes)| {
        let path = clip.beside(&format!("{still:?}.jpg"), bytes);
        let told = probe(&path, &["-show_streams"]);
        assert_eq!(told["streams"][0]["codec_name"], "mjpeg");
        assert_eq!(
            (&told["streams"][0]["width"], &told["streams"][0]["height"]),
            (&(*width).into(), &(*height).into())
        );
        (*still, *width, *height)
    });
    judged.collect()
}

#[test]
fn a_short_clip_gets_a_poster_and_a_tile_a_second() {
    let clip = clip("a.mp4", "-f lavfi -i testsrc2=s=320x180:r=10:d=3 -c:v libx264 -preset ultrafast -g 250");
    let made = pictures(&clip, 3 * S, true);
    assert_eq!(made, [(Still::Poster, 320, 180), (Still::Storyboard, 480, 90)]);
}

#[test]
fn a_long_clip_is_looked_at_by_its_keyframes_with_or_without_seeking() {
    let clip = clip("a.mkv", "-f lavfi -i testsrc2=s=160x90:r=5:d=40 -c:v libx264 -preset ultrafast -g 10");
    for seekable in [true, false] {
        let made = pictures(&clip, 40 * S, seekable);
        assert_eq!(made, [(Still::Poster, 160, 90), (Still::Storyboard, 1600, 360)]);
    }
}

#[test]
fn the_poster_of_a_video_that_can_be_seen_through_is_on_black() {
    let hidden = "geq=r='if(lt(X,16),0,255)':g='if(lt(X,16),255,0)':b=0:a='if(lt(X,16),0,255)'";
    let source = format!("-f lavfi -i color=black:s=64x64:r=10:d=1,format=rgba,{hidden}");
    let clip = clip("a.mov", &format!("{source} -c:v qtrle -pix_fmt argb"));
    let poster = poster_of(&clip, S);
    let (seen, unseen) = (colour(&poster, 40, 32), colour(&poster, 4, 32));
    assert!(unseen.iter().all(|light| *light < 12), "{unseen:?}");
    assert!(seen[0] > 230, "{seen:?}");
}

const PIXELS: u64 = 1 << 22;

/// The poster made of a picture: a file beside it, its width and its height.
fn fitted(clip: &Clip, max_pixels: u64) -> Result<(std::path::PathBuf, u32, u32), RefusalCode> {
    let (emit, heard) = ear();
    let source = std::fs::File::open(&clip.path).expect("a picture");
    match stills::fit((max_pixels, 1280), source, &emit) {
        Ok(Outcome::Encoded { .. }) => {}
        Err(Error::Refused(refusal)) => return Err(refusal.code),
        other => panic!("{other:?}"),
    }
    let heard = heard.lock().expect("unpoisoned");
    let [(Still::Poster, width, height, bytes)] = &heard.stills[..] else { panic!("{heard:?}") };
    let path = clip.beside("poster.jpg", bytes);
    let told = probe(&path, &["-show_streams"]);
    assert_eq!(told["streams"][0]["codec_name"], "mjpeg");
    assert_eq!(told["streams"][0]["width"], *width);
    assert_eq!(told["streams"][0]["height"], *height);
    Ok((path, *width, *height))
}

/// The colour of one pixel, by `ffmpeg`.
fn colour(path: &std::path::Path, x: u32, y: u32) -> [u8; 3] {
    let said = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args(["-vf", &format!("format=rgb24,crop=1:1:{x}:{y}"), "-f", "rawvideo", "-"])
        .output();
    *said.expect("ffmpeg").stdout.first_chunk().expect("a pixel")
}

#[test]
fn every_kind_of_picture_becomes_a_poster_of_a_fitting_size() {
    for (name, size, made) in [
        ("a.jpg", "320x180", (320, 180)),
        ("a.png", "2000x500", (1280, 320)),
        ("a.webp", "500x2000", (320, 1280)),
        ("a.png", "33x17 -pix_fmt gray16be", (32, 16)),
        ("a.png", "64x64 -pix_fmt pal8", (64, 64)),
        ("a.webp", "64x64 -lossless 1", (64, 64)),
        ("a.png", "64x64 -vf format=rgb24,crop=1:1", (2, 2)),
    ] {
        let clip = clip(name, &format!("-f lavfi -i testsrc2=s={size} -frames:v 1"));
        let (_, width, height) = fitted(&clip, PIXELS).expect(name);
        assert_eq!((width, height), made, "{name} {size}");
    }
}

#[test]
fn what_can_be_seen_through_is_white_and_the_rest_keeps_its_colour() {
    let half = "color=black:s=64x64,format=rgba,geq=r=48:g=96:b=192:a=255*lt(X\\,32)";
    for (name, encoder) in [("a.png", "png"), ("a.webp", "libwebp")] {
        let clip = clip(name, &format!("-f lavfi -i {half} -frames:v 1 -c:v {encoder}"));
        let (path, ..) = fitted(&clip, PIXELS).expect(name);
        let near = |found: [u8; 3], wanted: [u8; 3]| {
            found.iter().zip(wanted).all(|(found, wanted)| found.abs_diff(wanted) < 12)
        };
        let (ink, paper) = (colour(&path, 8, 32), colour(&path, 56, 32));
        assert!(near(ink, [0x30, 0x60, 0xc0]) && near(paper, [255; 3]), "{name}: {ink:?} on {paper:?}");
    }
}

/// A JPEG that says (Exif 2.3, tag 0x0112) that it was taken with the camera turned.
fn turned(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let entry = [1, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0];
    let tiff = [b"Exif\0\0MM\0*\0\0\0\x08\0\x01".as_slice(), &entry, &[0; 4]].concat();
    let length = u16::try_from(tiff.len() + 2).expect("short").to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &tiff, &jpeg[2..]].concat()
}

#[test]
fn a_picture_taken_sideways_stands_upright() {
    let left = "color=black:s=64x32,drawbox=x=0:y=0:w=32:h=32:c=white:t=fill";
    let clip = clip("a.jpg", &format!("-f lavfi -i {left} -frames:v 1"));
    let bytes = turned(&std::fs::read(&clip.path).expect("a picture"), 6);
    let clip = clip.replaced(&bytes);
    let (path, width, height) = fitted(&clip, PIXELS).expect("made");
    assert_eq!((width, height), (32, 64));
    // Turned clockwise, what was on the left is above.
    assert!(colour(&path, 16, 8)[0] > 200 && colour(&path, 16, 56)[0] < 50);
}

#[test]
fn a_picture_with_too_many_pixels_is_not_decoded() {
    for (name, code) in [
        ("a.jpg", RefusalCode::TooManyPixels),
        ("a.png", RefusalCode::TooManyPixels),
        ("a.webp", RefusalCode::NoFrames),
    ] {
        let clip = clip(name, "-f lavfi -i testsrc2=s=64x64 -frames:v 1");
        assert_eq!(fitted(&clip, 64 * 64 - 1).err(), Some(code), "{name}");
        assert!(fitted(&clip, 64 * 64).is_ok(), "{name}");
    }
}

#[test]
fn what_moves_or_is_broken_is_no_poster() {
    let moving = "-f lavfi -i testsrc2=s=64x64:r=5:d=1";
    let still = "-f lavfi -i testsrc2=s=64x64 -frames:v 1";
    for (name, made) in
        [("a.gif", moving), ("a.mp4", moving), ("a.apng", moving), ("a.bmp", still), ("a.tiff", still)]
    {
        let code = fitted(&clip(name, made), PIXELS).err();
        assert_eq!(code, Some(RefusalCode::NotPicture), "{name}");
    }
    let moving = clip("a.webp", &format!("{moving} -c:v libwebp_anim"));
    assert_eq!(fitted(&moving, PIXELS).err(), Some(RefusalCode::NoFrames));
    for name in ["a.jpg", "a.png"] {
        let whole = clip(name, still);
        let mut bytes = std::fs::read(&whole.path).expect("a picture");
        bytes[30..].fill(0);
        assert!(fitted(&whole.replaced(&bytes), PIXELS).is_err(), "{name}");
    }
}
