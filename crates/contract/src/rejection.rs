//! Why an event was refused.

use serde::Serialize;

/// What is wrong with a refused event, as a stable code to count and filter by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The text is not JSON, such as a truncated line, `NaN`, or nesting past the parser's limit.
    InvalidJson,
    /// JSON, but not an object.
    NotAnObject,
    /// The event is longer than [`MAX_EVENT_BYTES`](crate::MAX_EVENT_BYTES).
    TooLarge,
    /// The `kind` named is not declared, or no declared kind has these fields.
    UnknownKind,
    /// More than one declared kind has these fields: the sender must name one.
    AmbiguousKind,
    /// The `kind` in the event is not the kind of the route.
    KindMismatch,
    /// A required field is not there.
    MissingField,
    /// A field that the contract does not know.
    UnknownField,
    /// The same key twice in one object.
    DuplicateField,
    /// A value of another type than declared.
    WrongType,
    /// A text that is empty, too long or does not have its declared form.
    InvalidFormat,
    /// A number outside its declared range, or one that no double can hold.
    OutOfRange,
    /// A text or number that is not one of those declared.
    NotAllowed,
    /// A timestamp that is not RFC 3339.
    InvalidTimestamp,
    /// A timestamp without a zone: it names no instant.
    TimestampWithoutZone,
    /// A timestamp too far in the past or the future to be true.
    TimestampOutOfRange,
    /// A signal that is an object or an array.
    NestedSignal,
    /// An event without any signal.
    NoSignals,
    /// More than [`MAX_SIGNALS`](crate::MAX_SIGNALS) signals.
    TooManySignals,
}

impl Code {
    /// The code as it stands in answers, attributes and metrics: `missing_field`.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::InvalidJson => "invalid_json",
            Code::NotAnObject => "not_an_object",
            Code::TooLarge => "too_large",
            Code::UnknownKind => "unknown_kind",
            Code::AmbiguousKind => "ambiguous_kind",
            Code::KindMismatch => "kind_mismatch",
            Code::MissingField => "missing_field",
            Code::UnknownField => "unknown_field",
            Code::DuplicateField => "duplicate_field",
            Code::WrongType => "wrong_type",
            Code::InvalidFormat => "invalid_format",
            Code::OutOfRange => "out_of_range",
            Code::NotAllowed => "not_allowed",
            Code::InvalidTimestamp => "invalid_timestamp",
            Code::TimestampWithoutZone => "timestamp_without_zone",
            Code::TimestampOutOfRange => "timestamp_out_of_range",
            Code::NestedSignal => "nested_signal",
            Code::NoSignals => "no_signals",
            Code::TooManySignals => "too_many_signals",
        }
    }
}

/// A refused event: what, where and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// The stable code.
    pub code: Code,
    /// The field at fault, such as `vehicle_id` or `payload.engine_rpm`, where there is one.
    pub field: Option<String>,
    /// The reason for a reader; names the field and shows at most a few characters of the value.
    pub message: String,
}

impl Rejection {
    pub(crate) fn new(code: Code, field: Option<String>, message: impl Into<String>) -> Rejection {
        Rejection {
            code,
            field,
            message: message.into(),
        }
    }

    pub(crate) fn at(code: Code, field: &str, message: impl Into<String>) -> Rejection {
        Rejection::new(code, Some(field.to_owned()), message)
    }
}

/// At most 40 characters of `text`, with control characters escaped: enough to recognise it.
pub(crate) fn excerpt(text: &str) -> String {
    let mut shown: String = text.chars().take(40).flat_map(char::escape_debug).collect();
    if text.chars().nth(40).is_some() {
        shown.push('…');
    }
    shown
}
