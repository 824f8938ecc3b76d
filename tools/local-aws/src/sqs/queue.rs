//! One queue: which messages are there, which are hidden, and for how long.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::attributes::Settings;
use super::message::Message;
use super::names::arn;
use crate::wall_clock::Moment;

/// How many messages a queue holds, by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Ready to be received.
    pub visible: usize,
    /// Received, not deleted, not visible again yet.
    pub in_flight: usize,
    /// Sent with a delay that has not passed.
    pub delayed: usize,
}

#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) name: String,
    pub(crate) region: String,
    pub(crate) created: Moment,
    pub(crate) modified: Moment,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) settings: Settings,
    /// Wakes long polls: a message arrived, or becomes visible at another time.
    pub(crate) changed: Arc<Notify>,
    messages: BTreeMap<u64, Message>,
    /// Visible messages, oldest first.
    ready: BTreeSet<u64>,
    /// Delayed and in-flight messages by the moment they become visible.
    hidden: BTreeSet<(Moment, u64)>,
    /// All messages by the moment they were sent.
    by_age: BTreeSet<(Moment, u64)>,
}

impl Queue {
    pub(crate) fn new(name: String, region: String, created: Moment) -> Self {
        Self {
            name,
            region,
            created,
            modified: created,
            attributes: BTreeMap::new(),
            settings: Settings::default(),
            changed: Arc::default(),
            messages: BTreeMap::new(),
            ready: BTreeSet::new(),
            hidden: BTreeSet::new(),
            by_age: BTreeSet::new(),
        }
    }

    pub(crate) fn arn(&self) -> String {
        arn(&self.region, &self.name)
    }

    /// Makes messages visible whose timeout has ended, and drops those past their retention.
    pub(crate) fn tick(&mut self, now: Moment) {
        while let Some(&(at, seq)) = self.hidden.first()
            && at <= now
        {
            self.hidden.pop_first();
            self.ready.insert(seq);
        }
        while let Some(&(sent, seq)) = self.by_age.first()
            && sent + self.settings.retention <= now
        {
            self.remove(seq);
        }
    }

    /// When the next hidden message becomes visible.
    pub(crate) fn next_visible(&self) -> Option<Moment> {
        self.hidden.first().map(|(at, _)| *at)
    }

    pub(crate) fn insert(&mut self, message: Message) {
        self.hidden.insert((message.visible_at, message.seq));
        self.by_age.insert((message.sent, message.seq));
        self.messages.insert(message.seq, message);
        self.changed.notify_waiters();
    }

    pub(crate) fn remove(&mut self, seq: u64) {
        if let Some(message) = self.messages.remove(&seq) {
            self.ready.remove(&seq);
            self.hidden.remove(&(message.visible_at, seq));
            self.by_age.remove(&(message.sent, seq));
        }
    }

    pub(crate) fn clear(&mut self) {
        self.messages.clear();
        self.ready.clear();
        self.hidden.clear();
        self.by_age.clear();
    }

    /// Hides a message until `visible_at`, which may be now.
    pub(crate) fn hide(&mut self, seq: u64, visible_at: Moment) {
        if let Some(message) = self.messages.get_mut(&seq) {
            self.ready.remove(&seq);
            self.hidden.remove(&(message.visible_at, seq));
            message.visible_at = visible_at;
            self.hidden.insert((visible_at, seq));
            self.changed.notify_waiters();
        }
    }

    /// Records the delivery number `count` of a message and hides it.
    pub(crate) fn received(&mut self, seq: u64, count: u32, at: Moment, visible_at: Moment) {
        if let Some(message) = self.messages.get_mut(&seq) {
            message.receive_count = count;
            message.first_received.get_or_insert(at);
        }
        self.hide(seq, visible_at);
    }

    pub(crate) fn get(&self, seq: u64) -> Option<&Message> {
        self.messages.get(&seq)
    }

    /// Visible messages, oldest first.
    pub(crate) fn visible(&self) -> impl Iterator<Item = &Message> {
        self.ready.iter().filter_map(|seq| self.messages.get(seq))
    }

    /// All messages, in the order of their arrival.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Message> {
        self.messages.values()
    }

    pub(crate) fn is_in_flight(&self, message: &Message) -> bool {
        message.receive_count > 0 && !self.ready.contains(&message.seq)
    }

    /// Messages in flight, in the order in which they become visible.
    pub(crate) fn in_flight(&self) -> impl Iterator<Item = &Message> {
        let hidden = self
            .hidden
            .iter()
            .filter_map(|(_, seq)| self.messages.get(seq));
        hidden.filter(|message| message.receive_count > 0)
    }

    pub(crate) fn counts(&self) -> QueueCounts {
        let in_flight = self.in_flight().count();
        QueueCounts {
            visible: self.ready.len(),
            in_flight,
            delayed: self.hidden.len() - in_flight,
        }
    }

    /// The number of delayed and in-flight messages, in constant time.
    pub(crate) fn counts_hidden(&self) -> usize {
        self.hidden.len()
    }

    pub(crate) fn visibility(&self) -> Duration {
        self.settings.visibility
    }
}
