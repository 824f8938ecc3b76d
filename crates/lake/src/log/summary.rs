//! What a commit did.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Counts of one commit, or their sums over a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Commits finished.
    pub commits: u64,
    /// Raw objects read.
    pub objects: u64,
    /// Raw objects that the commit names and that were deleted before they were read.
    pub missing_objects: u64,
    /// Events added to `curated/`.
    pub events: u64,
    /// Events left out because the same event is in `curated/`.
    pub duplicates: u64,
    /// Events left out because their id is in `curated/` with other content; kept in `_aside/`.
    pub conflicts: u64,
    /// Lines left out because they break their contract; kept in `_aside/`.
    pub refused: u64,
    /// Values of signals without a column of their own: they stand in the column `_more`.
    #[serde(default)]
    pub more_values: u64,
    /// Event hours with events in parts of the commit: an hour of two kinds counts twice.
    pub hours: u64,
    /// Event hours that the commit put off: they are counted by the commits that write them.
    #[serde(default)]
    pub hours_put_off: u64,
}

impl Summary {
    /// Adds the counts of `other`.
    pub fn add(&mut self, other: &Summary) {
        self.commits += other.commits;
        self.objects += other.objects;
        self.missing_objects += other.missing_objects;
        self.events += other.events;
        self.duplicates += other.duplicates;
        self.conflicts += other.conflicts;
        self.refused += other.refused;
        self.more_values += other.more_values;
        self.hours += other.hours;
        self.hours_put_off += other.hours_put_off;
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "commits {}, objects {}, ", self.commits, self.objects)?;
        write!(
            f,
            "events {}, duplicates {}, ",
            self.events, self.duplicates
        )?;
        write!(
            f,
            "conflicts {}, refused {}, ",
            self.conflicts, self.refused
        )?;
        write!(f, "hours touched {}", self.hours)?;
        if self.more_values > 0 {
            write!(f, ", values without a column {}", self.more_values)?;
        }
        if self.missing_objects > 0 {
            write!(f, ", objects gone {}", self.missing_objects)?;
        }
        Ok(())
    }
}
