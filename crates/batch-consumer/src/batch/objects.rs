//! The objects that a batch becomes. No I/O.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use contract::Hour;
use uuid::Uuid;

use crate::batch::batcher::Batch;
use crate::receive::decode::{EventMark, at};

/// The content type of objects: newline-delimited JSON.
pub const CONTENT_TYPE: &str = "application/x-ndjson";

/// Namespace of the objects' UUIDs (UUID v5, RFC 9562, section 5.5).
const NAMESPACE: Uuid = Uuid::from_u128(0x3f0a_9d5e_7b1c_4c62_8e57_1d0b_64a9_f213);

/// An object to write: the events of a batch that arrived in one hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawObject {
    /// The arrival hour.
    pub hour: Hour,
    /// `raw/year=YYYY/month=MM/day=DD/hour=HH/part-<uuid>.jsonl`.
    pub key: String,
    /// The lines, in the order of message ids.
    pub body: Bytes,
    /// How many lines it has.
    pub events: usize,
    /// The earliest event time.
    pub first: DateTime<Utc>,
    /// The latest event time.
    pub last: DateTime<Utc>,
}

impl RawObject {
    /// The metadata that it is written with.
    pub fn metadata(&self) -> HashMap<String, String> {
        HashMap::from(
            [
                ("events", self.events.to_string()),
                ("first-event-time", contract::format_millis(self.first)),
                ("last-event-time", contract::format_millis(self.last)),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        )
    }
}

/// The batch's objects, one for each arrival hour. They take the lines from the batch, so that
/// these are in memory once.
///
/// A key follows from the ids of the batch's messages, the hour and the lines: writing the same
/// batch again overwrites the same object with the same bytes. The lines are part of it because a
/// message may be read otherwise at a later delivery, once declarations have changed: that must
/// not take the place of what was written before.
pub fn objects(batch: &mut Batch) -> Vec<RawObject> {
    let mut parts: BTreeMap<Hour, Part> = BTreeMap::new();
    let bytes = batch.bytes;
    for delivery in batch.messages.values_mut() {
        let contents = &mut delivery.contents;
        let lines = std::mem::take(&mut contents.lines);
        let received = contents.events.iter().map(|mark| mark.received_at_ms);
        let (Some(first), Some(last)) = (received.clone().min(), received.max()) else {
            continue;
        };
        let hour = Hour::of(at(first));
        if hour == Hour::of(at(last)) {
            let part = parts.entry(hour).or_default();
            part.add_lines(lines, bytes);
            part.note(&contents.events);
            continue;
        }
        let lines = lines.split_inclusive(|byte| *byte == b'\n');
        for (mark, line) in contents.events.iter().zip(lines) {
            let part = parts.entry(mark.hour()).or_default();
            part.body.extend_from_slice(line);
            part.note(std::slice::from_ref(mark));
        }
    }
    let mut ids = String::new();
    for id in batch.messages.keys() {
        ids.push_str(id);
        ids.push('\n');
    }
    parts
        .into_iter()
        .map(|(hour, part)| {
            let content = xxhash_rust::xxh3::xxh3_128(&part.body);
            let name = format!("{ids}{hour}\n{content:032x}");
            RawObject {
                hour,
                key: contract::raw_key(hour, Uuid::new_v5(&NAMESPACE, name.as_bytes())),
                body: part.body.into(),
                events: part.events,
                first: at(part.first_ms),
                last: at(part.last_ms),
            }
        })
        .collect()
}

/// An object as it grows.
struct Part {
    body: Vec<u8>,
    events: usize,
    first_ms: i64,
    last_ms: i64,
}

impl Default for Part {
    fn default() -> Part {
        Part {
            body: Vec::new(),
            events: 0,
            first_ms: i64::MAX,
            last_ms: i64::MIN,
        }
    }
}

impl Part {
    /// Adds a message's lines to a body that will have at most `bytes`.
    fn add_lines(&mut self, lines: Vec<u8>, bytes: usize) {
        if self.body.is_empty() && lines.len() == bytes {
            self.body = lines;
            return;
        }
        if self.body.is_empty() {
            self.body.reserve_exact(bytes);
        }
        self.body.extend_from_slice(&lines);
    }

    /// Counts events, and the times between which they lie.
    fn note(&mut self, marks: &[EventMark]) {
        self.events += marks.len();
        for mark in marks {
            self.first_ms = self.first_ms.min(mark.time_ms);
            self.last_ms = self.last_ms.max(mark.time_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::batcher::Delivery;
    use crate::receive::decode::Contents;

    fn batch(messages: &[(&str, &[(&str, &str)])]) -> Batch {
        let mut batch = Batch::default();
        for (id, lines) in messages {
            let mut contents = Contents::default();
            for (line, received_at) in *lines {
                contents.lines.extend_from_slice(line.as_bytes());
                let time = received_at.parse().unwrap();
                contents.events.push(EventMark::new(time, time));
            }
            batch.bytes += contents.lines.len();
            let delivery = Delivery {
                id: (*id).to_owned(),
                contents,
                holds: vec![],
                permit: None,
            };
            batch.messages.insert((*id).to_owned(), delivery);
        }
        batch
    }

    const AT_12: &str = "2025-10-04T12:59:59.999Z";
    const AT_13: &str = "2025-10-04T13:00:00Z";

    #[test]
    fn each_arrival_hour_has_an_object_of_its_own() {
        let made = objects(&mut batch(&[
            ("m2", &[("c\n", AT_13), ("d\n", AT_12)]),
            ("m1", &[("a\n", AT_12), ("b\n", AT_13)]),
        ]));
        assert_eq!(made.len(), 2);
        assert_eq!(&made[0].body[..], b"a\nd\n");
        assert_eq!(&made[1].body[..], b"b\nc\n");
        assert!(
            made[0]
                .key
                .starts_with("raw/year=2025/month=10/day=04/hour=12/part-")
        );
        assert!(
            made[1]
                .key
                .starts_with("raw/year=2025/month=10/day=04/hour=13/part-")
        );
        let metadata = made[0].metadata();
        assert_eq!(metadata["events"], "2");
        assert_eq!(metadata["first-event-time"], AT_12);
        assert_eq!(metadata["last-event-time"], AT_12);
    }

    #[test]
    fn the_same_messages_give_the_same_objects_in_whatever_order_they_came() {
        let mut one = batch(&[("m1", &[("a\n", AT_12)]), ("m2", &[("b\n", AT_12)])]);
        let mut two = batch(&[("m2", &[("b\n", AT_12)]), ("m1", &[("a\n", AT_12)])]);
        assert_eq!(objects(&mut one), objects(&mut two));
    }

    #[test]
    fn other_messages_hours_or_lines_give_other_keys() {
        let keys: std::collections::HashSet<String> = [
            batch(&[("m1", &[("a\n", AT_12)])]),
            batch(&[("m2", &[("a\n", AT_12)])]),
            batch(&[("m1", &[("b\n", AT_12)])]),
            batch(&[("m1", &[("a\n", AT_13)])]),
            batch(&[("m1", &[("a\n", AT_12)]), ("m2", &[])]),
        ]
        .iter_mut()
        .map(|batch| objects(batch).remove(0).key)
        .collect();
        assert_eq!(keys.len(), 5);
    }

    #[test]
    fn a_batch_without_lines_has_no_object() {
        assert_eq!(objects(&mut batch(&[("m1", &[])])), []);
    }
}
