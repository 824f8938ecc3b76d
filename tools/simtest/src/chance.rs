//! What a seed decides.

use std::ops::Range;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Chance of one part of a run: parts draw from streams of their own, so that what one draws does
/// not move another.
#[derive(Debug)]
pub struct Chance(StdRng);

impl Chance {
    /// The stream of that name.
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

    /// A number of the range.
    pub fn number(&mut self, range: Range<u64>) -> u64 {
        self.0.random_range(range)
    }

    /// A time of the range, in whole milliseconds.
    pub fn time(&mut self, range: Range<Duration>) -> Duration {
        let (start, end) = (range.start.as_millis() as u64, range.end.as_millis() as u64);
        Duration::from_millis(self.number(start..end.max(start + 1)))
    }

    /// One of those.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.number(0..choices.len() as u64) as usize]
    }
}
