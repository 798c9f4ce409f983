//! Real pictures through the child's work, in this process.

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};

use ffmpeg_next::format::Pixel;
use ffmpeg_next::util::picture;
use ffmpeg_next::{Packet, Rational, codec, encoder, frame};

use super::*;
use crate::domain::media::{Fraction, TICKS_PER_SECOND};
use crate::media::ladder;

const STEP: Ticks = TICKS_PER_SECOND / 30;
const X26X: [(&str, &str); 2] = [("preset", "ultrafast"), ("forced-idr", "1")];
/// Rung, when it is shown, and whether it is an IDR picture with its parameter sets.
type Made = (u32, Ticks, bool);

/// A second and a half of a grey that grows lighter, with a keyframe every half second.
fn coded(encoder: &str, options: &[(&str, &str)]) -> Option<Vec<(Coded, Vec<u8>)>> {
    let found = encoder::find_by_name(encoder)?;
    let mut video = codec::Context::new_with_codec(found).encoder().video().expect("an encoder");
    video.set_width(1280);
    video.set_height(720);
    video.set_format(Pixel::YUV420P);
    video.set_time_base(Rational(1, 90_000));
    let mut encoder = video.open_with(options.iter().collect()).expect("an open encoder");
    let (mut out, mut packet) = (Vec::new(), Packet::empty());
    let mut drain = |encoder: &mut encoder::video::Encoder| {
        while encoder.receive_packet(&mut packet).is_ok() {
            let (decoded, shown) = (packet.dts().unwrap_or(0), packet.pts().unwrap_or(0));
            let key = packet.is_key();
            let coded = Coded { decoded, shown, key, begins: key && shown % (30 * STEP) == 0 };
            out.push((coded, packet.data().expect("bytes").to_vec()));
        }
    };
    for at in 0..45 {
        let mut picture = frame::Video::new(Pixel::YUV420P, 1280, 720);
        (0..3).for_each(|plane| picture.data_mut(plane).fill(64 + u8::try_from(at).expect("small")));
        picture.set_pts(Some(at * STEP));
        picture.set_kind(if at % 15 == 0 { picture::Type::I } else { picture::Type::None });
        encoder.send_frame(&picture).expect("taken");
        drain(&mut encoder);
    }
    encoder.send_eof().expect("ended");
    drain(&mut encoder);
    Some(out)
}

fn made_of(codec: Codec, pictures: Vec<(Coded, Vec<u8>)>) -> Vec<Made> {
    let rungs = ladder::lower((1280, 720), Fraction { num: 30, den: 1 }, (2, "ultrafast"));
    let made: Arc<Mutex<Vec<Made>>> = Arc::default();
    let heard = made.clone();
    let emit = Emit::new(move |event, body| {
        if let Event::Picture { rung, shown } = event {
            let starts_with_set = body.windows(4).any(|four| four[..3] == [0, 0, 1] && four[3] & 31 == 7);
            heard.lock().expect("alone").push((*rung, *shown, starts_with_set));
        }
        Ok(())
    });
    let (sender, receiver) = sync_channel(pictures.len() + 1);
    for (coded, data) in pictures {
        sender.send((serde_json::to_vec(&Some(coded)).expect("json"), data)).expect("room");
    }
    sender.send((b"null".to_vec(), Vec::new())).expect("room");
    let task = Lower { codec, config: Vec::new(), rungs };
    run(&task, &receiver, &emit).expect("done");
    made.lock().expect("alone").clone()
}

/// Every picture in its place, IDR pictures where segments begin and nowhere else.
fn check(made: &[Made]) {
    for rung in 0..2 {
        let own: Vec<_> = made.iter().filter(|(of, ..)| *of == rung).collect();
        let shown: Vec<Ticks> = own.iter().map(|(_, shown, _)| *shown).collect();
        assert_eq!(shown, (0..45).map(|at| at * STEP).collect::<Vec<_>>());
        let begins: Vec<Ticks> = own.iter().filter(|made| made.2).map(|(_, shown, _)| *shown).collect();
        assert_eq!(begins, [0, 30 * STEP]);
    }
}

#[test]
fn each_rung_has_every_picture_and_begins_where_segments_do() {
    check(&made_of(Codec::H264, coded("libx264", &X26X).expect("libx264")));
}

#[test]
fn hevc_gets_lower_rungs_of_h264() {
    // Not every FFmpeg can make what every one can read.
    if let Some(pictures) = coded("libx265", &X26X) {
        check(&made_of(Codec::Hevc, pictures));
    }
}

#[test]
fn av1_gets_lower_rungs_of_h264() {
    let options = [("usage", "realtime"), ("cpu-used", "8"), ("lag-in-frames", "0")];
    if let Some(pictures) = coded("libaom-av1", &options) {
        check(&made_of(Codec::Av1, pictures));
    }
}

#[test]
fn a_damaged_picture_costs_no_more_than_itself() {
    let mut pictures = coded("libx264", &X26X).expect("libx264");
    let key = pictures.iter().position(|(coded, _)| coded.shown == 30 * STEP).expect("a keyframe");
    pictures[key].1.truncate(3);
    let made = made_of(Codec::H264, pictures);
    let begins: Vec<Ticks> = made.iter().filter(|made| made.0 == 0 && made.2).map(|made| made.1).collect();
    assert_eq!(begins.len(), 2, "{begins:?}");
    assert!(begins[1] >= 30 * STEP, "{begins:?}");
}
