//! An event that has passed its contract.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use crate::declare::kind::Kind;
use crate::id::EventId;

/// A field's or signal's value. JSON numbers are doubles here: a contract refuses integers that
/// a double cannot hold (RFC 7493, section 2.2), so nothing is rounded.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar<'a> {
    /// `true` or `false`.
    Bool(bool),
    /// A finite number.
    Number(f64),
    /// A text.
    Text(Cow<'a, str>),
}

impl Scalar<'_> {
    /// The value for statistics: numbers as they are, booleans as 0 and 1, none for text.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Scalar::Bool(value) => Some(f64::from(u8::from(*value))),
            Scalar::Number(value) => Some(*value),
            Scalar::Text(_) => None,
        }
    }
}

/// A valid event, borrowing from its text where it can.
#[derive(Debug, Clone, PartialEq)]
pub struct Event<'a> {
    /// The declaration it was held against.
    pub kind: &'a Kind,
    /// The id as sent or stored; none where the sender gave none.
    pub event_id: Option<EventId<'a>>,
    /// The vehicle, cell or other thing that it is about.
    pub entity: Cow<'a, str>,
    /// When it happened.
    pub time: DateTime<Utc>,
    /// When ingest received it; none in an event as sent.
    pub received_at: Option<DateTime<Utc>>,
    /// The contract's other fields that are there: index into [`Kind::fields`] and value.
    pub fields: Vec<(usize, Scalar<'a>)>,
    /// The signals in the order in which they stand, names unique.
    pub signals: Vec<(Cow<'a, str>, Scalar<'a>)>,
    /// Whether the text itself names its kind.
    pub names_kind: bool,
}
