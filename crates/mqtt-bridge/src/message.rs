//! A message on its way from the broker to ingest.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::sync::OwnedSemaphorePermit;

use crate::broker::Held;

/// A message that has come, and is not posted yet.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    pub(crate) arrived: DateTime<Utc>,
    pub(crate) receipt: Receipt,
}

/// What is told once a message is done; keeps its share of the memory until then.
#[derive(Debug)]
pub(crate) struct Receipt {
    /// Where it is held, and its number there; `None` of QoS 0, for which nobody waits.
    pub(crate) held: Option<(Arc<Held>, u64)>,
    pub(crate) _memory: OwnedSemaphorePermit,
}

/// The receipt of a message with several events.
#[derive(Debug)]
pub(crate) struct Shared {
    receipt: Receipt,
    open: AtomicUsize,
}

impl Receipt {
    /// The message is done, whole.
    pub(crate) fn done(&self) {
        if let Some((held, number)) = &self.held {
            held.done(*number);
        }
    }

    /// For the events of the message, as many as are to be posted: done once each of them is.
    pub(crate) fn shared(self, events: usize) -> Arc<Shared> {
        if events == 0 {
            self.done();
        }
        Arc::new(Shared {
            receipt: self,
            open: AtomicUsize::new(events),
        })
    }
}

/// An event to be posted.
#[derive(Debug)]
pub(crate) struct Event {
    /// A JSON object on one line.
    pub(crate) body: String,
    pub(crate) message: Arc<Shared>,
}

impl Event {
    /// It is accepted, or refused for good.
    pub(crate) fn done(self) {
        if self.message.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.message.receipt.done();
        }
    }
}

impl AsRef<str> for Event {
    fn as_ref(&self) -> &str {
        &self.body
    }
}
