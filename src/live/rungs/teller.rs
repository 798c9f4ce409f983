//! One lower rung: its pictures cut into the source's segments, told to the channel and taped.

use std::sync::Arc;

use bytes::Bytes;

use super::super::channel::Channel;
use super::super::cut::{self, Event, Lower, Shape, Turn};
use super::super::recorder::{Keep, Tape};
use super::super::window::{Closed, Form, Init, News, Part};
use super::Lost;
use crate::domain::Timestamp;
use crate::domain::media::{Fraction, Ticks};

/// Where rungs are told of.
#[derive(Clone)]
pub(super) struct Outlet {
    pub channel: Arc<Channel>,
    pub tape: Tape,
    /// Above this many bytes that wait for the bucket, the source has the tape to itself.
    pub most_pending: u64,
    pub epoch: u32,
}

impl Outlet {
    pub fn tell(&self, news: News, bytes: Bytes) {
        self.channel.tell_of(self.epoch, news, bytes);
    }
}

pub(super) struct Teller {
    pub name: String,
    position: u32,
    frame_rate: Fraction,
    lower: Lower,
    outlet: Outlet,
}

impl Teller {
    pub fn new(name: String, position: u32, lower: Lower, outlet: Outlet) -> Self {
        Self { name, position, frame_rate: Fraction { num: 0, den: 1 }, lower, outlet }
    }

    /// Goes on with another child's pictures of a source of this rate.
    pub fn begin(&mut self, frame_rate: Fraction) {
        self.frame_rate = frame_rate;
        self.lower.give_up();
    }

    pub fn turn(&mut self, turn: Turn) {
        self.lower.turn(turn);
    }

    pub fn push(&mut self, shown: Ticks, data: &Bytes) -> Result<(), Lost> {
        self.lower.push(shown, data.to_vec())?;
        self.tell_all();
        Ok(())
    }

    /// Closes the last segment.
    pub fn finish(&mut self, end: Ticks) -> Result<(), Lost> {
        self.lower.finish(end)?;
        self.tell_all();
        Ok(())
    }

    fn tell_all(&mut self) {
        while let Some(event) = self.lower.poll() {
            match event {
                Event::Init(init) => self.tell_init(init),
                Event::Part(part) => self.tell_part(part),
                Event::End(end) => self.tell_end(&end),
                Event::Begin(_) | Event::Picture(_) => {}
            }
        }
    }

    fn tell_init(&self, init: cut::Init) {
        let Shape::Video { width, height, .. } = init.shape else { return };
        let form = Form::Video { width, height, frame_rate: self.frame_rate };
        let (rung, position) = (self.name.clone(), self.position);
        let about = Init { rung, position, number: init.number, codecs: init.codecs, form };
        self.outlet.tape.keep(Keep::Init(about.clone(), init.bytes.clone()));
        self.outlet.tell(News::Init(about), init.bytes);
    }

    fn tell_part(&self, part: cut::Part) {
        let shown_at = (part.part == 0).then(|| self.shown_at(part.segment)).flatten();
        let told = Part { shown_at, ..Part::from(&part) };
        let news = News::Part { rung: self.name.clone(), segment: part.segment, part: told };
        self.outlet.tell(news, part.bytes);
    }

    fn tell_end(&self, end: &cut::End) {
        let Some(shown_at) = self.shown_at(end.number) else { return };
        let closed = Closed {
            number: end.number,
            epoch: self.outlet.epoch,
            segment: end.segment,
            init: end.init,
            discontinuity: end.discontinuity,
            shown_at,
            gap: false,
        };
        let Outlet { channel, tape, .. } = &self.outlet;
        let Some(bytes) = channel.segment(&self.name, end.number) else { return };
        let rung = self.name.clone();
        self.outlet.tell(News::Closed { rung: rung.clone(), closed: closed.clone() }, Bytes::new());
        if tape.pending() <= self.outlet.most_pending {
            tape.keep(Keep::Segment { rung, closed, bytes, next: None });
        }
    }

    /// As the source has it, which begins and closes each segment before we do.
    fn shown_at(&self, number: u32) -> Option<Timestamp> {
        self.outlet.channel.look(|window| window.tracks.first()?.begun(number).map(|(_, shown_at)| shown_at))
    }
}
