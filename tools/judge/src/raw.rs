//! The events of a raw object.

use contract::{Event, Hour, Kinds, parse_line, raw_hour_of};

/// A line of a raw object.
pub(crate) struct RawLine<'a> {
    /// Counted from 1.
    pub(crate) number: usize,
    pub(crate) text: &'a str,
    /// The event, or why the line is not one.
    pub(crate) event: Result<Event<'a>, String>,
    /// The hour where the line ought to stand; `None` if it stands there.
    pub(crate) misplaced: Option<Hour>,
}

/// Hands each line of the object to `each`.
pub(crate) fn read<'a>(
    kinds: &'a Kinds,
    key: &str,
    body: &'a [u8],
    mut each: impl FnMut(RawLine<'a>),
) {
    let stands_in = raw_hour_of(key);
    for (at, line) in body.split(|byte| *byte == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let (text, event) = match std::str::from_utf8(line) {
            Ok(text) => (
                text,
                parse_line(kinds, text).map_err(|rejection| rejection.to_string()),
            ),
            Err(error) => ("", Err(error.to_string())),
        };
        let belongs_in = event
            .as_ref()
            .ok()
            .and_then(|event| event.received_at)
            .map(Hour::of);
        each(RawLine {
            number: at + 1,
            text,
            event,
            misplaced: belongs_in.filter(|_| belongs_in != stands_in),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_no_events_or_stand_in_the_wrong_hour_are_told() {
        let kinds = Kinds::builtin();
        let line = r#"{"kind":"vehicle","event_id":"a","ingest_received_at":"2025-10-04T12:59:59.999Z","timestamp":"2025-10-04T12:34:56Z","vehicle_id":"v","can_id":"0x1","payload":{"a":1}}"#;
        let body = [line.as_bytes(), b"\n\n{\"kind\"\n\xff\n"].concat();
        let hour = Hour::of("2025-10-04T12:00:00Z".parse().unwrap());
        for (hour, misplaced) in [(hour, false), (hour.next(), true)] {
            let key = contract::raw_key(hour, uuid::Uuid::nil());
            let mut seen = Vec::new();
            read(&kinds, &key, &body, |line| {
                seen.push((line.number, line.event.is_ok(), line.misplaced.is_some()));
            });
            assert_eq!(
                seen,
                [(1, true, misplaced), (3, false, false), (4, false, false)]
            );
        }
    }
}
