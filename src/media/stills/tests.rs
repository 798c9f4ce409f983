//! The stills task judged by FFmpeg: poster and storyboard of odd sources.

use crate::domain::media::{TICKS_PER_SECOND as S, Ticks};
use crate::media::proof::{Clip, clip, ear, probe, video};
use crate::media::task::{Outcome, Source, Still, Stills};
use crate::media::{stills, storyboard};

fn pictures(clip: &Clip, duration: Ticks, seekable: bool) -> Vec<(Still, u32, u32)> {
    let video = video(&clip.path);
    let board = storyboard::plan(duration, video.width, video.height);
    let source = Source { size_bytes: 0 };
    let task = Stills { source, video, seekable, duration, poster_side: 1280, storyboard: board };
    let (emit, heard) = ear();
    let input = ffmpeg_next::format::input(&clip.path).expect("opened");
    let outcome = stills::run(&task, input, &emit).expect("made");
    assert!(matches!(outcome, Outcome::Encoded { .. }));
    let heard = heard.lock().expect("unpoisoned");
    let judged = heard.stills.iter().map(|(still, width, height, bytes)| {
        let path = clip.beside("still.jpg", bytes);
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
