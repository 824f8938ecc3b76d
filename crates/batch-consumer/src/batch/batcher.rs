//! Decides when a batch is done. No I/O, no clock: the caller passes `now`.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Config;
use crate::receive::delivery::Delivery;

/// How long after a full receive the queue may hold more. By then the next receive has come back,
/// unless it is a long poll that waits, which says that the queue is empty.
pub(super) const FULL_FOR: Duration = Duration::from_millis(100);

/// Least time between adaptive batches. Each object costs as much as a dozen requests to the queue:
/// without it a trickle would give an object for nearly every message.
pub(super) const SPACING: Duration = Duration::from_millis(200);

/// Messages that are written together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// By id, so that the same messages give the same object, in whatever order they came.
    pub(crate) messages: BTreeMap<String, Delivery>,
    /// Bytes of the lines of all messages.
    pub(crate) bytes: usize,
    /// Deliveries beyond the first of a message.
    pub(crate) duplicates: usize,
}

/// When a batch closes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(super) max_messages: usize,
    /// Counted from the batch's first message on.
    pub(super) max_wait: Duration,
    /// Of lines; one message alone may have more.
    pub(super) max_bytes: usize,
    /// Whether a batch closes as soon as the queue is empty and nothing is being written.
    pub(super) adaptive: bool,
}

impl From<&Config> for Limits {
    fn from(config: &Config) -> Limits {
        Limits {
            max_messages: config.batch_max_messages,
            max_wait: config.batch_max_wait,
            max_bytes: config.max_bytes(),
            adaptive: config.batch_adaptive,
        }
    }
}

/// Collects messages into batches.
#[derive(Debug)]
pub(crate) struct Batcher {
    limits: Limits,
    open: Batch,
    /// When the open batch closes at the latest; `None` while it is empty.
    deadline: Option<Instant>,
    /// Messages that were received and not added yet.
    coming: usize,
    /// When a receive last came back full.
    full_at: Option<Instant>,
    /// When a batch last closed.
    closed_at: Option<Instant>,
}

impl Batcher {
    pub(crate) fn new(limits: Limits) -> Batcher {
        Batcher {
            limits,
            open: Batch::default(),
            deadline: None,
            coming: 0,
            full_at: None,
            closed_at: None,
        }
    }

    /// Notes that a receive brought this many messages at `now`, before they are added.
    pub(crate) fn expect(&mut self, messages: usize, full: bool, now: Instant) {
        self.coming += messages;
        if full {
            self.full_at = Some(now);
        }
    }

    /// Takes a message that came at `now`, and gives the batches that are closed by it: at most
    /// two, the one it did not fit in and the one it filled.
    ///
    /// A message that is in the open batch already adds its delivery there and nothing else.
    pub(crate) fn add(&mut self, delivery: Delivery, now: Instant) -> Vec<Batch> {
        self.coming = self.coming.saturating_sub(1);
        let overdue = self.deadline.is_some_and(|deadline| deadline <= now);
        let mut closed: Vec<Batch> = overdue.then(|| self.take()).flatten().into_iter().collect();
        let bytes = delivery.contents.lines.len();
        if let Some(first) = self.open.messages.get_mut(&delivery.id) {
            first.holds.extend(delivery.holds);
            self.open.duplicates += 1;
            return closed;
        }
        if self.open.bytes + bytes > self.limits.max_bytes {
            closed.extend(self.take());
        }
        self.deadline.get_or_insert(now + self.limits.max_wait);
        self.open.bytes += bytes;
        self.open.messages.insert(delivery.id.clone(), delivery);
        let full = self.open.messages.len() >= self.limits.max_messages
            || self.open.bytes >= self.limits.max_bytes;
        if full || self.limits.max_wait.is_zero() {
            closed.extend(self.take());
        }
        if !closed.is_empty() {
            self.closed_at = Some(now);
        }
        closed
    }

    /// When the open batch closes if nothing fills it before; may be in the past. `writing` says
    /// whether an earlier batch is being written.
    pub(crate) fn deadline(&self, writing: bool) -> Option<Instant> {
        let latest = self.deadline?;
        // While something is written, a batch that closed could only wait, or be one of many.
        if !self.limits.adaptive || writing || self.coming > 0 {
            return Some(latest);
        }
        let opened = latest - self.limits.max_wait;
        let empty = self.full_at.map_or(opened, |at| at + FULL_FOR);
        let spaced = self.closed_at.map_or(opened, |at| at + SPACING);
        Some(latest.min(opened.max(empty).max(spaced)))
    }

    /// The open batch, if its deadline has come.
    pub(crate) fn close_due(&mut self, now: Instant, writing: bool) -> Option<Batch> {
        if self.deadline(writing)? > now {
            return None;
        }
        self.closed_at = Some(now);
        self.take()
    }

    /// The open batch, however full; `None` if it is empty.
    pub(crate) fn take(&mut self) -> Option<Batch> {
        self.deadline = None;
        let batch = std::mem::take(&mut self.open);
        (!batch.messages.is_empty()).then_some(batch)
    }
}
