//! A kind of event: what its declaration says.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Duration, Utc};
use regex::Regex;
use serde::Deserialize;

use crate::declare::names::Names;
use crate::declare::pattern::Matcher;

/// Names that the server's own fields and the columns of `curated/` take.
pub(crate) const RESERVED: [&str; 10] = [
    "event_id",
    "kind",
    "entity_id",
    "event_time",
    "ingest_received_at",
    "year",
    "month",
    "day",
    "hour",
    "signal",
];

/// A declared kind of event.
#[derive(Debug, Clone)]
pub struct Kind {
    /// Its name, as in routes, partitions and the `kind` field: `vehicle`.
    pub name: String,
    /// The version of its declaration.
    pub version: u32,
    /// What an event of this kind is.
    pub description: String,
    /// The field that names the entity.
    pub entity: EntityRule,
    /// The field that holds the event time.
    pub time: TimeRule,
    /// The field that holds the signals.
    pub signals_field: String,
    /// What the signals are.
    pub signals_description: String,
    /// The most signals an event of this kind may carry.
    pub max_signals: usize,
    /// Whether signals that are not declared are taken.
    pub open: bool,
    /// The other fields, in declared order of name.
    pub fields: Vec<FieldRule>,
    /// The signals that are declared, by name.
    pub known: BTreeMap<String, FieldRule>,
    /// The place of each declared signal in `known_rules`.
    pub(crate) known_names: Names,
    /// The rules of `known`, in its order.
    pub(crate) known_rules: Vec<FieldRule>,
    /// All of its own field names in byte order: the order of the canonical form.
    pub(crate) canonical_order: Vec<String>,
    /// Its own fields in that order: what stands before each in the canonical form, `"name":`, and
    /// what stands there.
    pub(crate) canonical_parts: Vec<(String, Part)>,
    /// Whether an event could fit this kind and another: then its fields do not tell the kind.
    pub(crate) overlaps: bool,
}

/// What a field of the canonical form holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Entity,
    Time,
    Signals,
    /// The field of that place in [`Kind::fields`].
    Field(usize),
}

/// Two declarations are the same kind of thing when they have the same name: a registry holds
/// each name once.
impl PartialEq for Kind {
    fn eq(&self, other: &Kind) -> bool {
        self.name == other.name && self.version == other.version
    }
}

/// The field that names the entity.
#[derive(Debug, Clone)]
pub struct EntityRule {
    /// Its name: `vehicle_id`.
    pub field: String,
    /// What it is.
    pub description: String,
    /// Longest id, in bytes.
    pub max_length: usize,
    /// The form of an id.
    pub pattern: Regex,
    /// The same form, matched faster.
    pub(crate) matcher: Matcher,
}

/// The field that holds the event time.
#[derive(Debug, Clone)]
pub struct TimeRule {
    /// Its name: `timestamp`.
    pub field: String,
    /// What it is.
    pub description: String,
    /// The earliest time that is taken.
    pub earliest: DateTime<Utc>,
    /// How far past the time of receipt a clock may be.
    pub max_future: Duration,
}

/// The type of a field or signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScalarType {
    /// A finite number; a double.
    Number,
    /// A whole number within ±2^53.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A text.
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

/// What is declared of a field or signal.
#[derive(Debug, Clone)]
pub struct FieldRule {
    /// Its name.
    pub name: String,
    /// Its type.
    pub scalar: ScalarType,
    /// Whether an event must have it; never for signals.
    pub required: bool,
    /// What it is.
    pub description: String,
    /// Unit of a number, in UCUM where that has one: `km/h`, `Cel`, `%`.
    pub unit: Option<String>,
    /// Least value of a number.
    pub min: Option<f64>,
    /// Greatest value of a number.
    pub max: Option<f64>,
    /// Longest text, in bytes.
    pub max_length: usize,
    /// The form of a text.
    pub pattern: Option<Regex>,
    /// The same form, matched faster.
    pub(crate) matcher: Option<Matcher>,
    /// The texts that are taken; empty means any.
    pub texts: Vec<String>,
    /// The numbers that are taken; empty means any.
    pub numbers: Vec<f64>,
}

impl Kind {
    /// Every field that an event must have, in the order in which messages name them.
    pub(crate) fn required(&self) -> impl Iterator<Item = &str> {
        [&self.entity.field, &self.time.field, &self.signals_field]
            .into_iter()
            .map(String::as_str)
            .chain(
                self.fields
                    .iter()
                    .filter(|rule| rule.required)
                    .map(|rule| rule.name.as_str()),
            )
    }

    /// The rule of the declared signal of that name.
    #[inline]
    pub(crate) fn known_rule(&self, name: &str) -> Option<&FieldRule> {
        self.known_names.get(name).map(|at| &self.known_rules[at])
    }

    /// What its own field `name` holds.
    pub(crate) fn part(&self, name: &str) -> Part {
        match self.fields.iter().position(|rule| rule.name == name) {
            Some(at) => Part::Field(at),
            None if name == self.entity.field => Part::Entity,
            None if name == self.time.field => Part::Time,
            None => Part::Signals,
        }
    }

    /// Whether the contract has a field of that name, the server's fields left aside.
    pub(crate) fn has_field(&self, name: &str) -> bool {
        name == self.entity.field
            || name == self.time.field
            || name == self.signals_field
            || self.fields.iter().any(|rule| rule.name == name)
    }

    /// The declared signal that differs from `name`, which is not declared, in case alone. Names
    /// become columns, and most engines that read them ignore case.
    pub(crate) fn known_in_other_case(&self, name: &str) -> Option<&str> {
        let mut known = self.known_rules.iter().map(|rule| rule.name.as_str());
        known.find(|known| known.eq_ignore_ascii_case(name))
    }

    /// Whether a signal of that name would hide a column of `curated/`: one of the built-in ones
    /// or one of the kind's fields.
    pub(crate) fn is_reserved_signal(&self, name: &str) -> bool {
        RESERVED
            .iter()
            .any(|reserved| reserved.eq_ignore_ascii_case(name))
            || self
                .fields
                .iter()
                .any(|rule| rule.name.eq_ignore_ascii_case(name))
    }
}
