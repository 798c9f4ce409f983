//! MPEG-TS in pieces, with noise, damaged and with nonsense in its tables.

use policast::live::frame::Media;
use policast::live::srt::Demux;

use super::noise::Dice;
use crate::clip;

const PICTURES_AND_SOUND: &str = "-f lavfi -i testsrc2=s=160x90:r=25:d=2 -f lavfi -i sine=r=48000:d=2 \
    -c:v libx264 -preset veryfast -g 25 -pix_fmt yuv420p -c:a aac -f mpegts";

/// Two seconds of H.264 and AAC.
fn clip(options: &str) -> Vec<u8> {
    clip::make(&format!("{PICTURES_AND_SOUND} {options}"), "clip.ts")
}

fn counted(demux: &mut Demux) -> (usize, usize) {
    let (mut video, mut audio) = (0, 0);
    while let Ok(Some(media)) = demux.pop() {
        match media {
            Media::Video(_) => video += 1,
            Media::Audio(_) => audio += 1,
            _ => {}
        }
    }
    (video, audio)
}

#[test]
fn pieces_of_any_size_give_the_same_frames() {
    let clip = clip("");
    for size in [1, 100, 188, 1316, clip.len()] {
        let mut demux = Demux::default();
        clip.chunks(size).for_each(|piece| demux.push(piece));
        demux.finish();
        let (video, audio) = counted(&mut demux);
        assert_eq!((video, audio > 90), (50, true), "{size}");
    }
}

#[test]
fn noise_between_packets_costs_only_what_it_hits() {
    let clip = clip("");
    let mut demux = Demux::default();
    for (index, packets) in clip.chunks(188 * 50).enumerate() {
        demux.push(packets);
        demux.push(&vec![0x47; index % 190]);
        demux.push(&vec![0x11; index % 300]);
    }
    demux.finish();
    let (video, audio) = counted(&mut demux);
    assert!(video > 25 && audio > 45, "{video} {audio}");
}

#[test]
fn a_stream_joined_in_the_middle_begins_with_a_keyframe() {
    let clip = clip("");
    let mut demux = Demux::default();
    demux.push(&clip[clip.len() / 4..]);
    demux.finish();
    let first = std::iter::from_fn(|| demux.pop().unwrap()).find_map(|media| match media {
        Media::Video(frame) => Some(frame.key),
        _ => None,
    });
    assert_eq!(first, Some(true));
}

#[test]
fn damaged_packets_never_end_the_demultiplexer() {
    let clip = clip("");
    let mut dice = Dice(5);
    for _ in 0..10 {
        let mut damaged = clip.clone();
        for _ in 0..2000 {
            let at = dice.below(damaged.len());
            damaged[at] = dice.byte();
        }
        let mut demux = Demux::default();
        demux.push(&damaged);
        demux.push(&clip);
        demux.finish();
        let _ = demux.pop();
        let (video, _) = counted(&mut demux);
        assert!(video > 20, "{video}");
    }
}

#[test]
fn tables_with_a_good_checksum_and_nonsense_inside_are_survived() {
    let mut dice = Dice(9);
    for round in 0..20_000 {
        let pid = [0, 0x20, 0x1000][round % 3];
        let size = dice.below(170);
        let mut section: Vec<u8> = (0..size.max(4)).map(|_| dice.byte()).collect();
        let length = u8::try_from((section.len() + 1).min(180)).unwrap();
        section[0] = if pid == 0 { 0 } else { 2 };
        (section[1], section[2]) = (0xb0, length);
        if round % 2 == 0 && section.len() > 11 {
            section[9] = 0x10;
        }
        let checksum = mpeg2ts_reader::mpegts_crc::sum32(&section);
        section.extend(checksum.to_be_bytes());
        let head = [0x47, 0x40 | u8::try_from(pid >> 8).unwrap(), u8::try_from(pid & 255).unwrap(), 0x10, 0];
        let mut packet = [&head[..], &section].concat();
        packet.resize(188, 0xff);
        let mut demux = Demux::default();
        demux.push(&packet);
        demux.push(&packet);
    }
}

#[test]
fn a_gap_drops_the_frame_it_is_in_and_no_other() {
    let clip = clip("");
    let half = clip.len() / 376 * 188;
    let mut demux = Demux::default();
    demux.push(&clip[..half]);
    demux.gap();
    demux.push(&clip[half + 188 * 16..]);
    demux.finish();
    let (video, _) = counted(&mut demux);
    assert!((40..50).contains(&video), "{video}");
}

#[test]
fn times_go_on_past_33_bits() {
    let mut demux = Demux::default();
    demux.push(&clip("-output_ts_offset 95442"));
    demux.finish();
    let (mut video, mut audio) = (Vec::new(), Vec::new());
    while let Some(media) = demux.pop().unwrap() {
        match media {
            Media::Video(frame) => video.push(frame.dts_ticks),
            Media::Audio(frame) => audio.push(frame.pts_ticks),
            _ => {}
        }
    }
    assert!(video.windows(2).all(|pair| pair[1] - pair[0] == 3600), "{video:?}");
    assert!(audio.windows(2).all(|pair| (1800..2000).contains(&(pair[1] - pair[0]))), "{audio:?}");
    assert!(video[0] < 1 << 33 && video[49] > 1 << 33 && (audio[0] - video[0]).abs() < 20_000);
}
