//! Makes streams with FFmpeg, cuts them, and keeps what came out.

use std::collections::HashMap;
use std::fs;

use bytes::Bytes;
use policast::domain::media::Ticks;
use policast::live::cut::{Begin, Cutter, End, Error, Event, Init, Part, Settings, Track};
use policast::live::frame::Media;

use super::flv;
use super::judge::packets;
use crate::clip;

/// What FFmpeg encodes.
pub struct Encode<'a> {
    pub rate: &'a str,
    pub seconds: u32,
    pub key_every: &'a str,
    pub size: &'a str,
    pub video: &'a [&'a str],
    pub audio: &'a [&'a str],
}

impl Default for Encode<'_> {
    fn default() -> Self {
        Self {
            rate: "25",
            seconds: 7,
            key_every: "2",
            size: "192x108",
            video: &["-bf", "2"],
            audio: &["-ar", "48000", "-ac", "2"],
        }
    }
}

/// What an encoder sends, and what ffprobe calls its frames.
pub struct Stream {
    pub media: Vec<Media>,
    pub hashes: HashMap<Bytes, String>,
}

impl Encode<'_> {
    pub fn run(&self) -> Stream {
        let Self { rate, seconds, key_every, size, .. } = self;
        let noise = if self.audio.is_empty() { "" } else { "-f lavfi -i anoisesrc=amplitude=0.1:seed=1" };
        let flv = clip::make(
            &format!(
                "-f lavfi -i testsrc2=size={size}:rate={rate} {noise} -t {seconds} -c:v libx264 -preset veryfast \
                 -pix_fmt yuv420p -g 9999 -sc_threshold 0 -force_key_frames expr:gte(t,n_forced*{key_every}) {} \
                 -c:a aac {}",
                self.video.join(" "),
                self.audio.join(" "),
            ),
            "in.flv",
        );
        let media = flv::read(&flv);
        Stream { hashes: hashes(&flv, &media), media }
    }
}

fn hashes(flv: &[u8], media: &[Media]) -> HashMap<Bytes, String> {
    let (_folder, file) = clip::place("in.flv");
    fs::write(&file, flv).unwrap();
    let (mut video, mut audio) = (packets(&file, "v").into_iter(), Vec::new().into_iter());
    if media.iter().any(|media| matches!(media, Media::Audio(_))) {
        audio = packets(&file, "a").into_iter();
    }
    let hash = |media: &Media| match media {
        Media::Video(frame) => Some((frame.data.clone(), video.next()?.hash)),
        Media::Audio(frame) => Some((frame.data.clone(), audio.next()?.hash)),
        _ => None,
    };
    media.iter().filter_map(hash).collect()
}

/// All events of a broadcast.
#[derive(Default)]
pub struct Broadcast {
    pub inits: Vec<Init>,
    pub begins: Vec<Begin>,
    pub parts: Vec<Part>,
    pub ends: Vec<End>,
}

impl Broadcast {
    /// Cuts a whole session by the usual settings.
    pub fn cut(media: &[Media]) -> Self {
        let mut cutter = Cutter::new(Settings::default());
        let mut broadcast = Self::default();
        broadcast.push(&mut cutter, media).unwrap();
        broadcast.finish(&mut cutter);
        broadcast
    }

    pub fn push(&mut self, cutter: &mut Cutter, media: &[Media]) -> Result<(), Error> {
        media.iter().try_for_each(|media| {
            let result = cutter.push(media.clone());
            self.poll(cutter);
            result
        })
    }

    pub fn finish(&mut self, cutter: &mut Cutter) {
        cutter.finish().unwrap();
        self.poll(cutter);
    }

    fn poll(&mut self, cutter: &mut Cutter) {
        while let Some(event) = cutter.poll() {
            match event {
                Event::Init(init) => self.inits.push(init),
                Event::Begin(begin) => self.begins.push(begin),
                // What the lower rungs are made of.
                Event::Picture(_) => {}
                Event::Part(part) => self.parts.push(part),
                Event::End(end) => self.ends.push(end),
            }
        }
    }

    pub fn ends(&self, track: Track) -> Vec<&End> {
        self.ends.iter().filter(|end| end.track == track).collect()
    }

    pub fn parts(&self, track: Track) -> Vec<&Part> {
        self.parts.iter().filter(|part| part.track == track).collect()
    }

    /// The `Init`s of a track.
    pub fn inits(&self, track: Track) -> Vec<&Init> {
        self.inits.iter().filter(|init| init.track == track).collect()
    }

    /// A whole track under one initialisation segment, as a player would append it.
    pub fn file(&self, init: &Init) -> Vec<u8> {
        let of_init = |part: &&Part| {
            let ends = self.ends.iter();
            ends.filter(|end| end.init == init.number)
                .any(|end| (end.track, end.number) == (part.track, part.segment))
        };
        let parts = self.parts.iter().filter(of_init);
        parts.fold(init.bytes.to_vec(), |file, part| [file, part.bytes.to_vec()].concat())
    }

    pub fn starts(&self, track: Track) -> Vec<Ticks> {
        self.ends(track).iter().map(|end| end.segment.start).collect()
    }
}
