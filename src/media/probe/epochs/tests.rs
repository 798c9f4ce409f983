//! The epochs of sources joined of pieces with clocks of their own, of pauses, and of times that lie.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const S: Ticks = TICKS_PER_SECOND;
const VIDEO: usize = 0;
const AUDIO: usize = 1;
/// 25 pictures a second, and AAC frames at 48 kHz.
const LASTS: [Ticks; 2] = [3600, 1920];

/// A packet: its stream, its time on the source's clock and where it lies.
type Read = (usize, Ticks, u64);

/// A piece of a joined file: how long it is, its clock's first time, and how long its pictures begin after its sound.
#[derive(Debug, Clone, Copy)]
struct Piece {
    length: Ticks,
    clock: Ticks,
    late: Ticks,
}

/// Packets as they lie in the file: each stream in order, by time, from `from` on.
fn packets(piece: Piece, from: u64) -> Vec<Read> {
    let times = |stream: usize, first: Ticks| {
        (0..).map(move |at| first + at * LASTS[stream]).take_while(move |at| *at < piece.length)
    };
    let mut all: Vec<(Ticks, usize)> = times(VIDEO, piece.late).map(|at| (at, VIDEO)).collect();
    all.extend(times(AUDIO, 0).map(|at| (at, AUDIO)));
    all.sort_unstable();
    (from..).step_by(188).zip(all).map(|(place, (at, stream))| (stream, piece.clock + at, place)).collect()
}

/// The pieces one after the other.
fn joined(pieces: &[Piece]) -> Vec<Read> {
    pieces.iter().fold(Vec::new(), |mut all, piece| {
        let from = all.last().map_or(0, |(_, _, place)| place + 188);
        all.extend(packets(*piece, from));
        all
    })
}

/// The times by what is found, in the order read, with what is found.
fn mended(clocks: Clocks, read: &[Read]) -> (Vec<Option<Ticks>>, Vec<Discontinuity>) {
    let (times, epochs) = told(clocks, read);
    (times, epochs.discontinuities(VIDEO))
}

fn told(clocks: Clocks, read: &[Read]) -> (Vec<Option<Ticks>>, Epochs) {
    let mut epochs = Epochs::new(clocks);
    let stamp = |stream: usize, at, position| Stamp {
        decoded: at,
        shown: Some(at),
        duration: LASTS[stream],
        position: Some(position),
    };
    let places: Vec<_> =
        read.iter().map(|(stream, at, place)| epochs.place(*stream, &stamp(*stream, *at, *place))).collect();
    let offsets = epochs.offsets(VIDEO);
    let times = places.iter().zip(read).map(|(epoch, (_, at, _))| Some(at + offsets.get(&(*epoch)?)?));
    (times.collect(), epochs)
}

fn of(stream: usize, read: &[Read], times: &[Option<Ticks>]) -> Vec<Ticks> {
    read.iter().zip(times).filter(|((of, ..), _)| *of == stream).filter_map(|(_, time)| *time).collect()
}

fn piece(seconds: Ticks, clock: Ticks) -> Piece {
    Piece { length: seconds * S, clock, late: 0 }
}

#[test]
fn a_file_joined_four_times_with_itself_is_four_times_as_long() {
    let read = joined(&[piece(6, S); 4]);
    let (times, found) = mended(Clocks::Many, &read);
    let video = of(VIDEO, &read, &times);
    assert!(video.windows(2).all(|pair| pair[1] - pair[0] == LASTS[VIDEO]), "{found:?}");
    assert_eq!((found.len(), video.len()), (3, 600));
}

#[test]
fn a_clock_an_hour_ahead_goes_on_where_it_was() {
    let read = joined(&[piece(6, S), piece(6, 3600 * S)]);
    let (times, found) = mended(Clocks::Many, &read);
    assert_eq!(of(VIDEO, &read, &times).last(), Some(&(13 * S - LASTS[VIDEO])), "{found:?}");
}

#[test]
fn pictures_that_come_seldom_beside_sound_are_no_new_clock() {
    let mut read: Vec<Read> = packets(Piece { late: 100 * S, ..piece(90, 0) }, 0);
    read.extend((0..6).map(|at| (VIDEO, at * 15 * S, u64::try_from(at * 15).expect("few") * 188 * 47)));
    read.sort_by_key(|(stream, at, _)| (*at, *stream));
    for (place, packet) in read.iter_mut().enumerate() {
        packet.2 = place as u64 * 188;
    }
    assert_eq!(mended(Clocks::Many, &read).1, []);
}

#[test]
fn pictures_that_leave_the_demuxer_long_after_their_sound_are_no_new_clock() {
    let mut read: Vec<Read> = packets(Piece { late: 100 * S, ..piece(60, 0) }, 0);
    let place = |at: Ticks| u64::try_from(at * 47).expect("few") * 188;
    // Each is complete only when the next but one begins.
    for at in [0, 12, 24] {
        let after = read.iter().position(|(_, time, _)| *time >= (at + 24) * S).expect("later sound");
        read.insert(after, (VIDEO, at * S, place(at)));
    }
    read.extend([(VIDEO, 36 * S, place(36)), (VIDEO, 48 * S, place(48))]);
    assert_eq!(mended(Clocks::Many, &read).1, []);
}

#[test]
fn a_pause_of_a_minute_stays_one_where_a_container_has_one_clock() {
    let read = joined(&[piece(6, 0), piece(6, 66 * S)]);
    let (times, found) = mended(Clocks::One, &read);
    assert_eq!((found, of(VIDEO, &read, &times).last()), (vec![], Some(&(72 * S - LASTS[VIDEO]))));
}

#[test]
fn a_clock_that_begins_anew_is_followed_and_a_pause_kept_where_both_may_be() {
    let read = joined(&[piece(6, 0), piece(6, 0), piece(6, 66 * S)]);
    let (times, found) = mended(Clocks::Restarting, &read);
    assert_eq!((found.len(), of(VIDEO, &read, &times).last()), (1, Some(&(78 * S - LASTS[VIDEO]))));
}

#[test]
fn a_time_that_lies_is_no_clock_and_what_follows_stays_where_it_is() {
    for lie in [0, 3600 * S] {
        let mut read = joined(&[piece(60, 20 * S)]);
        let at = read.iter().rposition(|(stream, at, _)| *stream == VIDEO && *at == 40 * S).expect("one");
        read[at].1 = lie;
        let (times, epochs) = told(Clocks::Many, &read);
        assert_eq!((epochs.discontinuities(VIDEO), times[at]), (vec![], None));
        assert_eq!(epochs.wrong_stamps(), [read[at].2]);
        assert_eq!(of(AUDIO, &read, &times).last(), read.last().map(|(_, at, _)| at));
    }
}

#[test]
fn a_clock_that_returns_after_a_break_of_its_own_is_followed_there_and_back() {
    let read = joined(&[piece(30, 0), piece(20, 5000 * S), piece(30, 30 * S)]);
    let (times, found) = mended(Clocks::Many, &read);
    assert_eq!((found.len(), of(VIDEO, &read, &times).last()), (2, Some(&(80 * S - LASTS[VIDEO]))));
}

#[test]
fn pictures_that_begin_late_in_a_later_piece_don_t_cost_its_sound() {
    let read = joined(&[piece(6, 0), Piece { late: 2 * S, ..piece(6, 0) }]);
    let (times, _) = mended(Clocks::Many, &read);
    let sound = of(AUDIO, &read, &times);
    assert!(sound.windows(2).all(|pair| pair[1] - pair[0] >= LASTS[AUDIO]));
    assert_eq!(sound.len(), read.iter().filter(|(stream, ..)| *stream == AUDIO).count());
}

#[test]
fn more_discontinuities_than_are_kept_end_in_times_that_can_t_be_meant() {
    let read: Vec<Read> =
        (0..30_000).map(|at| (VIDEO, 100 * S * (at % 4), at.unsigned_abs() * 188)).collect();
    assert_eq!(mended(Clocks::Many, &read).1.len(), MAX_EPOCHS - 1);
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let piece = (2 * S..40 * S, prop_oneof![Just(0), Just(126_000), 0..95_443 * S], 0..S)
        .prop_map(|(length, clock, late)| Piece { length, clock, late });
    vec(piece, 1..8)
}

/// The clock of each piece is another than the one before would have gone on with.
fn are_apart(pieces: &[Piece]) -> bool {
    pieces.windows(2).all(|pair| {
        let step = pair[1].clock - (pair[0].clock + pair[0].length);
        !(-2 * S..=12 * S).contains(&step)
    })
}

proptest! {
    /// Whatever clocks joined pieces have, and in whatever order a demuxer gives the packets around a joint: every piece
    /// is found where it begins, sound and pictures of a piece stay together, and nothing overlaps or is far apart.
    #[test]
    fn joined_pieces_follow_each_other(pieces in pieces(), swaps in vec(0_usize..1000, 0..20)) {
        prop_assume!(are_apart(&pieces));
        let mut read = joined(&pieces);
        for at in swaps {
            // A packet of one stream may be complete before an earlier one of another.
            let at = at % read.len();
            if at > 0 && read[at].0 != read[at - 1].0 {
                read.swap(at - 1, at);
            }
        }
        let (times, found) = mended(Clocks::Many, &read);
        let mut begins = Vec::new();
        let mut place = 0;
        for piece in &pieces {
            begins.push(place);
            place += packets(*piece, 0).len() as u64 * 188;
        }
        prop_assert_eq!(found.iter().map(|it| it.position).collect::<Vec<_>>(), &begins[1..]);
        let mut offsets = vec![0];
        offsets.extend(found.iter().map(|it| it.offset));
        for ((_, at, place), time) in read.iter().zip(&times) {
            let piece = begins.partition_point(|begin| begin <= place) - 1;
            prop_assert_eq!(*time, Some(at + offsets[piece]));
        }
        let mut edge: Option<Ticks> = None;
        for (piece, offset) in pieces.iter().zip(&offsets) {
            let (from, to) = (piece.clock + offset, piece.clock + piece.length + offset);
            if let Some(edge) = edge {
                prop_assert!((from - edge).abs() <= OVERLAP + 2 * LASTS[VIDEO] + piece.late, "{from} after {edge}");
            }
            edge = Some(to);
        }
    }
}
