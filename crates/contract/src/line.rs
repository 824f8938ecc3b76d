//! The line that an accepted event becomes in packs and in `raw/`.

use uuid::Uuid;

use crate::event::Event;
use crate::id::derive_within;

/// How an event came.
#[derive(Debug, Clone, Copy)]
pub struct Receipt<'a> {
    /// When, as [`format_millis`](crate::format_millis) writes it.
    pub at: &'a str,
    /// Name of the key that it was sent with, if it has one: nothing in it needs escaping.
    pub sender: Option<&'a str>,
}

impl<'a, T: AsRef<str> + ?Sized> From<&'a T> for Receipt<'a> {
    /// When it came, from a sender without a name.
    fn from(at: &'a T) -> Receipt<'a> {
        Receipt {
            at: at.as_ref(),
            sender: None,
        }
    }
}

/// Appends the event's line to `out`: its own text as sent, with `kind`, `event_id`, `ingest_received_at` and `sender`
/// put in front where the text does not have them, and a line feed. `text` is what `event` was read from.
///
/// ```
/// let kinds = contract::Kinds::builtin();
/// let text = r#"{"timestamp":"2025-10-04T12:34:56Z","vehicle_id":"veh-1","can_id":"0x1F0",
///     "payload":{"engine_rpm":2150},"event_id":"7"}"#;
/// let now = "2025-10-04T12:35:00Z".parse().unwrap();
/// let event = contract::parse_sent(&kinds, None, text, now).unwrap();
/// let mut out = Vec::new();
/// contract::write_line(&mut out, &event, "2025-10-04T12:35:00.000Z", text);
/// let line = String::from_utf8(out).unwrap();
/// assert!(line.starts_with(r#"{"kind":"vehicle","ingest_received_at":"2025-10-04T12:35:00.000Z","timestamp":"#));
/// assert!(line.ends_with("}\n"));
/// assert_eq!(contract::parse_line(&kinds, &line).unwrap().event_id.as_deref(), Some("7"));
/// ```
///
/// An event without an id gets that of its content. An event of a [long](crate::Kind::is_long) kind is no repetition
/// of another that says the same: [`write_line_as`] is for these.
pub fn write_line<'a>(
    out: &mut Vec<u8>,
    event: &Event<'_>,
    receipt: impl Into<Receipt<'a>>,
    text: &str,
) {
    write(out, event, None, receipt.into(), text);
}

/// As [`write_line`], with `id` for an event without one. It must be of the form of ids, and the event's own for all
/// time: whoever writes the same event again gives it the same.
pub fn write_line_as<'a>(
    out: &mut Vec<u8>,
    event: &Event<'_>,
    id: &str,
    receipt: impl Into<Receipt<'a>>,
    text: &str,
) {
    write(out, event, Some(id), receipt.into(), text);
}

fn write(
    out: &mut Vec<u8>,
    event: &Event<'_>,
    given: Option<&str>,
    receipt: Receipt<'_>,
    text: &str,
) {
    let own = text.trim_start().strip_prefix('{').unwrap_or(text).trim();
    out.push(b'{');
    // None of them needs escaping: names of kinds and keys are checked, and an id or a time has no quotes.
    if !event.names_kind {
        put(out, "\"kind\":\"", &event.kind.name);
    }
    if event.event_id.is_none() {
        let mut text = Uuid::encode_buffer();
        let id = match given {
            Some(id) => id,
            None => derive_within(event, out)
                .hyphenated()
                .encode_lower(&mut text),
        };
        put(out, "\"event_id\":\"", id);
    }
    if event.received_at.is_none() {
        put(out, "\"ingest_received_at\":\"", receipt.at);
        // Who says when it came says by whom, or that nobody knows.
        if let Some(sender) = receipt.sender {
            put(out, "\"sender\":\"", sender);
        }
    }
    if memchr::memchr2(b'\n', b'\r', own.as_bytes()).is_some() {
        without_space(out, own);
    } else {
        out.extend_from_slice(own.as_bytes());
    }
    out.push(b'\n');
}

fn put(out: &mut Vec<u8>, key: &str, value: &str) {
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\",");
}

/// Copies valid JSON without the white space between its tokens, so that it fits one line.
fn without_space(out: &mut Vec<u8>, json: &str) {
    let (mut in_string, mut escaped) = (false, false);
    for byte in json.bytes() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if byte == b'"' {
            in_string = true;
        } else if byte.is_ascii_whitespace() {
            continue;
        }
        out.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_space_between_tokens_is_taken_out() {
        let json = "\n \"a b\" : \"c \\\" d\\\\\" ,\r\n\t\"e\":\t[1, 2]\n}";
        let mut out = Vec::new();
        without_space(&mut out, json);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#""a b":"c \" d\\","e":[1,2]}"#
        );
    }
}
