//! What a replay has read, and what of it became no event.

use std::collections::BTreeMap;
use std::fmt;

use super::value::NoValue;

/// Why a row or line becomes no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skip {
    /// None of the mapped signals has a value.
    NoSignals,
    /// The row has fewer columns than the header.
    ShortRow,
    /// The row has more columns than the header, and something in them.
    LongRow,
    /// The time cannot be read.
    BadTime,
    /// The entity is missing.
    NoEntity,
    /// The entity is not an id that its kind takes.
    BadEntity,
    /// A field taken from a column is missing or not of its type.
    BadField,
    /// The line is not JSON.
    NotJson,
    /// The line is JSON, but not an object.
    NotAnObject,
}

impl Skip {
    /// The reason for a reader: `no signals`.
    pub fn as_str(self) -> &'static str {
        match self {
            Skip::NoSignals => "no signals",
            Skip::ShortRow => "too few columns",
            Skip::LongRow => "too many columns",
            Skip::BadTime => "unreadable time",
            Skip::NoEntity => "no entity",
            Skip::BadEntity => "unusable entity",
            Skip::BadField => "unusable field",
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
    /// Rows or lines, headers and blank lines not counted.
    pub rows: u64,
    /// Events that came of them.
    pub events: u64,
    /// Rows or lines that became no event, by reason.
    pub skipped: BTreeMap<Skip, u64>,
    /// Values that were left out though their cells were not empty, by signal.
    pub dropped_values: BTreeMap<String, u64>,
    /// Signals whose column a file lacks.
    pub absent_columns: BTreeMap<String, u64>,
}

impl ReplayCounts {
    pub(crate) fn skip(&mut self, why: Skip) {
        *self.skipped.entry(why).or_default() += 1;
    }

    pub(crate) fn no_value(&mut self, signal: &str, why: NoValue) {
        if why == NoValue::Missing {
            return;
        }
        match self.dropped_values.get_mut(signal) {
            Some(count) => *count += 1,
            None => drop(self.dropped_values.insert(signal.to_owned(), 1)),
        }
    }
}

impl fmt::Display for ReplayCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ReplayCounts {
            files,
            rows,
            events,
            skipped,
            dropped_values,
            absent_columns,
        } = self;
        write!(f, "read      {rows} rows of {files} files: {events} events")?;
        if !skipped.is_empty() {
            let reasons: Vec<String> = skipped
                .iter()
                .map(|(why, count)| format!("{} {count}", why.as_str()))
                .collect();
            write!(
                f,
                "\nskipped   {} rows: {}",
                skipped.values().sum::<u64>(),
                reasons.join(", ")
            )?;
        }
        for (what, signals) in [
            ("values left out", dropped_values),
            ("files without column", absent_columns),
        ] {
            if !signals.is_empty() {
                let each: Vec<String> = signals
                    .iter()
                    .map(|(signal, count)| format!("{signal} {count}"))
                    .collect();
                write!(f, "\n{what}: {}", each.join(", "))?;
            }
        }
        Ok(())
    }
}
