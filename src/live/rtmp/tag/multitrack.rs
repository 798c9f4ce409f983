//! Messages of several tracks (Enhanced RTMP 2, "Multitrack Streaming"): the track that came first is taken, the others
//! are left out, as every player has but one picture and one sound.

use bytes::Bytes;

use super::after;

/// A message of one track, or of many with one codec, or each with its own.
const ONE: u8 = 0;
const MANY_CODECS: u8 = 2;

/// Which track is taken, and whether it is told that others are not.
#[derive(Debug, Default)]
pub(super) struct Choice {
    taken: Option<u8>,
    is_told: bool,
}

/// What a message says of the track that is taken, as the same message of a single track would.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Single {
    pub packet_type: u8,
    pub codec: [u8; 4],
    pub body: Bytes,
}

impl Choice {
    /// A message of a single track came, whose number is 0.
    pub fn take_single(&mut self) -> bool {
        *self.taken.get_or_insert(0) == 0
    }

    /// Reads what follows the packet type of a message of several tracks; nothing where none of them is taken, or the
    /// message ends early.
    pub fn read(&mut self, message: &Bytes) -> (Option<Single>, bool) {
        let (mut single, mut others) = (None, false);
        for (number, track) in tracks(message) {
            if *self.taken.get_or_insert(number) == number {
                single = single.or(Some(track));
            } else {
                others = true;
            }
        }
        let is_news = others && !self.is_told;
        self.is_told |= others;
        (single, is_news)
    }
}

fn tracks(message: &Bytes) -> Vec<(u8, Single)> {
    let mut found = Vec::new();
    let Some(&kinds) = message.first() else { return found };
    let (kind, packet_type) = (kinds >> 4, kinds & 15);
    let Some(mut rest) = after(message, 1) else { return found };
    let mut codec = None;
    if kind != MANY_CODECS {
        codec = four(&mut rest);
    }
    while !rest.is_empty() {
        let own = if kind == MANY_CODECS { four(&mut rest) } else { codec };
        let (Some(codec), Some(&number)) = (own, rest.first()) else { break };
        let size = if kind == ONE {
            rest.len() - 1
        } else {
            let Some(&[a, b, c]) = rest.get(1..4).and_then(|size| size.first_chunk()) else { break };
            usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(usize::MAX)
        };
        let head = if kind == ONE { 1 } else { 4 };
        let Some(body) = after(&rest, head).filter(|body| body.len() >= size) else { break };
        rest = body.slice(size..);
        found.push((number, Single { packet_type, codec, body: body.slice(..size) }));
    }
    found
}

fn four(rest: &mut Bytes) -> Option<[u8; 4]> {
    let codec = *rest.first_chunk()?;
    *rest = rest.slice(4..);
    Some(codec)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(choice: &mut Choice, message: &'static [u8]) -> (Option<(u8, &'static str)>, bool) {
        let (single, told) = choice.read(&Bytes::from_static(message));
        let body = single.map(|single| {
            let text = match &single.body[..] {
                b"one" => "one",
                b"two" => "two",
                _ => "other",
            };
            (single.packet_type, text)
        });
        (body, told)
    }

    #[test]
    fn the_track_that_came_first_is_taken_and_others_are_told_of_once() {
        let mut choice = Choice::default();
        assert!(choice.take_single());
        assert_eq!(read(&mut choice, b"\x01mp4a\x01two"), (None, true));
        assert_eq!(read(&mut choice, b"\x01mp4a\x02two"), (None, false));
        assert_eq!(read(&mut choice, b"\x01mp4a\x00one"), (Some((1, "one")), false));
        let many = b"\x11mp4a\x00\x00\x00\x03one\x01\x00\x00\x03two";
        assert_eq!(read(&mut choice, many), (Some((1, "one")), false));
        let mut choice = Choice::default();
        let codecs = b"\x20mp4a\x07\x00\x00\x03oneOpus\x01\x00\x00\x03two";
        assert_eq!(read(&mut choice, codecs), (Some((0, "one")), true));
        assert!(!choice.take_single());
    }

    #[test]
    fn messages_that_end_early_have_no_more_tracks() {
        for cut in 0..15 {
            let message = Bytes::from_static(b"\x11mp4a\x00\x00\x00\x03one\x01\x00\x00\x03two").slice(..cut);
            let (single, told) = Choice::default().read(&message);
            assert_eq!((single.is_some(), told), (cut >= 12, false), "{cut}");
        }
    }
}
