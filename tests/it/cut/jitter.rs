//! Whatever the times of an encoder are, ours only go on.

use bytes::Bytes;
use mp4_atom::{Decode, Moof};
use policast::live::cut::{Cutter, Settings, Track};
use policast::live::frame::{AudioFrame, Media, VideoFrame};

use super::flv::MS;
use super::stage::{Broadcast, Encode};

/// A generator good enough for times.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(self.0 >> 33).unwrap() % limit
    }

    fn one_in(&mut self, count: i64) -> bool {
        self.below(count) == 0
    }

    fn around(&mut self, reach: i64) -> i64 {
        self.below(2 * reach + 1) - reach
    }
}

/// A minute of frames whose times jitter, stand still, go back and jump.
fn session(random: &mut Random, configs: &[Media]) -> Vec<Media> {
    let mut media = configs.to_vec();
    let (mut base, jitter, audio_jitter) =
        (random.below(1 << 33), 1 + random.below(60), 1 + random.below(90));
    let (mut video, mut audio, mut count) = (0, 0, 0);
    while video < 60_000 {
        if random.one_in(400) {
            let reach = if random.one_in(2) { 1 << 33 } else { 4_000 };
            base += random.around(reach);
        }
        if video <= audio {
            let cts_ticks = i32::try_from(random.around(120) * MS).unwrap();
            let key = count % 50 == 0 || random.one_in(40);
            let data = Bytes::from_static(&[0, 0, 0, 2, 0x65, 0x80]);
            let dts_ticks = (base + video + random.around(jitter)) * MS;
            media.push(Media::Video(VideoFrame { dts_ticks, cts_ticks, key, data }));
            video += if random.one_in(90) { random.below(2_000) } else { 40 };
            count += 1;
        } else {
            let pts_ticks = (base + audio + random.around(audio_jitter)) * MS;
            media.push(Media::Audio(AudioFrame { pts_ticks, data: Bytes::from_static(&[1, 2, 3]) }));
            audio += if random.one_in(120) { random.below(4_000) } else { 21 };
        }
    }
    media
}

/// Decoding times of a track's samples follow each other, and none is shown before it is decoded.
fn check_samples(broadcast: &Broadcast, track: Track) {
    let mut end = None;
    for part in broadcast.parts(track) {
        let moof = Moof::decode(&mut part.bytes.clone()).unwrap();
        let traf = &moof.traf[0];
        let mut at = traf.tfdt.as_ref().unwrap().base_media_decode_time;
        // Where sound went on alone, nobody knew yet how long the last picture would be shown.
        assert!(end.is_none_or(|end| end <= at), "a part of {track:?} begins at {at} after {end:?}");
        for sample in traf.trun.iter().flat_map(|run| &run.samples) {
            assert!(sample.duration.unwrap() > 0 && sample.cts.unwrap() >= 0, "{sample:?}");
            at += u64::from(sample.duration.unwrap());
        }
        end = Some(at);
    }
}

#[test]
fn whatever_the_encoder_says_no_sample_lasts_nothing_and_none_overlap() {
    let stream = Encode { seconds: 1, ..Encode::default() }.run();
    let is_config = |media: &&Media| matches!(media, Media::VideoConfig(_) | Media::AudioConfig(_));
    let configs: Vec<_> = stream.media.iter().filter(is_config).cloned().collect();
    for seed in 0..150 {
        let media = session(&mut Random(seed), &configs);
        let mut cutter = Cutter::new(Settings { segment_limit: 30 * 90_000, ..Settings::default() });
        let mut broadcast = Broadcast::default();
        broadcast.push(&mut cutter, &media).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        broadcast.finish(&mut cutter);
        for track in [Track::Video, Track::Audio] {
            check_samples(&broadcast, track);
            for pair in broadcast.parts(track).windows(2) {
                let gap = pair[1].start - pair[0].start - pair[0].duration;
                assert!(pair[0].duration > 0 && (-1..=1).contains(&gap), "seed {seed}: {pair:?}");
            }
            for pair in broadcast.ends(track).windows(2) {
                assert_eq!(pair[1].number, pair[0].number + 1, "seed {seed} {track:?}");
            }
        }
    }
}
