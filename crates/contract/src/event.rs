//! An event that has passed its contract.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use crate::declare::kind::Kind;
use crate::rejection::Rejection;

/// An event's id: 1 to 128 visible ASCII characters other than `"` and `\`, as
/// [`write_line`](crate::write_line) puts it into lines. Unique within its kind and event hour.
pub type EventId<'a> = Cow<'a, str>;

/// The value of a field or signal. JSON numbers are doubles here: a contract refuses integers that
/// a double cannot hold (RFC 7493, section 2.2), so nothing is rounded.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar<'a> {
    /// `true` or `false`.
    Bool(bool),
    /// A finite number; a declared `integer` is a whole one within ±2^53.
    Number(f64),
    /// A text, escapes undone; at most 256 bytes unless the declaration says otherwise.
    Text(Cow<'a, str>),
}

impl Scalar<'_> {
    /// The value for statistics: a number as it is, a boolean as 0 or 1, `None` for a text.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Scalar::Bool(value) => Some(f64::from(u8::from(*value))),
            Scalar::Number(value) => Some(*value),
            Scalar::Text(_) => None,
        }
    }
}

/// A valid event. Its texts are borrowed from the JSON it was read from, unless they have escapes.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    /// The declaration that the event was held against.
    pub kind: &'a Kind,
    /// The id as sent or stored; `None` where the sender gave none, which
    /// [`derive_event_id`](crate::derive_event_id) makes up for.
    pub event_id: Option<EventId<'a>>,
    /// The vehicle, cell or other thing that the event is about: the value of the kind's entity field.
    pub entity: Cow<'a, str>,
    /// When the event happened, within the bounds of the kind's [`TimeRule`](crate::TimeRule).
    pub time: DateTime<Utc>,
    /// When ingest received the event; `None` in an event as sent.
    pub received_at: Option<DateTime<Utc>>,
    /// Name of the key that the event was sent with; `None` of one without a name, and in an event as sent. No part of
    /// the event's identity or content.
    pub sender: Option<Cow<'a, str>>,
    /// The declared fields that the event has, in the order in which they stand: index into
    /// [`Kind::fields`] and value.
    pub fields: Vec<(usize, Scalar<'a>)>,
    /// The signals, 1 to [`Kind::max_signals`], in the order in which they stand. No two names are
    /// the same when case is ignored.
    pub signals: Vec<(Cow<'a, str>, Scalar<'a>)>,
    /// What was wrong with the signals that were left out, as the kind has it
    /// ([`Kind::nulls`], [`Kind::out_of_range`]); no part of the event's content.
    pub omitted: Vec<Rejection>,
    /// Whether the JSON has a `kind` field, so that a line of it needs no second one.
    pub names_kind: bool,
}
