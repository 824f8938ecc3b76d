//! Event ids: given by the sender, or derived from the content.

use std::borrow::Cow;
use std::io::Write;

use chrono::SecondsFormat;
use uuid::Uuid;

use crate::event::{Event, Scalar};

/// An event's id: 1 to 128 visible ASCII characters other than `"` and `\`.
/// Unique within its kind and event hour.
pub type EventId<'a> = Cow<'a, str>;

/// Longest event id that is taken.
pub(crate) const MAX_EVENT_ID_LENGTH: usize = 128;

/// Namespace of derived ids (UUID v5, RFC 9562, section 5.5).
const NAMESPACE: Uuid = Uuid::from_u128(0x8d0c_4a52_6d0b_5f0e_9a55_3b1b_7e6c_21d4);

pub(crate) fn is_valid(text: &str) -> bool {
    (1..=MAX_EVENT_ID_LENGTH).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
}

/// The id of an event that came without one: UUID v5 over its canonical form, so that the same
/// content has the same id however its JSON is spelled, and a client's retry is the same event.
///
/// The canonical form is the kind's name, a line feed, and one JSON object without white space:
/// keys in byte order, the time in UTC with nanoseconds, whole numbers without a fraction, other
/// numbers in the shortest form that reads back the same.
///
/// ```
/// # use chrono::{DateTime, Utc};
/// let kinds = contract::Kinds::builtin();
/// let now = "2025-10-04T13:00:00Z".parse().unwrap();
/// let id = |text: &str| {
///     contract::derive_event_id(&contract::parse_sent(&kinds, None, text, now).unwrap())
/// };
/// let one = id(r#"{"timestamp":"2025-10-04T12:34:56Z","vehicle_id":"v","can_id":"0x1","payload":{"a":1}}"#);
/// let two = id(r#"{"payload": {"a": 1.0}, "vehicle_id":"v","can_id":"0x1","timestamp":"2025-10-04T14:34:56.000+02:00"}"#);
/// assert_eq!(one, two);
/// ```
pub fn derive(event: &Event<'_>) -> Uuid {
    let mut text = Vec::with_capacity(256);
    canonical(event, &mut text);
    Uuid::new_v5(&NAMESPACE, &text)
}

fn canonical(event: &Event<'_>, out: &mut Vec<u8>) {
    let kind = event.kind;
    out.extend_from_slice(kind.name.as_bytes());
    out.push(b'\n');
    out.push(b'{');
    let mut first = true;
    for name in &kind.canonical_order {
        let name = name.as_str();
        if name == kind.entity.field {
            key(out, &mut first, name);
            json(out, &*event.entity);
        } else if name == kind.time.field {
            key(out, &mut first, name);
            json(out, &event.time.to_rfc3339_opts(SecondsFormat::Nanos, true));
        } else if name == kind.signals_field {
            key(out, &mut first, name);
            signals(out, event);
        } else if let Some((_, value)) = event
            .fields
            .iter()
            .find(|(at, _)| kind.fields[*at].name == name)
        {
            key(out, &mut first, name);
            scalar(out, value);
        }
    }
    out.push(b'}');
}

fn signals(out: &mut Vec<u8>, event: &Event<'_>) {
    let mut order: Vec<_> = event.signals.iter().collect();
    order.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    out.push(b'{');
    let mut first = true;
    for (name, value) in order {
        key(out, &mut first, name);
        scalar(out, value);
    }
    out.push(b'}');
}

fn key(out: &mut Vec<u8>, first: &mut bool, name: &str) {
    if !std::mem::take(first) {
        out.push(b',');
    }
    json(out, name);
    out.push(b':');
}

fn scalar(out: &mut Vec<u8>, value: &Scalar<'_>) {
    match value {
        Scalar::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Scalar::Text(text) => json(out, &**text),
        Scalar::Number(number) if number.fract() == 0.0 && number.abs() < 9.1e15 => {
            // Writing to a `Vec` cannot fail. The cast also makes -0.0 plain 0.
            let _ = write!(out, "{}", *number as i64);
        }
        Scalar::Number(number) => json(out, number),
    }
}

fn json<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value)
        .expect("a string or finite number always serialises to a Vec");
}
