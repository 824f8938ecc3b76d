//! What a decoded message holds.

use chrono::{DateTime, Utc};
use contract::Hour;

use crate::receive::dead_letter::DeadLetter;

/// A decoded message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    /// The lines of the good events, as they stand in `raw/`, each ended by a line feed.
    pub(crate) lines: Vec<u8>,
    /// One mark for each line, in the same order.
    pub(crate) events: Vec<EventMark>,
    /// What could not be read, or breaks its contract.
    pub(crate) letters: Vec<DeadLetter>,
}

impl Contents {
    /// Bytes in memory, without the allocator's share.
    pub(crate) fn size(&self) -> usize {
        let letters: usize = self.letters.iter().map(DeadLetter::size).sum();
        self.lines.len() + self.events.len() * size_of::<EventMark>() + letters
    }
}

/// The times of one line, in milliseconds since 1970, UTC. Numbers, for a batch may hold a hundred thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventMark {
    /// When the event happened: bounds in the object's metadata, and the latency.
    pub(crate) time_ms: i64,
    /// When ingest received the event: the object's hour, and the time in the queue.
    pub(crate) received_at_ms: i64,
}

impl EventMark {
    pub(crate) fn new(time: DateTime<Utc>, received_at: DateTime<Utc>) -> EventMark {
        EventMark {
            time_ms: time.timestamp_millis(),
            received_at_ms: received_at.timestamp_millis(),
        }
    }

    /// The hour in which ingest received the event.
    pub(crate) fn hour(&self) -> Hour {
        Hour::of(at(self.received_at_ms))
    }
}

/// The time of a mark, which was made of a time and so has one.
pub(crate) fn at(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}
