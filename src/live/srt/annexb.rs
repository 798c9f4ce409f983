//! H.264 and HEVC in Annex B to length-prefixed NAL units and a configuration record.

use std::collections::{BTreeMap, VecDeque};

use bytes::{BufMut, Bytes, BytesMut};
use memchr::memmem;

use super::pes::Unit;
use super::{avc, hevc};
use crate::live::frame::{Media, VideoConfig, VideoFrame};

/// A configuration record counts a set's bytes in 16 bits; real ones have less than 200.
const LONGEST_SET_BYTES: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    Avc,
    Hevc,
}

/// What a NAL unit is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nal {
    /// Goes into the record; 0 for video, 1 for sequence, 2 for picture.
    Set(SetKind, u32),
    Slice {
        key: bool,
    },
    /// Goes with a picture that decoding may begin with, though it is no IDR (ITU-T H.264 D.2.8).
    Recovery,
    /// Goes with the picture.
    Aside,
    /// Delimiters and filler, and what cannot be read.
    Waste,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SetKind {
    Video,
    Sequence,
    Picture,
}

/// Parameter sets by kind and number, as they stand.
pub type Sets = BTreeMap<(SetKind, u32), Bytes>;

/// The video stream so far.
#[derive(Debug, Default)]
pub struct Video {
    codec: Option<Codec>,
    sets: Sets,
    config: Option<VideoConfig>,
    started: bool,
}

impl Video {
    pub fn begin(&mut self, codec: Codec) {
        if self.codec != Some(codec) {
            *self = Video { codec: Some(codec), ..Video::default() };
        }
    }

    /// Takes one access unit apart. Nothing comes before the first keyframe.
    pub fn unit(&mut self, unit: &Unit, out: &mut VecDeque<Media>) {
        let Some(codec) = self.codec else { return };
        let (mut sets, mut data, mut slices, mut key) = (Sets::new(), BytesMut::new(), 0, false);
        for nal in split(&unit.data) {
            match codec.classify(nal) {
                Nal::Waste => continue,
                Nal::Set(kind, number) => {
                    sets.insert((kind, number), Bytes::copy_from_slice(nal));
                    continue;
                }
                Nal::Slice { key: opens } => {
                    slices += 1;
                    key |= opens;
                }
                // Open groups and intra refresh have nothing else to begin with, and RTMP's encoders call them keyframes.
                Nal::Recovery => key = true,
                Nal::Aside => {}
            }
            data.put_u32(u32::try_from(nal.len()).unwrap_or_default());
            data.put_slice(nal);
        }
        self.learn(codec, sets, out);
        self.started |= key && self.config.is_some();
        if self.started && slices > 0 {
            // More than hours is no delay but a broken stamp.
            let cts_ticks = i32::try_from(unit.time.pts - unit.time.dts).unwrap_or_default();
            let data = data.freeze();
            out.push_back(Media::Video(VideoFrame { dts_ticks: unit.time.dts, cts_ticks, key, data }));
        }
    }

    /// A new sequence set makes the old picture sets void, where new ones came with it.
    fn learn(&mut self, codec: Codec, sets: Sets, out: &mut VecDeque<Media>) {
        let is_new = |kind| sets.iter().any(|(name, set)| name.0 == kind && self.sets.get(name) != Some(set));
        let all = [SetKind::Video, SetKind::Sequence, SetKind::Picture].map(is_new);
        if all == [false; 3] {
            return;
        }
        if all[1] && sets.keys().any(|(kind, _)| *kind == SetKind::Picture) {
            self.sets.clear();
        }
        self.sets.extend(sets);
        let config = match codec {
            Codec::Avc => avc::record(&self.sets).map(VideoConfig::Avc),
            Codec::Hevc => hevc::record(&self.sets).map(VideoConfig::Hevc),
        };
        if let Some(config) = config.filter(|config| self.config.as_ref() != Some(config)) {
            self.config = Some(config.clone());
            out.push_back(Media::VideoConfig(config));
        }
    }
}

impl Codec {
    fn classify(self, nal: &[u8]) -> Nal {
        let kind = match self {
            Codec::Avc => avc::classify(nal),
            Codec::Hevc => hevc::classify(nal),
        };
        if matches!(kind, Nal::Set(..)) && nal.len() > LONGEST_SET_BYTES { Nal::Waste } else { kind }
    }
}

/// The NAL units between the start codes. `h264-reader` has a splitter too, for bytes that come in pieces;
/// it logs an error for every byte of noise.
fn split(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let starts: Vec<usize> = memmem::find_iter(data, &[0, 0, 1]).map(|at| at + 3).collect();
    let ends: Vec<usize> = starts.iter().skip(1).map(|start| start - 3).chain([data.len()]).collect();
    starts.into_iter().zip(ends).map(|(start, end)| trim(&data[start..end])).filter(|nal| !nal.is_empty())
}

/// A NAL unit never ends in a zero; those belong to the next start code.
fn trim(nal: &[u8]) -> &[u8] {
    &nal[..nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)]
}

#[cfg(test)]
mod tests {
    use super::super::pes::Time;
    use super::*;

    const SPS: &[u8] = &[0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xbf, 0xe5];
    const PPS: &[u8] = &[0x68, 0xce, 0x3c, 0x80];

    fn unit(nals: &[&[u8]]) -> Unit {
        let data = nals.iter().flat_map(|nal| [&[0, 0, 0, 1], *nal].concat()).collect();
        Unit { time: Time { pts: 6000, dts: 3000 }, data }
    }

    fn taken(video: &mut Video, nals: &[&[u8]]) -> Vec<Media> {
        let mut out = VecDeque::new();
        video.unit(&unit(nals), &mut out);
        out.into()
    }

    fn avc() -> Video {
        let mut video = Video::default();
        video.begin(Codec::Avc);
        video
    }

    #[test]
    fn a_keyframe_brings_its_config_and_keeps_only_what_belongs_to_the_picture() {
        let out =
            taken(&mut avc(), &[&[9, 0xf0], SPS, PPS, &[6, 5, 1, 0x80], &[0x65, 1, 2], &[12, 0xff, 0x80]]);
        assert!(matches!(&out[0], Media::VideoConfig(VideoConfig::Avc(_))));
        let data = Bytes::from_static(&[0, 0, 0, 4, 6, 5, 1, 0x80, 0, 0, 0, 3, 0x65, 1, 2]);
        assert_eq!(out[1], Media::Video(VideoFrame { dts_ticks: 3000, cts_ticks: 3000, key: true, data }));
        assert_eq!(out.len(), 2);
    }

    #[test]
    fn nothing_comes_before_the_first_keyframe() {
        let mut video = avc();
        assert_eq!(taken(&mut video, &[&[0x41, 1]]), []);
        assert_eq!(taken(&mut video, &[&[0x65, 1]]), []);
        assert_eq!(taken(&mut video, &[SPS, PPS, &[0x65, 1]]).len(), 2);
        assert_eq!(taken(&mut video, &[&[0x41, 1]]).len(), 1);
    }

    #[test]
    fn a_recovery_point_is_a_keyframe_wherever_it_stands_among_other_messages() {
        let alone: &[u8] = &[6, 6, 1, 0xc4, 0x80];
        let after_another: &[u8] = &[6, 5, 3, 0, 0, 3, 1, 6, 1, 0xc4, 0x80];
        for sei in [alone, after_another] {
            let mut video = avc();
            let out = taken(&mut video, &[SPS, PPS, sei, &[0x41, 1]]);
            assert!(matches!(&out[1], Media::Video(frame) if frame.key), "{out:?}");
            let out = taken(&mut video, &[sei, &[0x41, 1]]);
            assert!(matches!(&out[..], [Media::Video(frame)] if frame.key), "{out:?}");
        }
        for other in [&[6, 5, 3, 6, 1, 0, 0x80][..], &[6, 0xff], &[6, 5, 0xff, 0xff], &[6]] {
            let mut video = avc();
            assert_eq!(taken(&mut video, &[SPS, PPS, &[0x65, 1]]).len(), 2);
            let out = taken(&mut video, &[other, &[0x41, 1]]);
            assert!(matches!(&out[..], [Media::Video(frame)] if !frame.key), "{out:?}");
        }
    }

    #[test]
    fn the_same_sets_are_told_once_and_new_ones_again() {
        let mut video = avc();
        assert_eq!(taken(&mut video, &[SPS, PPS, &[0x65, 1]]).len(), 2);
        assert_eq!(taken(&mut video, &[SPS, PPS, &[0x65, 1]]).len(), 1);
        let other = [&SPS[..8], &[0x81]].concat();
        let out = taken(&mut video, &[&other, PPS, &[0x65, 1]]);
        let Media::VideoConfig(VideoConfig::Avc(record)) = &out[0] else { panic!("{out:?}") };
        assert_eq!(record[8..8 + other.len()], other);
    }

    #[test]
    fn short_and_long_start_codes_and_trailing_zeros_split_alike() {
        let nals: Vec<&[u8]> = split(&[7, 0, 0, 1, 1, 2, 0, 0, 0, 1, 3, 0, 0, 1, 0, 0, 1, 4, 0, 0]).collect();
        assert_eq!(nals, [&[1, 2][..], &[3], &[4]]);
    }

    #[test]
    fn noise_is_no_frame() {
        for noise in
            [&[][..], &[0, 0, 1], &[0, 0, 1, 0x67], &[0, 0, 1, 0x67, 0x64, 0, 0, 1, 0x68], &[0xff; 99]]
        {
            let mut out = VecDeque::new();
            avc().unit(&Unit { time: Time { pts: 0, dts: 0 }, data: noise.to_vec() }, &mut out);
            assert!(out.is_empty(), "{noise:?}");
        }
    }
}
