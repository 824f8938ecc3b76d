//! The messages of the last minute, for clients that come back.

use std::collections::VecDeque;
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use tokio::time::Instant;

use super::message::Sent;
use super::table::TopicId;

/// For how long a message is kept.
pub(crate) const KEPT: Duration = Duration::from_secs(60);

/// Bytes that a message takes beside its text, about.
const BESIDE: usize = 72;

/// Messages in the order of their numbers, within a bound of bytes.
#[derive(Debug)]
pub(crate) struct History {
    most: usize,
    bytes: usize,
    entries: VecDeque<Entry>,
    /// The number of the last message that is no longer kept.
    floor: u64,
}

#[derive(Debug)]
struct Entry {
    seq: u64,
    at: Instant,
    topic: TopicId,
    text: Utf8Bytes,
}

impl History {
    pub(crate) fn new(most: usize) -> History {
        History {
            most,
            bytes: 0,
            entries: VecDeque::new(),
            floor: 0,
        }
    }

    pub(crate) fn add(&mut self, seq: u64, topic: TopicId, text: Utf8Bytes) {
        self.bytes += text.len() + BESIDE;
        self.entries.push_back(Entry {
            seq,
            at: Instant::now(),
            topic,
            text,
        });
        while self.bytes > self.most {
            self.forget_first();
        }
    }

    /// Forgets what is older than [`KEPT`].
    pub(crate) fn expire(&mut self) {
        while self
            .entries
            .front()
            .is_some_and(|entry| entry.at.elapsed() > KEPT)
        {
            self.forget_first();
        }
        if self.entries.is_empty() {
            self.entries.shrink_to_fit();
        }
    }

    /// The messages after `since` of topics for which `is_wanted` holds; none where some are no longer kept.
    pub(crate) fn after(
        &self,
        since: u64,
        is_wanted: impl Fn(TopicId) -> bool,
    ) -> Option<impl Iterator<Item = Sent>> {
        if since < self.floor {
            return None;
        }
        let first = self.entries.partition_point(|entry| entry.seq <= since);
        let entries = self.entries.range(first..);
        let wanted = entries.filter(move |entry| is_wanted(entry.topic));
        Some(wanted.map(|entry| Sent {
            seq: entry.seq,
            text: entry.text.clone(),
        }))
    }

    fn forget_first(&mut self) {
        match self.entries.pop_front() {
            Some(entry) => {
                self.bytes = self.bytes.saturating_sub(entry.text.len() + BESIDE);
                self.floor = entry.seq;
            }
            None => self.bytes = 0,
        }
    }
}
