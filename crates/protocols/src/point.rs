//! What every protocol says in its own way: values of a metric, with labels and a time.

use std::borrow::Cow;

/// Name and value of a label, as sent.
pub(crate) type Label<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Most labels of a point that are read: a contract takes fewer, so that a point with more is refused.
pub(crate) const MAX_LABELS: usize = 1_024;

/// Values that were taken together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point<'a> {
    /// The metric or the measurement.
    pub(crate) name: &'a str,
    /// Labels, tags or attributes, in any order.
    pub(crate) labels: &'a [Label<'a>],
    /// Nanoseconds since 1970; `None` where the sender leaves the time to the server.
    pub(crate) nanos: Option<i64>,
    /// Names of fields and their values; the one value of a metric has the empty name.
    pub(crate) values: &'a [(&'a str, Value<'a>)],
}

/// One value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    /// A number; whole ones past 2^53 are the nearest double, as in the protocols' own stores of metrics.
    Number(f64),
    /// `true` or `false`.
    Bool(bool),
    /// A text.
    Text(&'a str),
}

/// What became of the points of a body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Points that were read. For OTLP, data points; for Prometheus, samples and histograms; for InfluxDB, lines.
    pub points: u64,
    /// Points of which an event was refused.
    pub refused: u64,
    /// Values that no event can hold: `NaN`, which also marks the end of a series, infinities, and texts where only
    /// numbers are taken. They are no error.
    pub left_out: u64,
    /// The first refusals: which point, from 0 (of InfluxDB which line, from 1), and why.
    pub reasons: Vec<(u64, String)>,
}

/// The most reasons that a report tells.
pub const MAX_REASONS: usize = 10;

impl Report {
    /// Counts a refused point, and tells why if it is among the first.
    pub(crate) fn refuse(&mut self, place: u64, reason: String) {
        self.refused += 1;
        if self.reasons.len() < MAX_REASONS {
            self.reasons.push((place, reason));
        }
    }

    /// The reasons in one line; empty if nothing was refused.
    pub fn told(&self, word: &str) -> String {
        let mut text = String::new();
        for (place, reason) in &self.reasons {
            if !text.is_empty() {
                text.push_str("; ");
            }
            text.push_str(&format!("{word} {place}: {reason}"));
        }
        let more = self.refused.saturating_sub(self.reasons.len() as u64);
        if more > 0 {
            text.push_str(&format!("; and {more} more"));
        }
        text
    }
}
