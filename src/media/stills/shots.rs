//! Pictures of the source for stills: decoded one by one, upright, in the sizes wanted.

use std::collections::VecDeque;

use ffmpeg_next::{Packet, decoder, frame};

use crate::domain::media::{Ticks, VideoStream};
use crate::media::encode::{Deinterlace, Graph, Reader, Shape};
use crate::media::error::Error;
use crate::media::libav;
use crate::media::pulse::Pulse;
use crate::media::task::Stills;

/// Decodes and scales.
pub(super) struct Shots<'a> {
    reader: Reader,
    decoder: decoder::Video,
    video: &'a VideoStream,
    poster: (u32, u32),
    tile: (u32, u32),
    ready: VecDeque<(Ticks, frame::Video)>,
    kept: Option<frame::Video>,
    ended: bool,
}

impl<'a> Shots<'a> {
    pub fn open(reader: Reader, task: &'a Stills) -> Result<Self, Error> {
        let decoder = reader.decoder(1)?;
        Ok(Self {
            reader,
            decoder,
            video: &task.video,
            poster: within((task.video.width, task.video.height), task.poster_side),
            tile: (task.storyboard.tile_width.max(2) & !1, task.storyboard.tile_height.max(2) & !1),
            ready: VecDeque::new(),
            kept: None,
            ended: false,
        })
    }

    /// The next picture, or the next keyframe's.
    pub fn next(
        &mut self,
        every_picture: bool,
        pulse: &mut Pulse<'_>,
    ) -> Result<Option<(Ticks, frame::Video)>, Error> {
        while self.ready.is_empty() && !self.ended {
            pulse.beat(self.reader.shown_until())?;
            match self.reader.next() {
                Some(packet) if every_picture => self.send(&packet),
                Some(packet) if packet.is_key() => self.send_alone(&packet),
                Some(_) => {}
                None => self.end(),
            }
        }
        Ok(self.ready.pop_front())
    }

    /// The keyframe at or before a moment, unless it's the one at `known`.
    pub fn near(&mut self, at: Ticks, known: Option<Ticks>) -> Option<(Ticks, frame::Video)> {
        self.ready.clear();
        self.reader.seek(at, true);
        // The packet at hand may be broken where later ones are not.
        for _ in 0..300 {
            let Some(packet) = self.reader.next() else { break };
            if !packet.is_key() {
                continue;
            }
            let stamp = packet.pts().map(|pts| self.reader.ticks(pts));
            if stamp.is_some() && stamp == known {
                return None;
            }
            self.send_alone(&packet);
            if let Some(shot) = self.ready.pop_front() {
                return Some(shot);
            }
        }
        None
    }

    /// Remembers the last picture seen.
    pub fn keep(&mut self, shot: frame::Video) {
        self.kept = Some(shot);
    }

    /// The last picture remembered.
    pub fn last_kept(&mut self) -> Option<frame::Video> {
        self.kept.take()
    }

    /// As large as the poster.
    pub fn poster_sized(&self, shot: &frame::Video) -> Result<Option<frame::Video>, Error> {
        self.sized(shot, self.poster)
    }

    /// As large as a tile.
    pub fn tile_sized(&self, shot: &frame::Video) -> Result<Option<frame::Video>, Error> {
        self.sized(shot, self.tile)
    }

    fn sized(&self, shot: &frame::Video, size: (u32, u32)) -> Result<Option<frame::Video>, Error> {
        let fields = if self.video.interlaced { Deinterlace::Frames } else { Deinterlace::No };
        let shape = Shape::of(shot, self.reader.pixel_aspect(shot), fields);
        let mut graph = Graph::build(&shape, self.video, &[size])?;
        graph.push(0, &mut libav::repeat(shot))?;
        graph.end();
        Ok(graph.pull(0))
    }

    fn send(&mut self, packet: &Packet) {
        // A packet that can't be decoded costs its pictures only.
        let _ = self.decoder.send_packet(packet);
        self.receive();
    }

    /// Decodes a keyframe without waiting for what follows it.
    fn send_alone(&mut self, packet: &Packet) {
        let _ = self.decoder.send_packet(packet);
        let _ = self.decoder.send_eof();
        self.receive();
        self.decoder.flush();
    }

    fn end(&mut self) {
        self.ended = true;
        let _ = self.decoder.send_eof();
        self.receive();
    }

    fn receive(&mut self) {
        let mut shot = frame::Video::empty();
        while self.decoder.receive_frame(&mut shot).is_ok() {
            let first = self.reader.first_picture();
            let at = shot.timestamp().map_or(first, |stamp| self.reader.ticks(stamp));
            if at < first {
                continue;
            }
            libav::set_fields(&mut shot, self.video.top_field_first);
            self.ready.push_back((at, std::mem::replace(&mut shot, frame::Video::empty())));
        }
    }
}

/// The shown size, its longer side at most `side`, both even.
pub(super) fn within((width, height): (u32, u32), side: u32) -> (u32, u32) {
    let long = u64::from(width.max(height).max(1));
    let most = u64::from(side.max(2)).min(long);
    let scaled = |length: u32| (u32::try_from(u64::from(length) * most / long).unwrap_or(side) & !1).max(2);
    (scaled(width), scaled(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poster_is_never_larger_than_the_video() {
        assert_eq!(within((1920, 1080), 1280), (1280, 720));
        assert_eq!(within((101, 201), 1280), (100, 200));
        assert_eq!(within((1, 5000), 1280), (2, 1280));
    }
}
