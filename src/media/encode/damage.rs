//! Which times of a chunk come out damaged or without pictures of their own, so that they can be told.

use crate::domain::media::{TICKS_PER_SECOND, Ticks};

/// Pictures further apart than this have lost those between them, where packets went in for some.
const GAP: Ticks = TICKS_PER_SECOND / 2;
/// Packets that may give no picture in a gap without a word of the decoder's, such as VP8's invisible reference pictures.
const SILENT_PACKETS: usize = 3;
/// A smaller packet says that nothing changes (MPEG-4's `vop_coded` 0) and gives no picture.
const SMALLEST_PICTURE: usize = 32;
/// Spans closer together than this are told as one.
const JOINED: Ticks = TICKS_PER_SECOND;

/// From and to.
pub(super) type Spans = Vec<(Ticks, Ticks)>;

/// Compares what goes into the decoder with what comes out.
#[derive(Debug)]
pub(super) struct Damage {
    begin: Ticks,
    end: Ticks,
    /// How long a picture is shown on average.
    nominal: Ticks,
    /// Times of packets whose pictures have not come.
    waiting: Vec<Ticks>,
    last: Option<Ticks>,
    /// The decoder refused a packet since the last picture.
    refused: bool,
    /// What later pictures are predicted from is damaged since then.
    smeared: Option<Ticks>,
    spans: Spans,
}

impl Damage {
    /// For the chunk from `begin` to `end`.
    pub fn new((begin, end): (Ticks, Ticks), nominal: Ticks) -> Self {
        Self {
            begin,
            end,
            nominal,
            waiting: Vec::new(),
            last: None,
            refused: false,
            smeared: None,
            spans: Vec::new(),
        }
    }

    /// A packet to be shown at `at` goes in.
    pub fn packet(&mut self, at: Ticks, bytes: usize) {
        if bytes >= SMALLEST_PICTURE && (self.begin..self.end).contains(&at) {
            self.waiting.push(at);
        }
    }

    /// The decoder refuses a packet, after `fed` went in: what it held is missing until the next whole picture.
    pub fn refuse(&mut self, fed: Ticks) {
        if fed >= self.begin {
            self.refused = true;
            self.smeared.get_or_insert(self.last.map_or(self.begin, |last| last + self.nominal));
        }
    }

    /// A picture comes out; `key` where it needs no other.
    pub fn picture(&mut self, at: Ticks, key: bool, damaged: bool) {
        self.close_gap(at);
        self.waiting.retain(|waiting| *waiting > at);
        self.last = Some(at);
        self.refused = false;
        if damaged && at >= self.begin {
            self.smeared.get_or_insert(at);
        } else if key && let Some(since) = self.smeared.take() {
            self.spans.push((since, at));
        }
    }

    /// No more pictures come; the spans in order.
    pub fn finish(&mut self) -> Spans {
        let (begin, end) = (self.begin, self.end);
        self.close_gap(end);
        self.spans.extend(self.smeared.take().map(|since| (since, end)));
        let within = |(from, to): (Ticks, Ticks)| (from.max(begin), to.min(end));
        joined(self.spans.drain(..).map(within).filter(|(from, to)| from < to).collect())
    }

    fn close_gap(&mut self, at: Ticks) {
        let last = self.last.unwrap_or(self.begin);
        let missing = self.waiting.iter().filter(|waiting| (last..at).contains(*waiting)).count();
        let told = if self.refused { 1 } else { SILENT_PACKETS };
        if at - last > GAP && missing >= told {
            self.spans.push((self.last.map_or(last, |last| last + self.nominal), at));
        }
    }
}

fn joined(mut spans: Spans) -> Spans {
    spans.sort_unstable();
    let mut joined: Spans = Vec::new();
    for (from, to) in spans {
        match joined.last_mut().filter(|last| last.1 + JOINED >= from) {
            Some(last) => last.1 = last.1.max(to),
            None => joined.push((from, to)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Ticks = TICKS_PER_SECOND;
    const FIFTH: Ticks = S / 5;

    /// Five pictures a second from 4 s to 8 s; `comes` tells of the pictures by number whether they come out, and how.
    fn spans(comes: fn(i64) -> Option<bool>) -> Spans {
        let mut damage = Damage::new((4 * S, 8 * S), FIFTH);
        for number in 0..20 {
            let at = 4 * S + number * FIFTH;
            damage.packet(at, 1000);
            if let Some(damaged) = comes(number) {
                damage.picture(at, number % 10 == 0, damaged);
            }
        }
        damage.finish()
    }

    #[test]
    fn whole_pictures_leave_nothing_to_tell() {
        assert!(spans(|_| Some(false)).is_empty());
        assert!(spans(|number| (number != 7).then_some(false)).is_empty());
    }

    #[test]
    fn packets_that_give_no_picture_are_a_loss() {
        assert_eq!(spans(|_| None), [(4 * S, 8 * S)]);
        assert_eq!(spans(|number| (number < 15).then_some(false)), [(7 * S, 8 * S)]);
    }

    #[test]
    fn a_damaged_picture_smears_until_the_next_keyframe() {
        assert_eq!(spans(|number| Some(number == 5)), [(5 * S, 6 * S)]);
        assert_eq!(spans(|number| Some(number == 15)), [(7 * S, 8 * S)]);
    }

    #[test]
    fn a_pause_without_packets_is_no_loss_and_what_comes_before_the_chunk_is_not_its() {
        let mut damage = Damage::new((4 * S, 8 * S), FIFTH);
        damage.refuse(3 * S);
        damage.picture(3 * S, false, true);
        damage.packet(4 * S, 1000);
        damage.picture(4 * S, false, false);
        damage.packet(7 * S, 1000);
        damage.picture(7 * S, false, false);
        assert!(damage.finish().is_empty());
    }

    #[test]
    fn packets_that_say_that_nothing_changes_are_no_loss() {
        let mut damage = Damage::new((0, 8 * S), FIFTH);
        damage.packet(0, 1000);
        damage.picture(0, true, false);
        (1..40).for_each(|number| damage.packet(number * FIFTH, 8));
        assert!(damage.finish().is_empty());
    }

    #[test]
    fn what_the_decoder_refuses_is_told_up_to_the_next_keyframe() {
        let mut damage = Damage::new((0, 8 * S), FIFTH);
        damage.picture(S, false, false);
        damage.refuse(S + FIFTH);
        damage.picture(2 * S, false, false);
        damage.picture(3 * S, true, false);
        assert_eq!(damage.finish(), [(S + FIFTH, 3 * S)]);
    }
}
