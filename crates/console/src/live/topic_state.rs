//! What is known of one topic, and how it comes to be known.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use serde_json::Value;
use tokio::time::Instant;

use super::message::{self, Sent};
use super::outbox::Wait;
use super::table::{ClientId, Observed, Table, TopicId};
use super::topic::Topic;

/// What is known of a topic that is no series.
#[derive(Debug, PartialEq)]
pub(super) enum State {
    Value(Value),
    /// Code and words of why there is none.
    Failure(String, String),
}

#[derive(Debug)]
pub(super) struct TopicState {
    pub(super) topic: Arc<Topic>,
    pub(super) newest: Option<Sent>,
    /// The event time of the newest value of a series.
    pub(super) time: Option<i64>,
    /// What the newest message of another topic tells.
    pub(super) state: Option<Box<State>>,
    pub(super) clients: HashSet<ClientId>,
    /// Every message after this number is in the history, or was.
    pub(super) tracked_since: u64,
    /// Since when nobody asks for it.
    pub(super) idle_since: Option<Instant>,
}

impl Table {
    /// A topic has no answer now: its clients are told so, once for each reason.
    pub(crate) fn tell_failure(&mut self, topic: &Topic, at: i64, code: &str, words: &str) {
        let failure = Some(Box::new(State::Failure(code.to_owned(), words.to_owned())));
        let id = self.ids.get(topic);
        let Some(state) = id.and_then(|id| self.topics.get_mut(id)) else {
            return;
        };
        if state.state == failure {
            return;
        }
        state.state = failure;
        let of = serde_json::to_value(topic).unwrap_or_default();
        let clients: Vec<_> = state.clients.iter().copied().collect();
        for client in clients {
            self.tell_error(client, at, code, words, &of);
        }
    }

    /// The state of a topic that is no series; it is published if it is another than before.
    pub(crate) fn publish(&mut self, topic: &Topic, at: i64, value: Value) {
        let Some(id) = self.ids.get(topic).copied() else {
            return;
        };
        let Some(state) = self.topics.get_mut(&id) else {
            return;
        };
        let is_known =
            matches!(state.state.as_deref(), Some(State::Value(known)) if *known == value);
        if !is_known {
            let text = message::state(self.seq + 1, at, topic, &value);
            state.state = Some(Box::new(State::Value(value)));
            self.publish_text(id, text);
        }
    }

    /// A value of a series, which is published unless it is older than the one that was. Of values of one time, the one
    /// that came last is shown.
    pub(crate) fn observe(&mut self, id: TopicId, at: i64, observed: &Observed) -> bool {
        let Some(state) = self.topics.get_mut(&id) else {
            return false;
        };
        let Topic::Series(series) = &*state.topic else {
            return false;
        };
        if state.time.is_some_and(|time| observed.time < time) {
            metrics::counter!("headwater_live_late_values_total").increment(1);
            return false;
        }
        state.time = Some(observed.time);
        let millis = observed.time.div_euclid(1000);
        let text = message::series(self.seq + 1, at, series, millis, &observed.value);
        self.publish_text(id, text);
        true
    }

    /// As [`observe`](Table::observe), for a series of which nothing is known yet.
    pub(crate) fn look_up(&mut self, id: TopicId, at: i64, observed: &Observed) {
        let is_known = |state: &TopicState| state.time.is_some_and(|time| time >= observed.time);
        if !self.topics.get(&id).is_some_and(is_known) {
            self.observe(id, at, observed);
        }
    }

    fn publish_text(&mut self, id: TopicId, text: Utf8Bytes) {
        let Some(state) = self.topics.get_mut(&id) else {
            return;
        };
        self.seq += 1;
        // A first value is what those who ask already wait for, as a snapshot.
        let is_first = state.newest.is_none();
        state.newest = Some(Sent {
            seq: self.seq,
            text: text.clone(),
        });
        self.history.add(self.seq, id, text);
        let mut replaced = 0;
        for client in &state.clients {
            if let Some(outbox) = self.clients.get_mut(client) {
                let wait = if is_first {
                    Wait::Snapshot
                } else {
                    Wait::Newest
                };
                replaced += u64::from(!outbox.mark(id, wait));
                outbox.wake.notify_one();
            }
        }
        if replaced > 0 {
            metrics::counter!("headwater_live_coalesced_total").increment(replaced);
        }
    }
}
