//! How a stored picture becomes the one shown: turned, mirrored, with square pixels and even sides.

use crate::domain::media::Fraction;

/// A turn clockwise, after mirroring left to right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::media) struct Turn {
    /// 0, 90, 180 or 270 degrees.
    pub degrees: u16,
    pub mirrored: bool,
}

impl Turn {
    /// From a display matrix of nine native-endian 32-bit numbers (ISO/IEC 14496-12 8.3.2, `tkhd`).
    pub fn from_matrix(bytes: &[u8]) -> Self {
        let cell = |at: usize| -> f64 {
            let bytes = bytes.get(at * 4..).and_then(<[u8]>::first_chunk);
            f64::from(bytes.map_or(0, |bytes| i32::from_ne_bytes(*bytes)))
        };
        let (across, down) = ((cell(0), cell(1)), (cell(3), cell(4)));
        if across == (0.0, 0.0) {
            return Self::default();
        }
        let mirrored = across.0 * down.1 - across.1 * down.0 < 0.0;
        // Where the horizontal axis comes to lie, once mirroring is undone, tells the angle; y grows downwards.
        let sign = if mirrored { -1.0 } else { 1.0 };
        let angle = (sign * across.1).atan2(sign * across.0).to_degrees();
        Self { degrees: nearest(angle), mirrored }
    }

    /// From a `rotate` tag: degrees clockwise.
    pub fn from_tag(text: &str) -> Self {
        let degrees = text.trim().parse::<f64>().ok().filter(|degrees| degrees.is_finite());
        Self { degrees: degrees.map_or(0, nearest), mirrored: false }
    }

    /// Width and height change places.
    pub fn is_sideways(self) -> bool {
        self.degrees % 180 == 90
    }
}

/// A pixel's shape, or square where what is claimed can't be meant.
pub(in crate::media) fn sane_aspect(claimed: Fraction) -> Fraction {
    let ratio = claimed.as_f64();
    if (0.2..=5.0).contains(&ratio) { claimed } else { Fraction { num: 1, den: 1 } }
}

/// Width and height as shown.
pub(super) fn shown(width: u32, height: u32, aspect: Fraction, turn: Turn) -> (u32, u32) {
    let wide = f64::from(width) * aspect.as_f64();
    let (wide, high) = (even(wide), even(f64::from(height)));
    if turn.is_sideways() { (high, wide) } else { (wide, high) }
}

fn even(side: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to what a side may be"
    )]
    let half = (side / 2.0).round().clamp(1.0, 32_768.0) as u32;
    half * 2
}

fn nearest(degrees: f64) -> u16 {
    match (degrees / 90.0).round().rem_euclid(4.0) {
        quarter if quarter < 0.5 => 0,
        quarter if quarter < 1.5 => 90,
        quarter if quarter < 2.5 => 180,
        _ => 270,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQUARE: Fraction = Fraction { num: 1, den: 1 };

    fn matrix(a: i32, b: i32, c: i32, d: i32) -> Turn {
        let cells = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30];
        Turn::from_matrix(&cells.map(i32::to_ne_bytes).concat())
    }

    #[test]
    fn a_phone_held_upright_is_turned_clockwise() {
        assert_eq!(matrix(0, 1, -1, 0), Turn { degrees: 90, mirrored: false });
        assert_eq!(matrix(-1, 0, 0, -1), Turn { degrees: 180, mirrored: false });
        assert_eq!(matrix(0, -1, 1, 0), Turn { degrees: 270, mirrored: false });
    }

    #[test]
    fn a_mirror_comes_before_the_turn() {
        assert_eq!(matrix(-1, 0, 0, 1), Turn { degrees: 0, mirrored: true });
        assert_eq!(matrix(1, 0, 0, -1), Turn { degrees: 180, mirrored: true });
    }

    #[test]
    fn an_empty_matrix_turns_nothing() {
        assert_eq!(Turn::from_matrix(&[]), Turn::default());
        assert_eq!(Turn::from_tag("270").degrees, 270);
        assert_eq!(Turn::from_tag("-90").degrees, 270);
        assert_eq!(Turn::from_tag("upside down").degrees, 0);
    }

    #[test]
    fn wide_pixels_make_a_wider_picture_and_sides_are_even() {
        assert_eq!(shown(720, 576, Fraction { num: 16, den: 11 }, Turn::default()), (1048, 576));
        assert_eq!(shown(1, 1, SQUARE, Turn::default()), (2, 2));
        assert_eq!(shown(1920, 1080, SQUARE, Turn { degrees: 90, mirrored: false }), (1080, 1920));
    }

    #[test]
    fn a_pixel_a_hundred_times_as_wide_is_taken_for_square() {
        assert_eq!(sane_aspect(Fraction { num: 100, den: 1 }), SQUARE);
        assert_eq!(sane_aspect(Fraction { num: 0, den: 1 }), SQUARE);
    }
}
