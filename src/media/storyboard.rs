//! The storyboard's grid and its `WebVTT`: which tile shows which moment.

use std::fmt::Write as _;

use super::task::Storyboard;
use crate::domain::media::{TICKS_PER_SECOND, Ticks};

/// No side of a tile is longer.
const TILE_SIDE: u32 = 160;
/// Tiles in a row, and at most in all: one sheet of a few hundred kilobytes.
const COLUMNS: u32 = 10;
const MAX_TILES: u32 = 100;
/// Closer together they'd show nothing new.
const SHORTEST_INTERVAL: Ticks = TICKS_PER_SECOND;

/// The grid for a video of this length and shown size.
#[must_use]
pub fn plan(duration: Ticks, width: u32, height: u32) -> Storyboard {
    let duration = duration.max(1);
    let interval = SHORTEST_INTERVAL.max((duration + Ticks::from(MAX_TILES) - 1) / Ticks::from(MAX_TILES));
    let tiles = u32::try_from((duration + interval - 1) / interval).unwrap_or(MAX_TILES).clamp(1, MAX_TILES);
    let (width, height) = (width.max(1), height.max(1));
    let long = u64::from(width.max(height));
    let side = |length: u32| {
        let scaled = u64::from(length) * u64::from(TILE_SIDE) / long;
        (u32::try_from(scaled).unwrap_or(TILE_SIDE) & !1).max(2)
    };
    Storyboard {
        tile_width: side(width),
        tile_height: side(height),
        columns: COLUMNS.min(tiles),
        tiles,
        interval,
    }
}

/// The moment a tile shows: the middle of its time.
pub(super) fn moment(storyboard: &Storyboard, tile: u32, duration: Ticks) -> Ticks {
    let begin = Ticks::from(tile) * storyboard.interval;
    let end = (begin + storyboard.interval).min(duration.max(begin));
    begin + (end - begin) / 2
}

/// A cue for each tile, with its place in the sheet as a media fragment (`#xywh`, W3C Media Fragments 4.2.2).
#[must_use]
pub fn vtt(storyboard: &Storyboard, (start, duration): (Ticks, Ticks), image_url: &str) -> String {
    let mut text = String::from("WEBVTT\n");
    for tile in 0..storyboard.tiles {
        let begin = Ticks::from(tile) * storyboard.interval;
        let end =
            if tile + 1 == storyboard.tiles { duration.max(begin + 90) } else { begin + storyboard.interval };
        if end <= start {
            continue;
        }
        let (column, row) = (tile % storyboard.columns.max(1), tile / storyboard.columns.max(1));
        let Storyboard { tile_width, tile_height, .. } = *storyboard;
        // Writing into a string can't go wrong.
        let _ = write!(
            text,
            "\n{} --> {}\n{image_url}#xywh={},{},{tile_width},{tile_height}\n",
            clock((begin - start).max(0)),
            clock(end - start),
            column * tile_width,
            row * tile_height,
        );
    }
    text
}

fn clock(at: Ticks) -> String {
    let milliseconds = at / 90;
    let seconds = milliseconds / 1000;
    format!("{:02}:{:02}:{:02}.{:03}", seconds / 3600, seconds / 60 % 60, seconds % 60, milliseconds % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Ticks = TICKS_PER_SECOND;

    #[test]
    fn long_videos_have_a_hundred_tiles_and_short_ones_one_a_second() {
        let hour = plan(3600 * S, 1920, 1080);
        assert_eq!((hour.tile_width, hour.tile_height, hour.columns, hour.tiles), (160, 90, 10, 100));
        assert_eq!(hour.interval, 36 * S);
        let short = plan(3 * S / 2, 1080, 1920);
        assert_eq!((short.tile_width, short.tile_height, short.columns, short.tiles), (90, 160, 2, 2));
        assert_eq!(plan(0, 9000, 1).tiles, 1);
    }

    #[test]
    fn a_tile_shows_the_middle_of_its_time() {
        let board = plan(3 * S / 2, 640, 360);
        assert_eq!([0, 1].map(|tile| moment(&board, tile, 3 * S / 2)), [S / 2, 5 * S / 4]);
    }

    #[test]
    fn every_tile_has_its_cue() {
        let board = Storyboard { tile_width: 160, tile_height: 90, columns: 2, tiles: 3, interval: 2 * S };
        insta::assert_snapshot!(vtt(&board, (0, 5 * S + 45), "storyboard.jpg"), @"
        WEBVTT

        00:00:00.000 --> 00:00:02.000
        storyboard.jpg#xywh=0,0,160,90

        00:00:02.000 --> 00:00:04.000
        storyboard.jpg#xywh=160,0,160,90

        00:00:04.000 --> 00:00:05.000
        storyboard.jpg#xywh=0,90,160,90
        ");
    }
}
