//! Which segment a moment belongs to: the planned starts, and where a plan is open the grid beyond them.

use crate::domain::media::{TICKS_PER_SECOND, Ticks};

/// Length of a segment where nothing in the source asks for another.
pub(super) const SEGMENT: Ticks = 4 * TICKS_PER_SECOND;

/// A picture this much before a planned start still begins that segment: the planner and the encoder may have rounded
/// the same time apart.
const SLACK: Ticks = 2;

/// A moment has come, but for rounding.
pub(super) fn reaches(at: Ticks, moment: Ticks) -> bool {
    at + SLACK >= moment
}

/// The planned starts of consecutive segments.
#[derive(Debug, Clone)]
pub(super) struct Grid {
    first: u32,
    starts: Vec<Ticks>,
    open: bool,
}

impl Grid {
    /// Segments from number `first` on; an open grid goes on after the last start.
    pub fn new(first: u32, starts: &[Ticks], open: bool) -> Self {
        let starts = if starts.is_empty() { vec![0] } else { starts.to_vec() };
        Self { first, starts, open }
    }

    /// The number of the first segment.
    pub fn first(&self) -> u32 {
        self.first
    }

    /// When the first segment is planned to start.
    pub fn begin(&self) -> Ticks {
        self.starts.first().copied().unwrap_or(0)
    }

    /// The segment whose planned span holds `at`; the first for anything before it.
    pub fn index(&self, at: Ticks) -> u32 {
        let known = self.starts.partition_point(|start| reaches(at, *start)).max(1);
        let beyond = if self.open && known == self.starts.len() {
            (at + SLACK - self.last()).max(0) / SEGMENT
        } else {
            0
        };
        self.first.saturating_add(to_u32(known as u64 - 1 + beyond.unsigned_abs()))
    }

    /// The planned start of a segment; `None` where the plan has none of that number.
    pub fn start(&self, index: u32) -> Option<Ticks> {
        let at = index.checked_sub(self.first)? as usize;
        match self.starts.get(at) {
            Some(start) => Some(*start),
            None if self.open => {
                Some(self.last() + SEGMENT * i64::try_from(at + 1 - self.starts.len()).ok()?)
            }
            None => None,
        }
    }

    fn last(&self) -> Ticks {
        self.starts.last().copied().unwrap_or(0)
    }
}

fn to_u32(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_belongs_to_the_last_segment_begun() {
        let grid = Grid::new(3, &[900, 1800, 2700], false);
        assert_eq!([0, 900, 1797, 1798, 9999].map(|at| grid.index(at)), [3, 3, 3, 4, 5]);
        assert_eq!(grid.start(5), Some(2700));
        assert_eq!(grid.start(6), None);
    }

    #[test]
    fn an_open_grid_goes_on() {
        let grid = Grid::new(0, &[0, SEGMENT], true);
        assert_eq!(grid.index(3 * SEGMENT + 1), 3);
        assert_eq!(grid.start(3), Some(3 * SEGMENT));
    }
}
