//! The programmes of a transport stream, each of which has a clock of its own (ISO/IEC 13818-1 2.4.2.2).

use std::collections::BTreeMap;

use ffmpeg_next::format::context::Input;

use super::epochs::{Clocks, Epochs};
use crate::media::raw;

/// The epochs of each programme, found by its streams; a source without programmes counts as one.
pub(super) struct Programmes {
    /// A programme is known by its first stream.
    of: BTreeMap<usize, Option<usize>>,
    all: BTreeMap<Option<usize>, Epochs>,
}

impl Programmes {
    pub fn of(input: &Input) -> Self {
        let first = |index| raw::programme_of(input, index).into_iter().min();
        let of: BTreeMap<usize, Option<usize>> =
            (0..input.nb_streams() as usize).map(|index| (index, first(index))).collect();
        let all = of.values().map(|programme| (*programme, Epochs::new(Clocks::of(input)))).collect();
        Self { of, all }
    }

    /// Those of the programme that a stream belongs to.
    pub fn epochs(&self, stream: usize) -> Option<&Epochs> {
        self.all.get(self.of.get(&stream)?)
    }

    /// The same, to go on with.
    pub fn epochs_mut(&mut self, stream: usize) -> Option<&mut Epochs> {
        self.all.get_mut(self.of.get(&stream)?)
    }
}
