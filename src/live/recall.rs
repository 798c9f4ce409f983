//! The window of a broadcast that another tenure recorded, from its rows.

use crate::domain::Timestamp;
use crate::domain::media::{Fraction, Ladder};
use crate::publishing::Recorded;

use super::window::{Closed, Form, Init, News, Window};

/// Applies what the rows hold to a window nothing has come to yet.
pub fn recall(window: &mut Window, recorded: &Recorded) {
    for rung in &recorded.rungs {
        let packs = recorded.packs.iter().filter(|pack| pack.rung == rung.name);
        let newest = packs.clone().max_by_key(|pack| pack.first_segment).map_or(0, |pack| pack.init);
        let form = if rung.audio {
            Form::Audio { channels: channels(recorded.ladder.as_ref()) }
        } else {
            let (width, height) = (to_u32(rung.width), to_u32(rung.height));
            Form::Video { width, height, frame_rate: frame_rate(recorded.ladder.as_ref(), &rung.name) }
        };
        window.apply(&News::Init(Init {
            rung: rung.name.clone(),
            position: to_u32(rung.position),
            number: to_u32(newest),
            codecs: rung.codecs.clone().unwrap_or_default(),
            form,
        }));
        for pack in packs {
            for (segment, at) in pack.segments.iter().zip(0..) {
                let closed = Closed {
                    number: to_u32(pack.first_segment) + at,
                    epoch: to_u32(pack.attempt),
                    segment: *segment,
                    init: to_u32(pack.init),
                    discontinuity: pack.discontinuity && at == 0,
                    shown_at: pack.shown_at.unwrap_or(Timestamp(0)),
                    gap: false,
                };
                window.apply(&News::Closed { rung: rung.name.clone(), closed });
            }
        }
    }
}

fn channels(ladder: Option<&Ladder>) -> u16 {
    ladder.and_then(|ladder| ladder.audio.as_ref()).map_or(2, |audio| audio.channels)
}

fn frame_rate(ladder: Option<&Ladder>, name: &str) -> Fraction {
    let rung = ladder.and_then(|ladder| ladder.rungs.iter().find(|rung| rung.name == name));
    rung.map_or(Fraction { num: 0, den: 1 }, |rung| rung.frame_rate)
}

fn to_u32(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(0)
}
