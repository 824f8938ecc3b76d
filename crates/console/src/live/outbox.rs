//! What one client has yet to be sent: the topics that have a newer message for it, and not the messages, of which only
//! the newest counts.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use tokio::sync::Notify;

use super::message::Sent;
use super::table::TopicId;

/// What one client has yet to be sent.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) topics: HashMap<TopicId, Wait>,
    /// Topics that do wait.
    pub(super) waiting: Vec<TopicId>,
    /// Sent before them, in this order.
    direct: Vec<Sent>,
    direct_bytes: usize,
    pub(super) wake: Arc<Notify>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    No,
    /// For the newest message.
    Newest,
    /// For the newest message, as the first of this topic.
    Snapshot,
}

impl Outbox {
    pub(super) fn new(wake: Arc<Notify>) -> Outbox {
        Outbox {
            topics: HashMap::new(),
            waiting: Vec::new(),
            direct: Vec::new(),
            direct_bytes: 0,
            wake,
        }
    }

    /// The messages that no newer one replaces.
    pub(super) fn take_direct(&mut self) -> Vec<Sent> {
        self.direct_bytes = 0;
        std::mem::take(&mut self.direct)
    }

    /// Adds a message that no newer one replaces; past `most` bytes it is left out.
    pub(super) fn push(&mut self, seq: u64, text: Utf8Bytes, most: usize) {
        if self.direct_bytes + text.len() > most {
            metrics::counter!("headwater_live_left_out_total").increment(1);
            return;
        }
        self.direct_bytes += text.len();
        self.direct.push(Sent { seq, text });
        self.wake.notify_one();
    }

    pub(super) fn fits(&self, more: &[Sent], most: usize) -> bool {
        let bytes: usize = more.iter().map(|sent| sent.text.len()).sum();
        self.direct_bytes + bytes <= most
    }

    /// Says that a topic has a message for the client; false where one waits already, whose place it takes.
    pub(super) fn mark(&mut self, id: TopicId, wait: Wait) -> bool {
        let Some(state) = self.topics.get_mut(&id) else {
            return true;
        };
        if *state == Wait::No {
            *state = wait;
            self.waiting.push(id);
            return true;
        }
        if wait == Wait::Snapshot {
            *state = wait;
        }
        false
    }
}
