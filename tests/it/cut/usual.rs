//! The usual stream, of which each test spoils a copy, and what must be true of it all the same.

use std::sync::OnceLock;

use policast::domain::media::Ticks;
use policast::live::cut::Track;
use policast::live::frame::Media;

use super::flv::MS;
use super::judge::{check_keyframes, check_rules, check_times, only, worst_offset};
use super::stage::{Broadcast, Encode, Stream};

/// People notice when sound is further than this from its picture.
pub const IN_STEP: Ticks = 20 * MS;

pub const HOUR_MS: i64 = 3_600_000;

/// Ten seconds at 25 pictures a second with B-frames and a keyframe every two seconds, and sound.
pub fn usual() -> &'static Stream {
    static STREAM: OnceLock<Stream> = OnceLock::new();
    STREAM.get_or_init(|| Encode { seconds: 10, ..Encode::default() }.run())
}

/// The same, but smaller pictures and sound at another rate.
pub fn other() -> &'static Stream {
    static STREAM: OnceLock<Stream> = OnceLock::new();
    let encode =
        Encode { seconds: 10, size: "128x96", audio: &["-ar", "44100", "-ac", "1"], ..Encode::default() };
    STREAM.get_or_init(|| encode.run())
}

pub fn time_ms(media: &Media) -> i64 {
    match media {
        Media::Video(frame) => frame.dts_ticks / MS,
        Media::Audio(frame) => frame.pts_ticks / MS,
        _ => 0,
    }
}

pub fn is_audio(media: &Media) -> bool {
    matches!(media, Media::Audio(_) | Media::AudioConfig(_))
}

/// The stream with each frame's time changed by its place among all.
pub fn retimed(stream: &Stream, mut change: impl FnMut(usize, &mut Media)) -> Vec<Media> {
    let mut media = stream.media.clone();
    media.iter_mut().enumerate().for_each(|(index, media)| change(index, media));
    media
}

pub fn move_by(media: &mut Media, ms: i64) {
    match media {
        Media::Video(frame) => frame.dts_ticks += ms * MS,
        Media::Audio(frame) => frame.pts_ticks += ms * MS,
        _ => {}
    }
}

pub fn kept(stream: &Stream, is_kept: impl Fn(&Media) -> bool) -> Vec<Media> {
    stream.media.iter().filter(|media| is_kept(media)).cloned().collect()
}

pub fn pictures(media: &[Media]) -> usize {
    media.iter().filter(|media| matches!(media, Media::Video(_))).count()
}

/// Every picture comes out, and both tracks are where `truth` has them.
pub fn check_in_step(media: &[Media], truth: &[Media]) -> Broadcast {
    let broadcast = Broadcast::cut(media);
    check_rules(&broadcast);
    let video = only(&broadcast, Track::Video);
    check_times(&video);
    check_keyframes(&broadcast, &video);
    assert_eq!(video.len(), pictures(media));
    assert!(worst_offset(usual(), truth, &video) <= 2 * MS);
    let audio = only(&broadcast, Track::Audio);
    check_times(&audio);
    let worst = worst_offset(usual(), truth, &audio);
    assert!(worst <= IN_STEP, "sound is {} ms off", worst / MS);
    broadcast
}
