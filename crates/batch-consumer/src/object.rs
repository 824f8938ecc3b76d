//! The objects that a batch becomes. No I/O.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use contract::Hour;
use uuid::Uuid;

use crate::batcher::Batch;

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

/// The batch's objects, one for each arrival hour.
///
/// A key follows from the ids of the batch's messages, the hour and the lines: writing the same
/// batch again overwrites the same object with the same bytes. The lines are part of it because a
/// message may be read otherwise at a later delivery, once declarations have changed: that must
/// not take the place of what was written before.
pub fn objects(batch: &Batch) -> Vec<RawObject> {
    struct Part {
        body: Vec<u8>,
        events: usize,
        first: DateTime<Utc>,
        last: DateTime<Utc>,
    }
    let mut parts: BTreeMap<Hour, Part> = BTreeMap::new();
    for delivery in batch.messages.values() {
        for (mark, line) in delivery.contents.iter() {
            let part = parts
                .entry(Hour::of(mark.received_at))
                .or_insert_with(|| Part {
                    body: Vec::with_capacity(batch.bytes),
                    events: 0,
                    first: mark.time,
                    last: mark.time,
                });
            part.body.extend_from_slice(line);
            part.events += 1;
            part.first = part.first.min(mark.time);
            part.last = part.last.max(mark.time);
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
                first: part.first,
                last: part.last,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batcher::Delivery;
    use crate::decode::{Contents, EventMark};

    fn batch(messages: &[(&str, &[(&str, &str)])]) -> Batch {
        let mut batch = Batch::default();
        for (id, lines) in messages {
            let mut contents = Contents::default();
            for (line, received_at) in *lines {
                contents.lines.extend_from_slice(line.as_bytes());
                contents.events.push(EventMark {
                    end: contents.lines.len(),
                    time: received_at.parse().unwrap(),
                    received_at: received_at.parse().unwrap(),
                });
            }
            batch.bytes += contents.lines.len();
            let delivery = Delivery {
                id: (*id).to_owned(),
                contents,
                holds: vec![],
                room: None,
            };
            batch.messages.insert((*id).to_owned(), delivery);
        }
        batch
    }

    const AT_12: &str = "2025-10-04T12:59:59.999Z";
    const AT_13: &str = "2025-10-04T13:00:00Z";

    #[test]
    fn each_arrival_hour_has_an_object_of_its_own() {
        let made = objects(&batch(&[
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
        let one = batch(&[("m1", &[("a\n", AT_12)]), ("m2", &[("b\n", AT_12)])]);
        let two = batch(&[("m2", &[("b\n", AT_12)]), ("m1", &[("a\n", AT_12)])]);
        assert_eq!(objects(&one), objects(&two));
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
        .iter()
        .map(|batch| objects(batch).remove(0).key)
        .collect();
        assert_eq!(keys.len(), 5);
    }

    #[test]
    fn a_batch_without_lines_has_no_object() {
        assert_eq!(objects(&batch(&[("m1", &[])])), []);
    }
}
