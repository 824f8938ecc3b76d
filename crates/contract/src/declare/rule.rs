//! The rules of single fields: what a declaration says of the entity, the time, and each field or signal.

use std::collections::HashMap;
use std::fmt;

use chrono::{DateTime, Duration, Utc};
use foldhash::fast::FixedState;
use regex::Regex;
use serde::Deserialize;

/// Longest text in bytes, unless the declaration says otherwise; the most of a signal that is not declared.
pub(crate) const MAX_TEXT_BYTES: usize = 256;

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
}

/// The field that holds the event time.
#[derive(Debug, Clone)]
pub struct TimeRule {
    /// Name of the field: `timestamp`.
    pub field: String,
    /// What the time is of, for people; may be empty.
    pub description: String,
    /// The earliest time that is taken; 2000-01-01 unless declared.
    pub earliest: DateTime<Utc>,
    /// How far past the time of receipt an event time may lie, whole minutes; 60 unless declared.
    pub max_future: Duration,
    /// How far before the time of receipt the event time of an event as sent may lie, whole days, at least 1; 400
    /// unless declared. Stored lines are held against no age.
    pub max_age: Duration,
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
}

impl fmt::Display for ScalarType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ScalarType::Number => "number",
            ScalarType::Integer => "integer",
            ScalarType::Boolean => "boolean",
            ScalarType::String => "string",
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
    /// Unit of a number, in UCUM where that has one: `km/h`, `Cel`, `%`.
    pub unit: Option<String>,
    /// Least value of a number, itself taken.
    pub min: Option<f64>,
    /// Greatest value of a number, itself taken.
    pub max: Option<f64>,
    /// Longest text, in bytes; 256 unless declared.
    pub max_length: usize,
    /// The form of a text; `None` takes any.
    pub pattern: Option<Regex>,
    /// The texts that are taken; empty takes any.
    pub texts: Vec<String>,
    /// The numbers that are taken; empty takes any.
    pub numbers: Vec<f64>,
}
