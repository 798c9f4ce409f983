//! What an encoder sends, handed to every target's queue: never waiting, whole groups of pictures are dropped instead.

use std::collections::VecDeque;
use std::mem::discriminant;
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::Notify;

use super::super::channel::lock;
use super::super::frame::{Media, TICKS_PER_SECOND};

/// More than two messages of the largest size, so that one picture always fits.
const MOST_BYTES: usize = 16 << 20;
/// Farther behind, the target's viewers are better off with a gap.
const MOST_TICKS: i64 = 10 * TICKS_PER_SECOND;

/// Where a session hands in what comes; cheap to clone.
#[derive(Clone, Default)]
pub struct Feed(Arc<Mutex<Ends>>);

#[derive(Default)]
struct Ends {
    /// The last configuration of each kind, for targets that come later.
    configs: Vec<Media>,
    queues: Vec<Weak<Queue>>,
}

impl Feed {
    /// Hands it to every target that listens.
    pub fn offer(&self, media: &Media) {
        let mut ends = lock(&self.0);
        if is_config(media) {
            keep(&mut ends.configs, media.clone());
        }
        ends.queues.retain(|queue| match queue.upgrade() {
            Some(queue) => {
                queue.offer(media.clone());
                true
            }
            None => false,
        });
    }

    /// A queue that begins with the configurations and the next keyframe, and is left by dropping it.
    pub fn listen(&self) -> Arc<Queue> {
        let mut ends = lock(&self.0);
        let waiting = Waiting { items: ends.configs.iter().cloned().collect(), bytes: 0, needs_key: true };
        let queue = Arc::new(Queue { waiting: Mutex::new(waiting), ready: Notify::new() });
        ends.queues.push(Arc::downgrade(&queue));
        queue
    }
}

/// What one target has still to be sent.
pub struct Queue {
    waiting: Mutex<Waiting>,
    ready: Notify,
}

impl Queue {
    fn offer(&self, media: Media) {
        let dropped = lock(&self.waiting).push(media);
        if dropped > 0 {
            metrics::counter!("policast_push_dropped_frames_total").increment(dropped);
        }
        self.ready.notify_one();
    }

    /// The next thing to send. May be dropped and called again; one caller only.
    pub async fn next(&self) -> Media {
        loop {
            if let Some(media) = self.take() {
                return media;
            }
            self.ready.notified().await;
        }
    }

    /// The next thing to send, where one is there already.
    pub fn take(&self) -> Option<Media> {
        lock(&self.waiting).pop()
    }
}

#[derive(Default)]
struct Waiting {
    items: VecDeque<Media>,
    /// Of the frames; there are never more than three configurations.
    bytes: usize,
    /// Nothing can be decoded before the next keyframe.
    needs_key: bool,
}

impl Waiting {
    /// Adds at the end and makes room at the front; how many pictures were dropped.
    fn push(&mut self, media: Media) -> u64 {
        match &media {
            Media::Video(frame) if frame.key => self.needs_key = false,
            Media::Video(_) if self.needs_key => return 1,
            Media::Audio(_) if self.needs_key => return 0,
            _ => {}
        }
        self.bytes += size(&media);
        self.items.push_back(media);
        let mut dropped = 0;
        while self.bytes > MOST_BYTES || self.span() > MOST_TICKS {
            dropped += self.drop_group();
        }
        dropped
    }

    fn pop(&mut self) -> Option<Media> {
        let media = self.items.pop_front()?;
        self.bytes -= size(&media);
        Some(media)
    }

    /// Drops frames from the front to the next keyframe, or all where none is there: then the next to come is waited
    /// for. Configurations stay.
    fn drop_group(&mut self) -> u64 {
        let (mut configs, mut pictures, mut frames) = (Vec::new(), 0, 0);
        while !(frames > 0 && self.items.front().is_some_and(is_key)) {
            let Some(media) = self.pop() else {
                self.needs_key = true;
                break;
            };
            if is_config(&media) {
                keep(&mut configs, media);
            } else {
                frames += 1;
                pictures += u64::from(matches!(media, Media::Video(_)));
            }
        }
        configs.into_iter().rev().for_each(|config| self.items.push_front(config));
        pictures
    }

    /// The time between the first picture and the last.
    fn span(&self) -> i64 {
        let time = |media: &Media| if let Media::Video(frame) = media { Some(frame.dts_ticks) } else { None };
        let first = self.items.iter().find_map(time);
        let last = self.items.iter().rev().find_map(time);
        first.zip(last).map_or(0, |(first, last)| last.saturating_sub(first))
    }
}

fn is_config(media: &Media) -> bool {
    !matches!(media, Media::Video(_) | Media::Audio(_))
}

fn is_key(media: &Media) -> bool {
    matches!(media, Media::Video(frame) if frame.key)
}

fn size(media: &Media) -> usize {
    match media {
        Media::Video(frame) => frame.data.len(),
        Media::Audio(frame) => frame.data.len(),
        Media::Metadata(_) | Media::VideoConfig(_) | Media::AudioConfig(_) | Media::LeftOut(_) => 0,
    }
}

/// A configuration takes the place of the one before.
fn keep(configs: &mut Vec<Media>, config: Media) {
    configs.retain(|known| discriminant(known) != discriminant(&config));
    configs.push(config);
}

/// Nobody panics while holding it.
#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::super::frame::{AudioFrame, VideoConfig, VideoFrame};
    use super::*;

    fn picture(seconds: i64, key: bool, bytes: usize) -> Media {
        let data = Bytes::from(vec![0; bytes]);
        Media::Video(VideoFrame { dts_ticks: seconds * TICKS_PER_SECOND, cts_ticks: 0, key, data })
    }

    fn sound(seconds: i64) -> Media {
        Media::Audio(AudioFrame { pts_ticks: seconds * TICKS_PER_SECOND, data: Bytes::from_static(b"aac") })
    }

    fn config(text: &'static str) -> Media {
        Media::VideoConfig(VideoConfig::Avc(Bytes::from_static(text.as_bytes())))
    }

    /// What is in a queue, in short: `c` a configuration, `K` a keyframe, `p` another picture, `s` sound; with its time.
    fn tell(queue: &Queue) -> String {
        let mut waiting = lock(&queue.waiting);
        let mut told = Vec::new();
        while let Some(media) = waiting.pop() {
            told.push(match media {
                Media::Video(frame) => {
                    format!("{}{}", if frame.key { 'K' } else { 'p' }, frame.dts_ticks / TICKS_PER_SECOND)
                }
                Media::Audio(frame) => format!("s{}", frame.pts_ticks / TICKS_PER_SECOND),
                Media::VideoConfig(config) => String::from_utf8_lossy(config.bytes()).into_owned(),
                _ => "c".to_owned(),
            });
        }
        told.join(" ")
    }

    #[test]
    fn a_target_begins_with_the_configurations_and_a_keyframe() {
        let feed = Feed::default();
        for media in [config("c1"), Media::AudioConfig(Bytes::new()), picture(0, true, 1), config("c2")] {
            feed.offer(&media);
        }
        let queue = feed.listen();
        for media in [sound(1), picture(1, false, 1), picture(2, true, 1), sound(2), picture(3, false, 1)] {
            feed.offer(&media);
        }
        assert_eq!(tell(&queue), "c c2 K2 s2 p3");
    }

    #[test]
    fn a_slow_target_loses_whole_groups_of_pictures() {
        let feed = Feed::default();
        let queue = feed.listen();
        feed.offer(&config("c"));
        for second in 0..9 {
            feed.offer(&picture(second, second % 3 == 0, MOST_BYTES / 7));
            feed.offer(&sound(second));
        }
        assert_eq!(tell(&queue), "c K3 s3 p4 s4 p5 s5 K6 s6 p7 s7 p8 s8");
    }

    #[test]
    fn a_target_far_behind_loses_them_too_however_small_they_are() {
        let feed = Feed::default();
        let queue = feed.listen();
        (0..=14).for_each(|second| feed.offer(&picture(second, second % 4 == 0, 1)));
        assert_eq!(tell(&queue), "K4 p5 p6 p7 K8 p9 p10 p11 K12 p13 p14");
    }

    #[test]
    fn after_a_drop_without_a_keyframe_it_goes_on_at_the_next_under_the_last_configuration() {
        let feed = Feed::default();
        let queue = feed.listen();
        feed.offer(&config("c1"));
        feed.offer(&picture(0, true, MOST_BYTES / 2));
        feed.offer(&config("c2"));
        feed.offer(&picture(1, false, MOST_BYTES));
        for media in [sound(1), picture(2, false, 1), picture(3, true, 1), sound(3)] {
            feed.offer(&media);
        }
        assert_eq!(tell(&queue), "c2 K3 s3");
    }

    #[test]
    fn a_target_that_left_costs_nothing_any_more() {
        let feed = Feed::default();
        drop(feed.listen());
        feed.offer(&picture(0, true, 1));
        assert!(lock(&feed.0).queues.is_empty());
    }

    #[tokio::test]
    async fn whoever_waits_is_woken() {
        let feed = Feed::default();
        let queue = feed.listen();
        let (next, ()) = tokio::join!(queue.next(), async { feed.offer(&picture(0, true, 1)) });
        assert_eq!(next, picture(0, true, 1));
    }
}
