//! An event on its way to ingest.

use std::time::Duration;

use sender::Outgoing;

/// An event that the SQL made of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordedEvent {
    /// The event as JSON, one line.
    pub(crate) body: String,
    /// The place of its file among the files of this import.
    pub(crate) file: usize,
    /// The row that it came from, counted from 1: the SQL's column `row`, or its place in the SQL's result.
    pub(crate) row: u64,
    /// When to send it, counted from the start of the sending; `None` is as soon as possible.
    pub(crate) due: Option<Duration>,
}

impl Outgoing for RecordedEvent {
    fn body(&self) -> &str {
        &self.body
    }

    fn due(&self) -> Option<Duration> {
        self.due
    }
}
