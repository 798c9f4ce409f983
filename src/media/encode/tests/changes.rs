//! Sources whose pictures change their shape on the way, have fields, or come faster than their header says.

use std::path::Path;
use std::process::Command;

use super::{RATE, S, X264, boundaries};
use crate::domain::media::{Coding, Fraction};
use crate::media::proof::{Clip, chunk, clip, encoded, pictures, probe, rung};

const SQUARE: &str = "drawbox=x=(iw-36)/2:y=(ih-36)/2:w=36:h=36:c=white:t=fill";

/// Transport streams one after the other: their clocks go on.
fn joined(pieces: &[(&str, &str)], coding: &str) -> Clip {
    let mut all = Vec::new();
    for (number, (size, filters)) in pieces.iter().enumerate() {
        let source = format!("-f lavfi -i color=gray:s={size}:r=25:d=2,{SQUARE}{filters}");
        let piece = clip("p.ts", &format!("{source} {coding} -output_ts_offset {}", 2 * number));
        all.extend(std::fs::read(&piece.path).expect("a clip"));
    }
    clip("a.ts", &format!("-f lavfi -i color=gray:s=16x16:r=25:d=0.1 {X264}")).replaced(&all)
}

/// Width and height of what is white in the last picture.
fn white(path: &Path, (width, height): (usize, usize)) -> (usize, usize) {
    let last = pictures(path, (width, height), "gray").pop().expect("pictures");
    let bright = |x: usize, y: usize| last[y * width + x] > 190;
    let columns = (0..width).filter(|x| (0..height).any(|y| bright(*x, y))).count();
    let rows = (0..height).filter(|y| (0..width).any(|x| bright(x, *y))).count();
    (columns, rows)
}

#[test]
fn a_square_stays_one_when_the_picture_is_turned() {
    let clip = joined(&[("160x90", ""), ("90x160", "")], X264);
    let mut task = chunk(&clip, &[0], 4 * S, vec![rung("90p", 160, 90, RATE), rung("44p", 80, 44, RATE)]);
    (task.video.width, task.video.height) = (160, 90);
    assert_eq!(boundaries(&clip, std::slice::from_ref(&task)), [0, 4 * S]);
    let (heard, _) = encoded(&clip, &[task]);
    for (name, size) in [("90p", (160, 90)), ("44p", (80, 44))] {
        let (wide, high) = white(&clip.beside("out.mp4", &heard.tracks[name].whole()), size);
        assert!(wide.abs_diff(high) <= 2 && wide >= 8, "{name}: {wide}x{high}");
    }
}

#[test]
fn a_square_stays_one_when_pixels_become_wider() {
    let coding = "-c:v mpeg2video -b:v 2M -pix_fmt yuv420p";
    // Square on square pixels, and squeezed before it is stored for pixels of 4:3.
    let clip = joined(&[("160x90", ""), ("160x90", ",scale=120:90,setsar=4/3")], coding);
    let task = chunk(&clip, &[0], 4 * S, vec![rung("90p", 160, 90, RATE)]);
    let (heard, _) = encoded(&clip, &[task]);
    let (wide, high) = white(&clip.beside("out.mp4", &heard.tracks["90p"].whole()), (160, 90));
    assert!(wide.abs_diff(high) <= 2 && (34..=40).contains(&high), "{wide}x{high}");
}

#[test]
fn a_source_that_changes_its_shape_is_not_passed_through() {
    let clip = joined(&[("160x90", ""), ("90x160", "")], X264);
    let mut rungs = vec![rung("90p", 160, 90, RATE)];
    rungs[0].coding = Coding::Copy;
    let mut task = chunk(&clip, &[0], 4 * S, rungs);
    (task.video.width, task.video.height) = (160, 90);
    let (heard, _) = encoded(&clip, &[task]);
    assert_eq!(heard.failed, ["90p: the source's pictures change their shape on the way"]);
}

/// How many pictures FFmpeg's detector takes for combed.
fn combed(path: &Path) -> u32 {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-hide_banner", "-nostats", "-i"]).arg(path).args(["-vf", "idet", "-f", "null", "-"]);
    let said = ffmpeg.output().expect("ffmpeg");
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    let line = said.lines().find(|line| line.contains("Multi frame detection")).expect("a verdict");
    let number = |name: &str| line.split(name).nth(1)?.split_whitespace().next()?.parse::<u32>().ok();
    number("TFF:").expect("a number") + number("BFF:").expect("a number")
}

#[test]
fn fields_that_only_the_container_tells_of_become_pictures_of_their_own() {
    let fields =
        "-vf format=yuv422p,tinterlace=interleave_top,setfield=tff -pix_fmt yuvj422p -c:v mjpeg -q:v 3";
    let clip = clip("a.mov", &format!("-f lavfi -i testsrc2=s=320x180:r=50:d=2 {fields} -field_order tt"));
    assert!(combed(&clip.path) > 40);
    let fifty = Fraction { num: 50, den: 1 };
    let mut task = chunk(&clip, &[0], 2 * S, vec![rung("180p", 320, 180, fifty)]);
    assert!(task.video.interlaced);
    task.video.top_field_first = Some(true);
    let (heard, _) = encoded(&clip, std::slice::from_ref(&task));
    let path = clip.beside("out.mp4", &heard.tracks["180p"].whole());
    assert!(combed(&path) < 20, "{} pictures are combed", combed(&path));
    let told = probe(&path, &["-count_packets", "-show_streams"]);
    assert_eq!(told["streams"][0]["nb_read_packets"], "100");
    // By the wrong order of fields, time would go back and forth.
    let turns = |path: &Path| {
        let all = pictures(path, (64, 36), "gray");
        let far = |a: usize, b: usize| -> u32 {
            all[a].iter().zip(&all[b]).map(|(a, b)| u32::from(a.abs_diff(*b))).sum()
        };
        (10..90).filter(|at| far(*at, at + 1) > far(*at, at + 2) + 200).count()
    };
    assert!(turns(&path) < 10, "{} pictures are nearer to the next but one", turns(&path));
}

#[test]
fn chunks_of_an_interlaced_source_join_without_a_seam() {
    let fields = "-vf tinterlace=interleave_top,fieldorder=tff -c:v mpeg2video -b:v 2M -flags +ildct+ilme";
    let clip = clip("a.ts", &format!("-f lavfi -i testsrc2=s=160x90:r=50:d=9 {fields}"));
    let fifty = Fraction { num: 50, den: 1 };
    let whole = chunk(&clip, &[0, 4 * S + 1800, 8 * S], 9 * S, vec![rung("90p", 160, 90, fifty)]);
    assert!(whole.video.interlaced);
    let joined = boundaries(&clip, &crate::media::proof::split(&whole, 1));
    assert_eq!(boundaries(&clip, &[whole]), joined);
}

#[test]
fn more_than_sixty_pictures_a_second_are_thinned_out_whatever_the_header_says() {
    let clip = clip("a.mkv", &format!("-f lavfi -i testsrc2=s=160x90:r=200:d=2 {X264}"));
    let mut task = chunk(&clip, &[0], 2 * S, vec![rung("90p", 160, 90, RATE)]);
    task.video.frame_rate = RATE;
    let (heard, _) = encoded(&clip, &[task]);
    let path = clip.beside("out.mp4", &heard.tracks["90p"].whole());
    let told = probe(&path, &["-count_packets", "-show_streams"]);
    let count: u32 =
        told["streams"][0]["nb_read_packets"].as_str().and_then(|n| n.parse().ok()).expect("told");
    assert!((110..=124).contains(&count), "{count} pictures in two seconds");
}
