//! Why an event was refused.

use std::fmt::Display;

use serde::Serialize;
use serde::de::IgnoredAny;

/// What is wrong with a refused event, as a stable code to count and filter by. The codes are listed
/// for senders in `docs/contracts.md`.
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
    /// The same key twice in one object, or two signals whose names differ in case alone.
    DuplicateField,
    /// A value of another type than declared.
    WrongType,
    /// A text or name that is empty, too long or not of its form, or the name of a signal that is taken.
    InvalidFormat,
    /// A number outside its declared range, or one that no double can hold.
    OutOfRange,
    /// A text or number that is not one of those declared.
    NotAllowed,
    /// An event of a kind, or from an entity, that the sender's key may not send.
    NotPermitted,
    /// A timestamp that is not RFC 3339.
    InvalidTimestamp,
    /// A timestamp without a zone: it names no instant.
    TimestampWithoutZone,
    /// A timestamp too far in the past or the future to be true.
    TimestampOutOfRange,
    /// A timestamp further back than the kind's [`TimeRule::max_age`](crate::TimeRule::max_age), in an event as sent.
    TooOld,
    /// A signal that is an object or an array.
    NestedSignal,
    /// An event without any signal.
    NoSignals,
    /// More signals than the kind takes: [`Kind::max_signals`](crate::Kind::max_signals).
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
            Code::NotPermitted => "not_permitted",
            Code::InvalidTimestamp => "invalid_timestamp",
            Code::TimestampWithoutZone => "timestamp_without_zone",
            Code::TimestampOutOfRange => "timestamp_out_of_range",
            Code::TooOld => "too_old",
            Code::NestedSignal => "nested_signal",
            Code::NoSignals => "no_signals",
            Code::TooManySignals => "too_many_signals",
        }
    }
}

/// A refused event: what is wrong, where, and why in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// What is wrong, to count and filter by.
    pub code: Code,
    /// The field at fault, such as `vehicle_id` or `payload.engine_rpm`; `None` where the event as a
    /// whole is.
    pub field: Option<String>,
    /// The reason for a reader: names the field and shows at most 40 characters of a text.
    pub message: String,
}

impl Rejection {
    /// A rejection of the event as a whole, or of `field`.
    pub fn new(code: Code, field: Option<String>, message: impl Into<String>) -> Rejection {
        Rejection {
            code,
            field,
            message: message.into(),
        }
    }

    /// Of one field. The message is its name and `what`, such as `is there twice`.
    pub(crate) fn at(code: Code, field: &str, what: impl Display) -> Rejection {
        Rejection::new(code, Some(field.to_owned()), format!("`{field}` {what}"))
    }

    /// Of JSON that is something other than an object.
    pub(crate) fn not_an_object(text: &str) -> Rejection {
        let found = Rejection::found(text);
        // A text in quotes, or a number, may be the first of a line of CSV.
        let hint = match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => "",
            Err(_) => csv_hint(text),
        };
        let message = format!("an event is a JSON object; this is {found}{hint}");
        Rejection::new(Code::NotAnObject, None, message)
    }

    /// What a JSON text is, in words.
    pub(crate) fn found(json: &str) -> &'static str {
        match json.trim_start().as_bytes().first() {
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            _ => "a number",
        }
    }

    /// Of text that the JSON parser itself refused.
    pub(crate) fn invalid_json(text: &str, error: &serde_json::Error) -> Rejection {
        let message = error.to_string();
        if message.starts_with("number out of range") {
            let message = format!("not valid: {message}: no double holds it");
            return Rejection::new(Code::OutOfRange, None, message);
        }
        let message = format!("not valid JSON: {message}{}", csv_hint(text));
        Rejection::new(Code::InvalidJson, None, message)
    }
}

/// What to do with a text that is not JSON and looks like CSV; empty where it does not. Looks at its first two lines.
#[cold]
pub(crate) fn csv_hint(text: &str) -> &'static str {
    let mut lines = text.trim_start().lines();
    let first = lines.next().unwrap_or_default();
    let second = lines.next().filter(|line| !line.is_empty());
    let is_csv = [',', ';', '\t'].into_iter().any(|separator| {
        let columns = first.matches(separator).count();
        let again = second.is_none_or(|line| line.matches(separator).count() == columns);
        columns > 0 && again && !first.contains(['{', '['])
    });
    if is_csv {
        ": it looks like CSV, which the tool `import` takes (docs/import.md)"
    } else {
        ""
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
