//! What a run did.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Counts of a run or of one commit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Commits finished.
    pub commits: u64,
    /// Raw objects taken in.
    pub objects: u64,
    /// Raw objects that were gone when they were to be read.
    pub missing_objects: u64,
    /// Events that are new in `curated/`.
    pub events: u64,
    /// Events that were there already.
    pub duplicates: u64,
    /// Events with an id that is there with other content; kept in `_aside/`.
    pub conflicts: u64,
    /// Lines that break their contract; kept in `_aside/`.
    pub refused: u64,
    /// Hours of a kind that changed.
    pub hours: u64,
}

impl Summary {
    pub fn add(&mut self, other: &Summary) {
        self.commits += other.commits;
        self.objects += other.objects;
        self.missing_objects += other.missing_objects;
        self.events += other.events;
        self.duplicates += other.duplicates;
        self.conflicts += other.conflicts;
        self.refused += other.refused;
        self.hours += other.hours;
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "commits {}, objects {}, events {}, duplicates {}, conflicts {}, refused {}, hours touched {}",
            self.commits,
            self.objects,
            self.events,
            self.duplicates,
            self.conflicts,
            self.refused,
            self.hours
        )?;
        if self.missing_objects > 0 {
            write!(f, ", objects gone {}", self.missing_objects)?;
        }
        Ok(())
    }
}
