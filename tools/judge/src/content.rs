//! What an event says, as one number: the same for every spelling, in `raw/` and in `curated/`.

use std::collections::BTreeMap;

use contract::{Event, Scalar};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

use crate::columns::{MORE, without_type};

/// Names that no field or signal can have.
const ENTITY: &str = "\u{1}entity";
const TIME: &str = "\u{1}time";

/// The sum of the hashes of all that an event says: entity, time, fields and signals, in any order. What the
/// server adds is not in it. 128 bits, so that two contents do not share one by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContentHash {
    /// In two halves, which take less room than a `u128` that has to be aligned.
    sum: [u64; 2],
    /// What the time has below a microsecond, in nanoseconds: `curated/` does not keep it.
    nanos: u16,
}

impl ContentHash {
    pub(crate) fn of(event: &Event<'_>) -> ContentHash {
        let mut sum = ContentHasher::default();
        sum.entity(&event.entity);
        sum.time(event.time.timestamp_micros());
        for (at, value) in &event.fields {
            sum.scalar(&event.kind.fields[*at].name, value);
        }
        // The signal of a long kind is among its fields.
        let signals = event.signals.iter().filter(|_| !event.kind.is_long());
        for (name, value) in signals {
            sum.scalar(name, value);
        }
        ContentHash {
            nanos: (event.time.timestamp_subsec_nanos() % 1_000) as u16,
            ..sum.finish()
        }
    }

    /// Whether a row of `curated/` says the same, as far as its time's precision goes.
    pub(crate) fn is_in_row(&self, row: &ContentHash) -> bool {
        self.sum == row.sum
    }
}

/// Sums up what an event says, part by part in any order.
#[derive(Debug, Default)]
pub(crate) struct ContentHasher {
    sum: u128,
    part: Vec<u8>,
}

impl ContentHasher {
    pub(crate) fn entity(&mut self, entity: &str) {
        self.text(ENTITY, entity);
    }

    /// The event time in microseconds since 1970.
    pub(crate) fn time(&mut self, micros: i64) {
        self.add(TIME, b't', &micros.to_le_bytes());
    }

    pub(crate) fn text(&mut self, name: &str, text: &str) {
        self.add(name, b's', text.as_bytes());
    }

    pub(crate) fn number(&mut self, name: &str, number: f64) {
        // -0 and 0 are equal numbers.
        self.add(name, b'n', &(number + 0.0).to_bits().to_le_bytes());
    }

    pub(crate) fn boolean(&mut self, name: &str, value: bool) {
        self.add(name, b'b', &[u8::from(value)]);
    }

    /// The values in a text of the column [`MORE`]; a text of another form counts as a value of its own.
    pub(crate) fn more(&mut self, text: &str) {
        let Ok(values) = serde_json::from_str::<BTreeMap<String, Value>>(text) else {
            return self.text(MORE, text);
        };
        for (name, value) in values {
            match value {
                Value::Bool(value) => self.boolean(&name, value),
                Value::String(text) => self.text(&name, &text),
                Value::Number(number) => self.number(&name, number.as_f64().unwrap_or(f64::NAN)),
                other => self.text(&name, &other.to_string()),
            }
        }
    }

    fn scalar(&mut self, name: &str, value: &Scalar<'_>) {
        match value {
            Scalar::Bool(value) => self.boolean(name, *value),
            Scalar::Number(value) => self.number(name, *value),
            Scalar::Text(value) => self.text(name, value),
        }
    }

    fn add(&mut self, name: &str, r#type: u8, value: &[u8]) {
        self.part.clear();
        // On both sides, so that a value is the same in whichever column of its signal it stands.
        let name = without_type(name).unwrap_or(name);
        // Spellings that differ in case alone share a column.
        self.part
            .extend(name.bytes().map(|byte| byte.to_ascii_lowercase()));
        self.part.extend_from_slice(&[0, r#type]);
        self.part.extend_from_slice(value);
        self.sum = self.sum.wrapping_add(xxh3_128(&self.part));
    }

    /// The sum so far; the next one starts from nothing.
    pub(crate) fn finish(&mut self) -> ContentHash {
        let sum = std::mem::take(&mut self.sum);
        ContentHash {
            sum: [sum as u64, (sum >> 64) as u64],
            nanos: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use contract::{Kinds, parse_sent};

    use super::*;

    fn content(payload: &str, time: &str) -> ContentHash {
        let text = format!(
            r#"{{"timestamp":"{time}","vehicle_id":"v","can_id":"0x1","payload":{payload}}}"#
        );
        let kinds = Kinds::builtin();
        let now = "2025-10-04T13:00:00Z".parse().unwrap();
        ContentHash::of(&parse_sent(&kinds, None, &text, now).unwrap())
    }

    const TIME: &str = "2025-10-04T12:34:56.123456Z";

    #[test]
    fn values_without_a_column_count_as_those_with_one() {
        let event = content(r#"{"a":1,"b":true,"C":"x"}"#, TIME);
        let mut row = ContentHasher::default();
        row.entity("v");
        row.time(
            "2025-10-04T12:34:56.123456Z"
                .parse::<chrono::DateTime<chrono::Utc>>()
                .unwrap()
                .timestamp_micros(),
        );
        row.text("can_id", "0x1");
        row.number("a", 1.0);
        row.more(r#"{"C":"x","b":true}"#);
        assert!(event.is_in_row(&row.finish()));
    }

    #[test]
    fn spelling_does_not_count_and_values_do() {
        let one = content(r#"{"a":1,"b":true,"c":"x"}"#, TIME);
        let same = content(
            r#"{"c":"\u0078", "b":true,"a":1.0}"#,
            "2025-10-04T14:34:56.123456000+02:00",
        );
        assert_eq!(one, same);
        assert_eq!(content(r#"{"a":0}"#, TIME), content(r#"{"a":-0.0}"#, TIME));
        for other in [
            r#"{"a":2,"b":true,"c":"x"}"#,
            r#"{"a":1,"b":false,"c":"x"}"#,
            r#"{"a":1,"b":true}"#,
            r#"{"a":1,"b":true,"c":"x","d":1}"#,
            r#"{"a":true,"b":1,"c":"x"}"#,
            r#"{"a":"1","b":true,"c":"x"}"#,
        ] {
            assert_ne!(one, content(other, TIME), "{other}");
        }
    }

    #[test]
    fn nanoseconds_count_in_raw_and_not_in_curated() {
        let one = content(r#"{"a":1}"#, "2025-10-04T12:34:56.123456789Z");
        let cut = content(r#"{"a":1}"#, TIME);
        assert_ne!(one, cut);
        assert!(one.is_in_row(&cut));
        assert!(!one.is_in_row(&content(r#"{"a":1}"#, "2025-10-04T12:34:56.123457Z")));
    }
}
