//! What becomes of the messages: times, configurations, pictures, sound and what encoders say of themselves.

use bytes::Bytes;
use policast::live::frame::{Media, VideoConfig};

use super::encoder::*;

fn unit(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

#[tokio::test]
async fn time_passes_32_bits_and_jumps_as_it_is_sent() {
    let frame = picture(true, &[9; 3]);
    let times = [u32::MAX - 20, 20, 36_000_020];
    let bytes = [configs(), times.iter().flat_map(|&time| whole(9, time, &frame)).collect()].concat();
    let at: Vec<_> = pictures(&publish(&bytes).await.media).into_iter().map(|(at, _)| at).collect();
    // The configurations' 0 doesn't count.
    assert_eq!(at, [4_294_967_275, 4_294_967_316, 4_330_967_316]);
}

#[tokio::test]
async fn cts_is_signed_and_dts_is_the_messages_time() {
    let late = [&[0x27, 1, 0, 0, 80], &[9; 9][..]].concat();
    let early = [&[0x27, 1, 0xFF, 0xFF, 0xFF], &[9; 9][..]].concat();
    let bytes = [configs(), whole(9, 40, &late), whole(9, 80, &early)].concat();
    let cts = |media: &Media| match media {
        Media::Video(frame) => Some(frame.cts_ticks),
        _ => None,
    };
    let outcome = publish(&bytes).await;
    assert_eq!(outcome.media.iter().filter_map(cts).collect::<Vec<_>>(), [7200, -90]);
}

#[tokio::test]
async fn metadata_comes_with_or_without_set_data_frame_and_past_unknown_types() {
    let fields = object(&[("width", number(1920.0)), ("framerate", text("29.97")), ("encoder", text("obs"))]);
    let ecma = [&[8, 0, 0, 0, 0], &fields[1..fields.len() - 3], &[0, 1, b'x', 0x11, 1, 2]].concat();
    let bytes = [
        whole(18, 0, &[text("@setDataFrame"), text("onMetaData"), fields.clone()].concat()),
        whole(18, 0, &[text("onMetaData"), ecma].concat()),
        whole(15, 0, &[vec![0], text("onMetaData"), fields].concat()),
        whole(18, 0, &[text("|RtmpSampleAccess"), vec![1, 0, 1, 0]].concat()),
        whole(18, 0, &[0x44, 1, 2]),
    ]
    .concat();
    let outcome = publish(&bytes).await;
    outcome.end.unwrap();
    assert_eq!(outcome.media.len(), 3);
    for media in outcome.media {
        let Media::Metadata(metadata) = media else { panic!("{media:?}") };
        assert_eq!((metadata.width, metadata.frames_per_second), (Some(1920.0), Some(29.97)));
        assert_eq!(metadata.encoder.as_deref(), Some("obs"));
    }
}

#[tokio::test]
async fn aggregates_are_taken_apart_with_their_own_times() {
    let tag = |kind: u8, time: u32, data: &[u8]| {
        let (size, time) = (u32::try_from(data.len()).unwrap().to_be_bytes(), time.to_be_bytes());
        [&[kind], &size[1..], &time[1..], &time[..1], &[0, 0, 0], data, &[0, 0, 0, 0]].concat()
    };
    let torn = [9, 0, 0, 200, 0, 0, 0, 0, 0, 0, 0, 1];
    let frame = picture(true, &[9; 3]);
    let all = [tag(9, 500, &frame), tag(8, 520, &sound(&[1])), tag(9, 540, &frame), torn.to_vec()].concat();
    let outcome = publish(&[configs(), whole(22, 1000, &all)].concat()).await;
    outcome.end.unwrap();
    assert_eq!((pictures(&outcome.media), sounds(&outcome.media)), (vec![(1000, 3), (1040, 3)], vec![1020]));
}

#[tokio::test]
async fn parameter_sets_only_among_the_frames_make_a_configuration() {
    let key = [unit(&AVCC[8..12]), unit(&[0x68, 1, 2, 3]), unit(&[0x65, 1])].concat();
    let bytes =
        [whole(9, 0, &picture(false, &unit(&[0x41, 1]))), whole(9, 40, &picture(true, &key))].concat();
    let outcome = publish(&[bytes.clone(), bytes].concat()).await;
    let avcc = [1, 66, 0, 30, 255, 225, 0, 4, 0x67, 66, 0, 30, 1, 0, 4, 0x68, 1, 2, 3];
    assert_eq!(video_configs(&outcome.media), [VideoConfig::Avc(Bytes::copy_from_slice(&avcc))]);
    assert_eq!(pictures(&outcome.media).len(), 3);
}

#[tokio::test]
async fn start_codes_become_lengths() {
    let (sps, pps, idr) = (&AVCC[8..12], [0x68, 1, 2, 3], [0x65, 1]);
    let key = [&[0, 0, 0, 1], sps, &[0, 0, 1], &pps, &[0, 0, 1], &idr].concat();
    let outcome = publish(&whole(9, 40, &picture(true, &key))).await;
    let Some(Media::Video(frame)) = outcome.media.last() else { panic!("{:?}", outcome.media) };
    assert_eq!(frame.data, [unit(sps), unit(&pps), unit(&idr)].concat());
}

#[tokio::test]
async fn configurations_are_told_only_when_they_change() {
    let other = whole(8, 80, &[0xAF, 0, 0x12, 0x10]);
    let bytes = [configs(), configs(), other.clone(), whole(8, 90, &sound(&[1])), other].concat();
    assert_eq!(publish(&bytes).await.media.len(), 4);
}

#[tokio::test]
async fn enhanced_packets_carry_hevc_av1_and_aac() {
    let hevc = whole(9, 0, b"\x90hvc1config");
    let frame = whole(9, 40, b"\x91hvc1\0\0\x50\0\0\0\x02\x02\x01");
    let without_cts = whole(9, 80, b"\xA3hvc1\0\0\0\x02\x02\x01");
    let nanos = whole(9, 120, b"\x97\x02\x07\xA1\x20\x03hvc1\0\0\0\x02\x02\x01");
    let others = [whole(9, 120, b"\xA4hvc1colours"), whole(9, 120, b"\xA2hvc1")].concat();
    let sound = [whole(8, 0, b"\x90mp4a\x11\x90"), whole(8, 50, b"\x91mp4adata")].concat();
    let av1 = [whole(9, 160, b"\x90av01config"), whole(9, 160, b"\x91av01obus")].concat();
    let outcome = publish(&[hevc, frame, without_cts, nanos, others, sound, av1].concat()).await;
    outcome.end.unwrap();
    let configs = video_configs(&outcome.media);
    assert_eq!(configs, [VideoConfig::Hevc("config".into()), VideoConfig::Av1("config".into())]);
    let ticks: Vec<_> = outcome
        .media
        .iter()
        .filter_map(|media| match media {
            Media::Video(frame) => Some((frame.dts_ticks, frame.cts_ticks, frame.key)),
            _ => None,
        })
        .collect();
    assert_eq!(ticks, [(3600, 7200, true), (7200, 0, false), (10_845, 0, true), (14_400, 0, true)]);
    assert_eq!(sounds(&outcome.media), [50]);
}

#[tokio::test]
async fn time_may_go_back_by_hours_or_begin_again_at_0() {
    let frame = picture(true, &[9; 3]);
    let times = [7_200_000, 3_600_000, 0, 40];
    let bytes = [configs(), times.iter().flat_map(|&time| whole(9, time, &frame)).collect()].concat();
    let at: Vec<_> = pictures(&publish(&bytes).await.media).into_iter().map(|(at, _)| at).collect();
    assert_eq!(at, [7_200_000, 3_600_000, 0, 40]);
}

#[tokio::test]
async fn time_passes_24_bits_in_steps_of_a_millisecond() {
    let frame = picture(true, &[9; 300]);
    let times = 0xFF_FFFC..0x100_0004_u32;
    let bytes = [configs(), times.clone().flat_map(|time| whole(9, time, &frame)).collect()].concat();
    let at: Vec<_> = pictures(&publish(&bytes).await.media).into_iter().map(|(at, _)| at).collect();
    assert_eq!(at, times.map(i64::from).collect::<Vec<_>>());
}

#[tokio::test]
async fn sound_and_pictures_pass_32_bits_one_before_the_other() {
    let (frame, tone) = (picture(true, &[9; 3]), sound(&[1; 20]));
    let bytes = [
        configs(),
        whole(8, u32::MAX - 9, &tone),
        whole(9, 30, &frame),
        whole(8, u32::MAX, &tone),
        whole(9, 70, &frame),
        whole(8, 22, &tone),
    ]
    .concat();
    let media = publish(&bytes).await.media;
    let round = 1 << 32;
    assert_eq!(pictures(&media), [(round + 30, 3), (round + 70, 3)]);
    assert_eq!(sounds(&media), [round - 10, round - 1, round + 22]);
}

#[tokio::test]
async fn neither_metadata_nor_sound_nor_pictures_are_missed() {
    let (frame, tone) = (whole(9, 40, &picture(true, &[9; 3])), whole(8, 50, &sound(&[1; 20])));
    let all = configs();
    let video = whole(9, 0, &[&[0x17, 0, 0, 0, 0], &AVCC[..]].concat());
    let audio = &all[video.len()..];
    let only_pictures = publish(&[&video[..], &frame].concat()).await;
    only_pictures.end.unwrap();
    assert_eq!((only_pictures.media.len(), pictures(&only_pictures.media)), (2, vec![(40, 3)]));
    let only_sound = publish(&[audio, &tone].concat()).await;
    only_sound.end.unwrap();
    assert_eq!((only_sound.media.len(), sounds(&only_sound.media)), (2, vec![50]));
    // Sound first, and its picture's configuration later still.
    let sound_first = publish(&[audio, &tone, &video, &frame].concat()).await;
    sound_first.end.unwrap();
    assert_eq!(sound_first.media.len(), 4);
}

#[tokio::test]
async fn a_new_configuration_of_the_picture_in_mid_stream_is_told_before_its_frames() {
    let other = [1, 66, 0, 31, 255, 225, 0, 4, 0x67, 66, 0, 31, 1, 0, 1, 0x68];
    let sent = whole(9, 40, &[&[0x17, 0, 0, 0, 0], &other[..]].concat());
    let frame = |time| whole(9, time, &picture(true, &[9; 3]));
    let media = publish(&[configs(), frame(0), sent, frame(40)].concat()).await.media;
    assert_eq!(media.len(), 5);
    assert_eq!(media[3], Media::VideoConfig(VideoConfig::Avc(Bytes::copy_from_slice(&other))));
}

#[tokio::test]
async fn a_header_said_again_and_again_does_not_undo_the_sets_among_the_pictures() {
    let (sps, pps) = ([0x67, 66, 0, 31], [0x68, 1, 2, 3]);
    let with_sets = [unit(&sps), unit(&pps), unit(&[0x65, 1])].concat();
    let header = [&[0x17, 0, 0, 0, 0], &AVCC[..]].concat();
    let round = |time| [whole(9, time, &header), whole(9, time, &picture(true, &with_sets))].concat();
    let media = publish(&[configs(), (0..5).flat_map(|at| round(at * 2_000)).collect()].concat()).await.media;
    let in_band = [1, 66, 0, 31, 255, 225, 0, 4, 0x67, 66, 0, 31, 1, 0, 4, 0x68, 1, 2, 3];
    let told = [&AVCC[..], &in_band].map(|config| VideoConfig::Avc(Bytes::copy_from_slice(config)));
    assert_eq!(video_configs(&media), told);
    assert_eq!(pictures(&media).len(), 5);
    // Where the pictures have no sets of their own any more, the header counts again.
    let without = whole(9, 9_000, &picture(true, &unit(&[0x65, 1])));
    let media = publish(&[configs(), round(0), whole(9, 9_000, &header), without].concat()).await.media;
    assert_eq!(video_configs(&media), [told[0].clone(), told[1].clone(), told[0].clone()]);
}

#[tokio::test]
async fn a_second_track_of_sound_or_pictures_is_left_out_and_said_so() {
    // As OBS sends its VOD track: the first one as ever, the second by its number.
    let vod = |time, body: &[u8]| whole(8, time, &[&[0x95, 0x01][..], b"mp4a\x01", body].concat());
    let config = whole(8, 0, &[&[0x95, 0x00][..], b"mp4a\x01", &[0x12, 0x10]].concat());
    let other_picture = whole(9, 40, &[&[0x96, 0x01][..], b"hvc1\x01", &[0, 0, 0, 2, 2, 1]].concat());
    let bytes = [
        configs(),
        config,
        whole(9, 40, &picture(true, &[9; 300])),
        other_picture,
        whole(8, 50, &sound(&[1; 20])),
        vod(50, &[2; 20]),
        whole(8, 71, &sound(&[1; 20])),
        vod(71, &[2; 20]),
    ]
    .concat();
    let outcome = publish(&bytes).await;
    outcome.end.as_ref().unwrap();
    assert_eq!((pictures(&outcome.media), sounds(&outcome.media)), (vec![(40, 300)], vec![50, 71]));
    let left_out = outcome.media.iter().filter_map(|media| match media {
        Media::LeftOut(track) => Some(*track),
        _ => None,
    });
    assert_eq!(left_out.collect::<Vec<_>>(), ["a second track of sound", "a second picture"]);
}
