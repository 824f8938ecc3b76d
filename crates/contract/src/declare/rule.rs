//! The rules of single fields: what a declaration says of the entity, the time, and each field or signal.

use std::collections::HashMap;
use std::fmt;

use chrono::{DateTime, Duration, Utc};
use foldhash::fast::FixedState;
use regex::Regex;
use serde::Deserialize;

/// Longest text in bytes, unless the declaration says otherwise; the most of a signal that is not declared.
pub(crate) const MAX_TEXT_BYTES: usize = 256;

/// Most labels of a field. Stores of metrics take some 30; senders of OpenTelemetry name what a process runs on too.
pub(crate) const MAX_LABELS: usize = 64;

/// Longest value of a label in bytes, as much as Mimir takes.
pub(crate) const MAX_LABEL_BYTES: usize = 2048;

/// Most bytes of a field of labels in JSON, unless the declaration says otherwise.
pub(crate) const MAX_LABELS_BYTES: usize = 1024;

/// The field that names the entity.
#[derive(Debug, Clone)]
pub struct EntityRule {
    /// Name of the field: `vehicle_id`.
    pub field: String,
    /// What the entity is, for people; may be empty.
    pub description: String,
    /// Longest id, in bytes; 64 unless declared.
    pub max_length: usize,
    /// The form of an id. Unless declared, letters, digits, `.`, `_`, `:` and `-`: safe in paths,
    /// logs, CSV and SQL.
    pub pattern: Regex,
    /// The entity of an event without the field; `None` if each event must have it.
    pub default: Option<String>,
}

/// How an event time is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// A text, RFC 3339 with a zone.
    #[default]
    Rfc3339,
    /// A number: seconds since 1970-01-01T00:00:00Z. It may have a fraction, as in the other units.
    EpochS,
    /// A number: milliseconds since then.
    EpochMs,
    /// A number: microseconds since then.
    EpochUs,
    /// A text as for `Rfc3339`, or a number as for `EpochMs`.
    #[serde(rename = "rfc3339_or_epoch_ms")]
    Rfc3339OrEpochMs,
}

impl TimeFormat {
    /// The power of ten of a number's unit in nanoseconds, and its name; `None` where the time is a text.
    pub(crate) fn epoch_unit(self) -> Option<(i32, &'static str)> {
        match self {
            TimeFormat::Rfc3339 => None,
            TimeFormat::EpochS => Some((9, "seconds")),
            TimeFormat::EpochMs | TimeFormat::Rfc3339OrEpochMs => Some((6, "milliseconds")),
            TimeFormat::EpochUs => Some((3, "microseconds")),
        }
    }

    /// How a time of this format is written, for messages.
    pub(crate) fn wanted(self) -> String {
        let text = "a text in RFC 3339, such as `2025-10-04T12:34:56.123Z`";
        let number = self.epoch_unit().map(|(power, unit)| {
            let example = 1_759_581_296 * 10_i64.pow(9_u32.saturating_sub(power.unsigned_abs()));
            format!("a number of {unit} since 1970, such as `{example}`")
        });
        match number {
            None => text.to_owned(),
            Some(number) if self.takes_text() => format!("{text}, or {number}"),
            Some(number) => number,
        }
    }

    /// Whether the time may be a text.
    pub(crate) fn takes_text(self) -> bool {
        matches!(self, TimeFormat::Rfc3339 | TimeFormat::Rfc3339OrEpochMs)
    }
}

/// What becomes of an event of which a signal's value cannot be taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnUnfit {
    /// The event is refused.
    #[default]
    Refuse,
    /// The signal is left out; the event stands as long as it has another.
    Omit,
}

/// The field that holds the event time.
#[derive(Debug, Clone)]
pub struct TimeRule {
    /// Name of the field: `timestamp`.
    pub field: String,
    /// What the time is of, for people; may be empty.
    pub description: String,
    /// How the time is written.
    pub format: TimeFormat,
    /// The earliest time that is taken; 2000-01-01 unless declared.
    pub earliest: DateTime<Utc>,
    /// How far past the time of receipt an event time may lie, whole minutes; 60 unless declared.
    pub max_future: Duration,
    /// How far before the time of receipt the event time of an event as sent may lie, whole days, at least 1; 400
    /// unless declared. Stored lines are held against no age.
    pub max_age: Duration,
    /// Whether an event without the field happened when it was received, to the millisecond; else each event must
    /// have it.
    pub defaults_to_arrival: bool,
}

/// The declared type of a field or signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScalarType {
    /// A finite double.
    Number,
    /// A whole number within ±2^53, however it is written: each of them has a double of its own.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A text of at least one byte.
    String,
    /// An object of up to 64 texts by name, such as `{"host":"a"}`; contract fields only. It is stored as a text: the
    /// object in JSON without white space, names in byte order.
    Labels,
}

impl fmt::Display for ScalarType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ScalarType::Number => "number",
            ScalarType::Integer => "integer",
            ScalarType::Boolean => "boolean",
            ScalarType::String => "string",
            ScalarType::Labels => "labels",
        })
    }
}

/// Rules by the names of their fields; a hash without a seed will do, for a declaration is trusted.
pub(crate) type RulesByName = HashMap<String, FieldRule, FixedState>;

/// What is declared of a field or signal.
#[derive(Debug, Clone)]
pub struct FieldRule {
    /// Name of the field or signal: 1 to 64 letters, digits and `_`, no digit first.
    pub name: String,
    /// The type of its value.
    pub scalar: ScalarType,
    /// Whether an event must have the field; never so for signals.
    pub required: bool,
    /// What the value means, for people; may be empty.
    pub description: String,
    /// Another name under which senders may send the signal, such as `RRU.PrbUsedDl`; `None` for fields.
    pub from: Option<String>,
    /// Whether the aggregates have percentiles of a signal; true unless declared.
    pub quantiles: bool,
    /// Unit of a number, in UCUM where that has one: `km/h`, `Cel`, `%`.
    pub unit: Option<String>,
    /// Least value of a number, itself taken.
    pub min: Option<f64>,
    /// Greatest value of a number, itself taken.
    pub max: Option<f64>,
    /// Longest text, in bytes; 256 unless declared, and 1,024 of labels.
    pub max_length: usize,
    /// The form of a text; `None` takes any.
    pub pattern: Option<Regex>,
    /// The texts that are taken; empty takes any.
    pub texts: Vec<String>,
    /// The numbers that are taken; empty takes any.
    pub numbers: Vec<f64>,
}
