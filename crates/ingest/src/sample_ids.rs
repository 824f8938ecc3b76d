//! Ids of events whose content makes none.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Gives the events of long kinds that come without an id one each, such as `8d0c4a526d0b5f0e-1f`: a number that is
/// drawn when the process starts, and how many ids were given before. Two processes draw the same one with a
/// probability of 2^-64. Neighbours differ in their last digits only, so that a pack of them compresses well.
#[derive(Debug)]
pub(crate) struct SampleIds {
    drawn: u64,
    given: AtomicU64,
}

impl SampleIds {
    pub(crate) fn new() -> SampleIds {
        SampleIds {
            drawn: rand::random(),
            given: AtomicU64::new(0),
        }
    }

    /// Puts a new id into `id`, in the place of what is there.
    pub(crate) fn give(&self, id: &mut String) {
        id.clear();
        let number = self.given.fetch_add(1, Relaxed);
        // Writing to a `String` cannot fail.
        let _ = write!(id, "{:016x}-{number:x}", self.drawn);
    }
}
