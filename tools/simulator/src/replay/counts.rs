//! What a replay has read, and what of it became no event.

use std::collections::BTreeMap;
use std::fmt;

/// Why a line becomes no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skip {
    /// The line is not JSON.
    NotJson,
    /// The line is JSON, but not an object.
    NotAnObject,
}

impl Skip {
    /// The reason for a reader: `not JSON`.
    pub fn as_str(self) -> &'static str {
        match self {
            Skip::NotJson => "not JSON",
            Skip::NotAnObject => "not an object",
        }
    }
}

/// Counts of one replay so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplayCounts {
    /// Files that were begun.
    pub files: u64,
    /// Lines, blank ones not counted.
    pub lines: u64,
    /// Events that came of them.
    pub events: u64,
    /// Lines that became no event, by reason.
    pub skipped: BTreeMap<Skip, u64>,
}

impl fmt::Display for ReplayCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "read      {} lines of {} files: {} events",
            self.lines, self.files, self.events
        )?;
        if self.skipped.is_empty() {
            return Ok(());
        }
        let total: u64 = self.skipped.values().sum();
        write!(f, "\nskipped   {total} lines")?;
        for (at, (why, count)) in self.skipped.iter().enumerate() {
            let start = if at == 0 { ": " } else { ", " };
            write!(f, "{start}{} {count}", why.as_str())?;
        }
        Ok(())
    }
}
