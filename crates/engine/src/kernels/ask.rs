//! What is asked of the events of one kind.

use std::ops::Range;

/// Which events are looked at, and which of their signals.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Names of signals or contract fields, without regard to case, but for the signals of a long kind; may be empty
    /// where only events are counted.
    pub signals: Vec<String>,
    /// Event times in microseconds since 1970; the end is left out.
    pub times: Range<i64>,
    /// Whose events.
    pub entities: EntityFilter,
}

/// Whose events are looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum EntityFilter {
    /// Those of every entity.
    #[default]
    All,
    /// Those of the entity with this id.
    One(String),
    /// Those of entities whose ids begin with this text.
    Prefix(String),
}

impl EntityFilter {
    /// The one entity, where there is one.
    pub(crate) fn one(&self) -> Option<&str> {
        match self {
            EntityFilter::One(id) => Some(id),
            _ => None,
        }
    }

    /// Whether it leaves the entity with this id.
    pub fn takes(&self, id: &str) -> bool {
        match self {
            EntityFilter::All => true,
            EntityFilter::One(one) => one == id,
            EntityFilter::Prefix(prefix) => id.starts_with(prefix.as_str()),
        }
    }
}

/// Which events are counted together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Grouping {
    /// Length of a time bucket in microseconds, more than 0. Buckets begin at multiples of it since 1970. `None` puts
    /// the whole range into one bucket.
    pub step: Option<i64>,
    /// Whether each entity is counted by itself.
    pub by_entity: bool,
}

impl Grouping {
    /// The start of the bucket in which an event time lies, and the times that lie in it.
    pub fn bucket(&self, time: i64, times: &Range<i64>) -> (i64, Range<i64>) {
        match self.step {
            None => (times.start, times.clone()),
            Some(step) => {
                let start = time.div_euclid(step).saturating_mul(step);
                let end = start.saturating_add(step);
                (start, start.max(times.start)..end.min(times.end))
            }
        }
    }
}

/// What is computed beside count, sum and extremes, which cost next to nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Standard deviations.
    pub spread: bool,
    /// Percentiles.
    pub quantiles: bool,
    /// Percentiles are of the values themselves, all of which are kept in memory until then: each takes 8 bytes, which
    /// count against the bound on groups.
    pub exact: bool,
    /// First and last values.
    pub ends: bool,
}
