//! Reads NDJSON whose lines are events already: as sent, or as they stand in `raw/`.

use std::collections::BTreeMap;
use std::io::BufRead;

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

use super::counts::{ReplayCounts, Skip};

/// The fields that the server adds and accepts from nobody. The other two that it adds stay: with its
/// `event_id` a replayed event is the same event, and its `kind` need not be told from its fields.
const SERVERS_OWN: [&str; 2] = ["ingest_received_at", "sender"];

/// A recorded event, and its time where that can be read.
#[derive(Debug)]
pub(crate) struct RecordedEvent {
    pub(crate) body: String,
    pub(crate) time: Option<DateTime<Utc>>,
}

/// The events of one NDJSON file.
pub(crate) struct EventLines {
    text: Box<dyn BufRead + Send>,
    /// Fields that may hold the event time.
    time_fields: Vec<String>,
}

impl EventLines {
    pub(crate) fn new(text: Box<dyn BufRead + Send>, time_fields: Vec<String>) -> EventLines {
        EventLines { text, time_fields }
    }

    /// The next line that is an object; `None` at the end. Lines before it that are no object are counted.
    pub(crate) fn next_event(
        &mut self,
        counts: &mut ReplayCounts,
    ) -> Result<Option<RecordedEvent>, std::io::Error> {
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            if self.text.read_until(b'\n', &mut bytes)? == 0 {
                return Ok(None);
            }
            let text = match std::str::from_utf8(&bytes) {
                Ok(text) => text.trim_start_matches('\u{feff}').trim(),
                Err(_) => "not UTF-8",
            };
            if text.is_empty() {
                continue;
            }
            counts.lines += 1;
            match self.line(text) {
                Ok(line) => {
                    counts.events += 1;
                    return Ok(Some(line));
                }
                Err(why) => *counts.skipped.entry(why).or_default() += 1,
            }
        }
    }

    fn line(&self, text: &str) -> Result<RecordedEvent, Skip> {
        let mut event: BTreeMap<String, &RawValue> =
            serde_json::from_str(text).map_err(|error| {
                if error.is_data() {
                    Skip::NotAnObject
                } else {
                    Skip::NotJson
                }
            })?;
        let time = self.time_fields.iter().find_map(|field| event.get(field));
        let time = time.and_then(|time| serde_json::from_str::<DateTime<Utc>>(time.get()).ok());
        let before = event.len();
        event.retain(|name, _| !SERVERS_OWN.contains(&&**name));
        let body = if event.len() == before {
            text.to_owned()
        } else {
            // The values as they stand: a number keeps its digits.
            serde_json::to_string(&event).map_err(|_| Skip::NotJson)?
        };
        Ok(RecordedEvent { body, time })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_raw_lose_their_time_of_receipt_and_keep_the_rest_to_the_digit() {
        let text = concat!(
            "\u{feff}{\"kind\":\"vehicle\",\"event_id\":\"e-1\",\"ingest_received_at\":\"2025-10-04T12:00:01.000Z\",",
            "\"timestamp\":\"2025-10-04T12:00:00Z\",\"vehicle_id\":\"v\",\"can_id\":\"0x1\",\"payload\":{\"x\":1.50}}\r\n",
            "\n",
            "{\"vehicle_id\": \"v\"}\n",
            "{\"vehicle_id\":\n",
            "[1]\n",
            "{\"b\":2}"
        );
        let mut lines = EventLines::new(Box::new(text.as_bytes()), vec!["timestamp".into()]);
        let mut counts = ReplayCounts::default();
        let mut read = Vec::new();
        while let Some(line) = lines.next_event(&mut counts).unwrap() {
            read.push((line.body, line.time.map(contract::format_millis)));
        }
        let first = "{\"can_id\":\"0x1\",\"event_id\":\"e-1\",\"kind\":\"vehicle\",\"payload\":{\"x\":1.50},\"timestamp\":\"2025-10-04T12:00:00Z\",\"vehicle_id\":\"v\"}";
        assert_eq!(
            read[0],
            (first.into(), Some("2025-10-04T12:00:00.000Z".into()))
        );
        assert_eq!(read[1], ("{\"vehicle_id\": \"v\"}".into(), None));
        assert_eq!(read[2].0, "{\"b\":2}");
        assert_eq!((counts.lines, counts.events), (5, 3));
        assert_eq!(
            counts.skipped,
            BTreeMap::from([(Skip::NotJson, 1), (Skip::NotAnObject, 1)])
        );
    }
}
