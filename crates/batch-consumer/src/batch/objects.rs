//! The objects that a batch becomes. No I/O.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use contract::Hour;
use xxhash_rust::xxh3::xxh3_128;

use crate::batch::batcher::Batch;
use crate::batch::buffers::Buffers;
use crate::receive::contents::{EventMark, at};

pub(crate) const CONTENT_TYPE: &str = "application/x-ndjson";

/// An object to write: the events of a batch that arrived in one hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawObject {
    /// The hour in which ingest received the events.
    pub(crate) hour: Hour,
    /// `raw/year=YYYY/month=MM/day=DD/hour=HH/part-<uuid>.jsonl`.
    pub(crate) key: String,
    /// The lines, in the order of message ids.
    pub(crate) body: Bytes,
    /// Number of lines.
    pub(crate) events: usize,
    /// User metadata in S3: number of events, first and last event time.
    pub(crate) metadata: HashMap<String, String>,
}

/// The batch's objects, one for each arrival hour. The lines move out of the batch, so that they are
/// in memory once.
///
/// The part's name holds the earliest receipt of its events, so that parts list in order of arrival,
/// and a hash of the ids of the batch's messages and of the lines: writing the same
/// batch again overwrites the same object with the same bytes. The lines count because declarations
/// may change between two deliveries of a message: what is then read differently must not replace
/// what was written before.
pub(crate) fn objects(batch: &mut Batch, buffers: &Buffers) -> Vec<RawObject> {
    let mut growing: BTreeMap<Hour, GrowingObject> = BTreeMap::new();
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
            let object = growing.entry(hour).or_default();
            object.add_lines(lines, bytes, buffers);
            object.note(&contents.events);
            continue;
        }
        let lines = lines.split_inclusive(|byte| *byte == b'\n');
        for (mark, line) in contents.events.iter().zip(lines) {
            let object = growing.entry(mark.hour()).or_default();
            object.body.extend_from_slice(line);
            object.note(std::slice::from_ref(mark));
        }
    }
    let ids = batch.messages.keys().map(String::as_str);
    let ids: String = ids.flat_map(|id| [id, "\n"]).collect();
    growing
        .into_iter()
        .map(|(hour, object)| {
            let (first_ms, last_ms) = object.span_ms.unwrap_or_default();
            let content = xxh3_128(&object.body);
            let hash = xxh3_128(format!("{ids}{hour}\n{content:032x}").as_bytes());
            let received = at(object.received_ms.unwrap_or_default());
            let metadata = [
                ("events", object.events.to_string()),
                ("first-event-time", contract::format_millis(at(first_ms))),
                ("last-event-time", contract::format_millis(at(last_ms))),
            ];
            RawObject {
                hour,
                key: contract::raw_key(hour, contract::raw_part_name(received, hash)),
                events: object.events,
                body: object.body(buffers),
                metadata: HashMap::from(metadata.map(|(name, value)| (name.to_owned(), value))),
            }
        })
        .collect()
}

#[derive(Default)]
struct GrowingObject {
    body: Vec<u8>,
    /// Whether the body is one of [`Buffers`].
    is_lent: bool,
    events: usize,
    /// First and last event time.
    span_ms: Option<(i64, i64)>,
    /// Earliest receipt.
    received_ms: Option<i64>,
}

impl GrowingObject {
    /// Adds a message's lines to a body that will have at most `bytes`.
    fn add_lines(&mut self, lines: Vec<u8>, bytes: usize, buffers: &Buffers) {
        if self.body.is_empty() && lines.len() == bytes {
            self.body = lines;
            return;
        }
        if self.body.is_empty() {
            self.body = buffers.take(bytes);
            self.is_lent = true;
        }
        self.body.extend_from_slice(&lines);
    }

    /// The body, whose buffer is used again once the object is written if it is one of `buffers`.
    fn body(self, buffers: &Buffers) -> Bytes {
        if self.is_lent {
            buffers.lend(self.body)
        } else {
            self.body.into()
        }
    }

    /// Counts the events and widens the bounds of their times.
    fn note(&mut self, marks: &[EventMark]) {
        self.events += marks.len();
        let earliest = marks.iter().map(|mark| mark.received_at_ms);
        self.received_ms = earliest.chain(self.received_ms).min();
        for mark in marks {
            let (first, last) = self.span_ms.unwrap_or((mark.time_ms, mark.time_ms));
            self.span_ms = Some((first.min(mark.time_ms), last.max(mark.time_ms)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(batch: &mut Batch) -> Vec<RawObject> {
        super::objects(batch, &Buffers::default())
    }

    use crate::receive::contents::Contents;
    use crate::receive::delivery::Delivery;

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
                _permit: None,
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
        let metadata = &made[0].metadata;
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
    fn parts_list_in_the_order_in_which_their_events_arrived() {
        let times = ["2025-10-04T12:00:00Z", "2025-10-04T12:00:00.001Z", AT_12];
        let keys = times.map(|time| {
            let mut batch = batch(&[("m1", &[("a\n", AT_12)]), ("m2", &[("b\n", time)])]);
            objects(&mut batch).remove(0).key
        });
        assert!(keys.is_sorted());
        let arrivals = keys.map(|key| contract::raw_arrival_of(&key));
        assert_eq!(arrivals, times.map(|time| time.parse().ok()));
    }

    #[test]
    fn a_batch_without_lines_has_no_object() {
        assert_eq!(objects(&mut batch(&[("m1", &[])])), []);
    }
}
