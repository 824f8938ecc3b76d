//! Random choices that a seed decides.

use std::ops::Range;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Random choices of one part of a run. Each part has a stream of its own, so that one part's draws do
/// not change another's.
#[derive(Debug)]
pub struct Chance(StdRng);

impl Chance {
    /// The stream of this name.
    pub fn new(seed: u64, name: &str) -> Chance {
        Chance(StdRng::seed_from_u64(xxhash_rust::xxh3::xxh3_64_with_seed(
            name.as_bytes(),
            seed,
        )))
    }

    /// True with this probability, 0 to 1.
    pub fn hits(&mut self, probability: f64) -> bool {
        self.0.random_bool(probability)
    }

    /// A number in the range.
    pub fn number(&mut self, range: Range<u64>) -> u64 {
        self.0.random_range(range)
    }

    /// A time in the range, in whole milliseconds.
    pub fn time(&mut self, range: Range<Duration>) -> Duration {
        let (start, end) = (range.start.as_millis() as u64, range.end.as_millis() as u64);
        Duration::from_millis(self.number(start..end.max(start + 1)))
    }

    /// One of the choices, which must not be empty.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.number(0..choices.len() as u64) as usize]
    }
}
