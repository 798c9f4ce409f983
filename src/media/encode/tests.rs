use crate::domain::media::{Fraction, TICKS_PER_SECOND as S};
use crate::media::trial::{chunk, clip, encoded, judge, rung, split};

const RATE: Fraction = Fraction { num: 25, den: 1 };

#[test]
fn two_chunks_encoded_apart_join_without_a_seam() {
    let clip =
        clip("a.mp4", "-f lavfi -i testsrc2=s=320x180:r=25:d=9 -c:v libx264 -preset ultrafast -g 60 -bf 2");
    let whole = chunk(
        &clip,
        &[0, 4 * S, 8 * S],
        9 * S,
        vec![rung("180p", 320, 180, RATE), rung("120p", 214, 120, RATE)],
    );
    let (heard, ended) = encoded(&clip, &split(&whole, 1));
    assert_eq!((heard.failed.len(), ended), (0, 9 * S));
    for (name, track) in &heard.tracks {
        assert_eq!(track.edges(), [0, 4 * S, 8 * S, 9 * S], "{name}");
        judge(&clip, name, track);
    }
    assert_eq!(heard.tracks.len(), 2);
}
