//! How tracks of one channel each are heard together: as left and right, or laid over each other.

use super::program::finite;

/// A track whose loudest half second stays below this is silent, in dB below full scale (the absolute gate of ITU-R
/// BS.1770).
const SILENT_DB: f64 = -70.0;
/// So far below the loudest of them a track is an input that nothing was plugged into.
const UNPLUGGED_DB: f64 = 40.0;
/// Left and right of one recording have this much in common; two microphones, each on its own, have less, and heard as
/// left and right would put each person into one ear.
const ONE_RECORDING: f64 = 0.3;
/// Samples of the half second that a track's loudness is taken by.
const WINDOW: usize = 24_000;
/// Half the power, as a centre is spread over two speakers (ITU-R BS.775).
const HALF: f32 = std::f32::consts::FRAC_1_SQRT_2;
/// How six tracks that say nothing are allotted (SMPTE 428-3, EBU R 123): L, R, C, LFE, Ls, Rs.
const FIVE_ONE: [[f32; 2]; 6] = [[1.0, 0.0], [0.0, 1.0], [HALF, HALF], [0.0, 0.0], [HALF, 0.0], [0.0, HALF]];

/// libav's numbers of speakers (`AVChannel`): front left and left of a stereo downmix, and so on.
const LEFT: [u32; 2] = [0, 29];
const RIGHT: [u32; 2] = [1, 30];
const LOW_FREQUENCY: u32 = 3;
const SURROUND_LEFT: [u32; 3] = [4, 6, 9];
const SURROUND_RIGHT: [u32; 3] = [5, 7, 10];

/// How much of each track goes to each channel.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mix {
    channels: u16,
    /// By track, to left and right.
    weights: Vec<[f32; 2]>,
}

impl Mix {
    /// One track alone, or several laid over each other.
    pub fn all(tracks: usize, channels: u16) -> Self {
        Self { channels, weights: vec![[1.0, 1.0]; tracks] }
    }

    /// The tracks that are heard at all, and how; the others need not be read.
    pub fn of_heard(self, tracks: &[u32]) -> (Vec<u32>, Self) {
        let tracks = tracks.iter().copied().zip(self.weights);
        let (heard, weights) = tracks.filter(|(_, to)| to.iter().any(|weight| *weight > 0.0)).unzip();
        (heard, Self { channels: self.channels, weights })
    }

    /// The channels of what each track gives.
    pub fn lay(&self, rows: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let length = rows.first().map_or(0, Vec::len);
        let mut planes = vec![vec![0.0; length]; usize::from(self.channels.clamp(1, 2))];
        for (row, weights) in rows.iter().zip(&self.weights) {
            // A single channel has all that either would have.
            let single = weights[0].max(weights[1]);
            for (channel, plane) in planes.iter_mut().enumerate() {
                let weight = if self.channels == 1 { single } else { weights[channel] };
                plane.iter_mut().zip(row).for_each(|(to, from)| *to += weight * from);
            }
        }
        planes
    }
}

/// What was heard of tracks that may belong together.
#[derive(Debug, Clone, Default)]
pub(super) struct Levels {
    /// Mean square of each track's loudest half second so far.
    loudest: Vec<f64>,
    /// The half second at hand, and the sum of squares of all.
    window: Vec<f64>,
    energy: Vec<f64>,
    /// Products of each track with the one after it.
    common: Vec<f64>,
    in_window: usize,
    /// Half seconds in which each track had sound.
    live: usize,
}

impl Levels {
    pub fn new(tracks: usize) -> Self {
        let none = vec![0.0; tracks];
        Self {
            loudest: none.clone(),
            window: none.clone(),
            energy: none.clone(),
            common: none,
            ..Self::default()
        }
    }

    /// Takes the next samples of each track.
    pub fn take(&mut self, rows: &[Vec<f32>]) {
        for (at, row) in rows.iter().enumerate() {
            self.window[at] += product(row, row);
            if let Some(next) = rows.get(at + 1) {
                self.common[at] += product(row, next);
            }
        }
        self.in_window += rows.first().map_or(0, Vec::len);
        if self.in_window >= WINDOW {
            self.close();
        }
    }

    /// Takes the last half second as it is.
    pub fn end(&mut self) {
        if self.in_window > WINDOW / 10 || self.loudest.iter().all(|loudest| *loudest == 0.0) {
            self.close();
        }
    }

    /// Half seconds so far in which no track was silent.
    pub fn live(&self) -> usize {
        self.live
    }

    fn close(&mut self) {
        #[expect(clippy::cast_precision_loss, reason = "a second of samples at most")]
        let samples = self.in_window.max(1) as f64;
        let mut all = true;
        for (at, window) in self.window.iter_mut().enumerate() {
            let mean = std::mem::take(window) / samples;
            self.energy[at] += mean * samples;
            self.loudest[at] = self.loudest[at].max(mean);
            all &= decibels(mean) > SILENT_DB;
        }
        self.live += usize::from(all);
        self.in_window = 0;
    }

    /// The tracks that have sound.
    fn heard(&self) -> Vec<usize> {
        let most = self.loudest.iter().copied().map(decibels).fold(f64::NEG_INFINITY, f64::max);
        let floor = SILENT_DB.max(most - UNPLUGGED_DB);
        (0..self.loudest.len()).filter(|at| decibels(self.loudest[*at]) > floor).collect()
    }

    /// The track and the next are left and right of one recording.
    fn is_pair(&self, at: usize) -> bool {
        let power = (self.energy[at] * self.energy[at + 1]).sqrt();
        power > 0.0 && self.common[at].abs() / power >= ONE_RECORDING
    }

    /// How the tracks are heard; `None` where all are silent.
    ///
    /// What says for which speaker it is goes there. Otherwise pairs are left and right where they have enough in common
    /// and laid over each other where not; six tracks are 5.1; of four, eight and more the first pair with sound is
    /// heard, the others being other mixes or languages (EBU R 123). A silent track leaves its place to the other.
    pub fn mix(&self, speakers: &[Option<u32>], channels: u16) -> Option<Mix> {
        let (tracks, heard) = (self.loudest.len(), self.heard());
        let mut weights = vec![[0.0, 0.0]; tracks];
        match *heard.as_slice() {
            [] => return None,
            [one] => weights[one] = [1.0, 1.0],
            _ if let Some(told) = by_speakers(speakers) => weights = told,
            [left, right] if left % 2 == 0 && right == left + 1 && self.is_pair(left) => {
                (weights[left], weights[right]) = ([1.0, 0.0], [0.0, 1.0]);
            }
            ref some if tracks == 6 && some.len() > 4 => weights = FIVE_ONE.to_vec(),
            ref some if some.len() < 4 || some.len() % 2 == 1 => {
                for at in some {
                    weights[*at] = [1.0, 1.0];
                }
            }
            [first, ..] => return self.only(first - first % 2).mix(&[], channels),
        }
        Some(Mix { channels, weights })
    }

    /// The same with nothing heard but the pair that begins at `at`.
    fn only(&self, at: usize) -> Self {
        let mut only = self.clone();
        for (_, loudest) in only.loudest.iter_mut().enumerate().filter(|(track, _)| track / 2 != at / 2) {
            *loudest = 0.0;
        }
        only
    }
}

/// Where each track says for which speaker it is, and no two for the same.
fn by_speakers(speakers: &[Option<u32>]) -> Option<Vec<[f32; 2]>> {
    let told: Vec<u32> = speakers.iter().copied().collect::<Option<_>>()?;
    let twice = told.iter().enumerate().any(|(at, one)| told[..at].contains(one));
    (told.len() > 1 && !twice).then(|| told.iter().map(|speaker| weights_of(*speaker)).collect())
}

/// How a speaker's share is spread over two (ITU-R BS.775).
fn weights_of(speaker: u32) -> [f32; 2] {
    match speaker {
        speaker if LEFT.contains(&speaker) => [1.0, 0.0],
        speaker if RIGHT.contains(&speaker) => [0.0, 1.0],
        speaker if SURROUND_LEFT.contains(&speaker) => [HALF, 0.0],
        speaker if SURROUND_RIGHT.contains(&speaker) => [0.0, HALF],
        LOW_FREQUENCY => [0.0, 0.0],
        _ => [HALF, HALF],
    }
}

fn product(one: &[f32], other: &[f32]) -> f64 {
    one.iter().zip(other).map(|(one, other)| f64::from(finite(*one)) * f64::from(finite(*other))).sum()
}

fn decibels(mean_square: f64) -> f64 {
    10.0 * mean_square.max(1e-20).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [f32; 2] = [1.0, 1.0];
    const NONE: [f32; 2] = [0.0, 0.0];
    const L: [f32; 2] = [1.0, 0.0];
    const R: [f32; 2] = [0.0, 1.0];

    /// A second of tones of these frequencies; 0 is silence.
    fn levels(tones: &[u16]) -> Levels {
        let tone = |hertz: &u16| {
            let step = f32::from(*hertz) * std::f32::consts::TAU / 48_000.0;
            (0..48_000_u16).map(|at| 0.1 * (f32::from(at) * step).sin()).collect::<Vec<f32>>()
        };
        let mut levels = Levels::new(tones.len());
        levels.take(&tones.iter().map(tone).collect::<Vec<_>>());
        levels.end();
        levels
    }

    fn weights(tones: &[u16], speakers: &[Option<u32>]) -> Vec<[f32; 2]> {
        levels(tones).mix(speakers, 2).expect("some sound").weights
    }

    #[test]
    fn two_tracks_of_one_recording_are_left_and_right_and_two_of_their_own_are_heard_by_both_ears() {
        assert_eq!(weights(&[440, 440], &[None; 2]), [L, R]);
        assert_eq!(weights(&[440, 880], &[None; 2]), [BOTH, BOTH]);
    }

    #[test]
    fn a_silent_track_leaves_its_place_to_the_other() {
        assert_eq!(weights(&[0, 880], &[Some(0), Some(1)]), [NONE, BOTH]);
        assert_eq!(weights(&[0, 0, 440, 440], &[None; 4]), [NONE, NONE, L, R]);
        assert_eq!(weights(&[440, 0, 0, 880], &[None; 4]), [BOTH, NONE, NONE, BOTH]);
        assert_eq!(levels(&[0, 0]).mix(&[None; 2], 2), None);
    }

    #[test]
    fn tracks_go_to_the_speakers_they_name() {
        assert_eq!(weights(&[440, 880], &[Some(1), Some(0)]), [R, L]);
        assert_eq!(weights(&[440, 880], &[Some(2), Some(2)]), [BOTH, BOTH]);
        assert_eq!(weights(&[440, 880, 300], &[Some(0), Some(1), Some(2)]), [L, R, [HALF, HALF]]);
    }

    #[test]
    fn of_four_and_eight_the_first_pair_is_heard_and_six_are_surround() {
        assert_eq!(weights(&[440, 440, 880, 880], &[None; 4]), [L, R, NONE, NONE]);
        assert_eq!(weights(&[440, 440, 300, 100, 500, 600], &[None; 6]), FIVE_ONE);
        assert_eq!(weights(&[440, 500, 600], &[None; 3]), [BOTH; 3]);
    }

    #[test]
    fn tracks_that_are_not_heard_are_not_read() {
        let mix = Mix { channels: 2, weights: vec![NONE, L, NONE, R] };
        assert_eq!(mix.of_heard(&[1, 2, 3, 4]), (vec![2, 4], Mix { channels: 2, weights: vec![L, R] }));
    }

    #[test]
    fn a_single_channel_gets_all_of_them() {
        let mix = Mix { channels: 1, weights: vec![L, R] };
        assert_eq!(mix.lay(&[vec![0.25], vec![0.5]]), [[0.75]]);
    }
}
