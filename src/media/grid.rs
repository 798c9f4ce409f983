//! Which segment a moment belongs to.

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
}

impl Grid {
    /// Segments from number `first` on.
    pub fn new(first: u32, starts: &[Ticks]) -> Self {
        let starts = if starts.is_empty() { vec![0] } else { starts.to_vec() };
        Self { first, starts }
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
        let begun = self.starts.partition_point(|start| reaches(at, *start)).max(1);
        self.first.saturating_add(u32::try_from(begun - 1).unwrap_or(u32::MAX))
    }

    /// The planned start of a segment; `None` where the plan has none of that number.
    pub fn start(&self, index: u32) -> Option<Ticks> {
        self.starts.get(index.checked_sub(self.first)? as usize).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_belongs_to_the_last_segment_begun() {
        let grid = Grid::new(3, &[900, 1800, 2700]);
        assert_eq!([0, 900, 1797, 1798, 9999].map(|at| grid.index(at)), [3, 3, 3, 4, 5]);
        assert_eq!(grid.start(5), Some(2700));
        assert_eq!(grid.start(6), None);
    }
}
