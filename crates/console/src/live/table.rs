//! All topics, who asks for them, and what each client has yet to be sent. Nothing here waits or calls anybody.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::history::{History, KEPT};
use super::message::{self, Sent};
use super::outbox::{Outbox, Wait};
use super::series_index::SeriesIndex;
use super::since::Since;
use super::topic::Topic;
use super::topic_state::{State, TopicState};

/// Numbers of topics; none is given twice.
pub(crate) type TopicId = u64;
/// Numbers of clients; none is given twice.
pub(crate) type ClientId = u64;

/// Code and words of why a topic is not taken, and the topic.
type Refused = (&'static str, String, Topic);

/// The bounds of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) clients: u32,
    /// Topics of one client.
    pub(crate) topics: usize,
    /// Topics of all clients.
    pub(crate) all_topics: usize,
    /// Bytes that wait for one client beside the newest message of each topic.
    pub(crate) outbox: usize,
    pub(crate) history: usize,
}

/// A value of a series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Observed {
    /// Event time in microseconds since 1970.
    pub(crate) time: i64,
    pub(crate) value: Value,
}

/// All topics and clients.
#[derive(Debug)]
pub(crate) struct Table {
    bounds: Bounds,
    boot: String,
    pub(super) seq: u64,
    last_topic: TopicId,
    last_client: ClientId,
    pub(super) ids: HashMap<Arc<Topic>, TopicId>,
    pub(super) topics: HashMap<TopicId, TopicState>,
    series: SeriesIndex,
    pub(super) clients: HashMap<ClientId, Outbox>,
    pub(super) history: History,
    /// Series that nobody has looked up yet.
    unknown: Vec<TopicId>,
}

impl Table {
    pub(crate) fn new(boot: String, bounds: Bounds) -> Table {
        Table {
            history: History::new(bounds.history),
            bounds,
            boot,
            seq: 0,
            last_topic: 0,
            last_client: 0,
            ids: HashMap::new(),
            topics: HashMap::new(),
            series: SeriesIndex::default(),
            clients: HashMap::new(),
            unknown: Vec::new(),
        }
    }

    pub(crate) fn boot(&self) -> &str {
        &self.boot
    }

    pub(crate) fn clients(&self) -> usize {
        self.clients.len()
    }

    pub(crate) fn topics(&self) -> usize {
        self.topics.len()
    }

    /// Whether somebody asks for something, or did a minute ago.
    pub(crate) fn is_followed(&self) -> bool {
        !self.topics.is_empty()
    }

    /// Lets a client in, and greets it; `wake` is told when something waits for it. None where all places are taken.
    pub(crate) fn enter(&mut self, at: i64, wake: Arc<Notify>) -> Option<ClientId> {
        if self.clients.len() >= self.bounds.clients as usize {
            return None;
        }
        self.last_client += 1;
        let mut outbox = Outbox::new(wake);
        outbox.push(
            self.seq,
            message::hello(self.seq, at, &self.boot),
            usize::MAX,
        );
        self.clients.insert(self.last_client, outbox);
        Some(self.last_client)
    }

    /// Lets a client go.
    pub(crate) fn leave(&mut self, client: ClientId) {
        let Some(outbox) = self.clients.remove(&client) else {
            return;
        };
        for topic in outbox.topics.into_keys() {
            self.release(client, topic);
        }
    }

    /// Gives these topics to a client, with the newest message of each; or, where `since` tells what it was sent
    /// before, with what came after that. Topics that it has already are sent again.
    pub(crate) fn subscribe(
        &mut self,
        client: ClientId,
        topics: Vec<Topic>,
        since: Option<&Since>,
        at: i64,
    ) {
        let mut taken = Vec::with_capacity(topics.len());
        for topic in topics {
            match self.take(client, topic) {
                Ok(id) => taken.push(id),
                Err(refused) => {
                    let (code, words, topic) = *refused;
                    let of = serde_json::to_value(&topic).unwrap_or_default();
                    self.tell_error(client, at, code, &words, &of);
                }
            }
        }
        let now = self.seq;
        let missed = since.and_then(|since| {
            let (number, is_other) = since.number(&self.boot, now);
            let is_kept = |id: &TopicId| {
                let state = self.topics.get(id);
                state.is_some_and(|state| state.tracked_since <= number)
            };
            let wanted: HashSet<TopicId> = taken.iter().copied().collect();
            let missed = (!is_other && taken.iter().all(is_kept))
                .then(|| self.history.after(number, |id| wanted.contains(&id)))
                .flatten()
                .map(Iterator::collect::<Vec<_>>);
            Some((number, missed))
        });
        for id in &taken {
            let Some(state) = self.topics.get(id) else {
                continue;
            };
            if let Some(State::Failure(code, words)) = state.state.as_deref() {
                let of = serde_json::to_value(&*state.topic).unwrap_or_default();
                let text = message::error(now, at, code, words, &of);
                if let Some(outbox) = self.clients.get_mut(&client) {
                    outbox.push(now, text, self.bounds.outbox);
                }
            }
        }
        let Some(outbox) = self.clients.get_mut(&client) else {
            return;
        };
        match missed {
            Some((_, Some(missed))) if outbox.fits(&missed, self.bounds.outbox) => {
                for sent in missed {
                    outbox.push(sent.seq, sent.text, usize::MAX);
                }
                return;
            }
            Some((number, _)) => {
                metrics::counter!("headwater_live_gaps_total").increment(1);
                let from = if number < now { number + 1 } else { 0 };
                outbox.push(now, message::gap(now, at, from), usize::MAX);
            }
            None => {}
        }
        for id in taken {
            if self
                .topics
                .get(&id)
                .is_some_and(|state| state.newest.is_some())
            {
                outbox.mark(id, Wait::Snapshot);
            }
        }
        outbox.wake.notify_one();
    }

    /// Takes these topics from a client.
    pub(crate) fn unsubscribe(&mut self, client: ClientId, topics: &[Topic]) {
        for topic in topics {
            let Some(id) = self.ids.get(topic).copied() else {
                continue;
            };
            let outbox = self.clients.get_mut(&client);
            if outbox.is_some_and(|outbox| outbox.topics.remove(&id).is_some()) {
                self.release(client, id);
            }
        }
    }

    /// Tells one client that something of what it sent has no answer.
    pub(crate) fn tell_error(
        &mut self,
        client: ClientId,
        at: i64,
        code: &str,
        words: &str,
        of: &Value,
    ) {
        let text = message::error(self.seq, at, code, words, of);
        if let Some(outbox) = self.clients.get_mut(&client) {
            outbox.push(self.seq, text, self.bounds.outbox);
        }
    }

    /// What a client has yet to be sent, in the order of numbers; afterwards nothing waits for it.
    pub(crate) fn drain(&mut self, client: ClientId) -> Vec<Sent> {
        let Some(outbox) = self.clients.get_mut(&client) else {
            return Vec::new();
        };
        let mut all = outbox.take_direct();
        let first = all.len();
        let waiting = std::mem::take(&mut outbox.waiting);
        all.reserve_exact(waiting.len());
        for id in waiting {
            let Some(wait) = outbox.topics.get_mut(&id) else {
                continue;
            };
            let newest = self.topics.get(&id).and_then(|state| state.newest.as_ref());
            if let Some(sent) = newest {
                let text = match wait {
                    Wait::No => continue,
                    Wait::Newest => sent.text.clone(),
                    Wait::Snapshot => message::as_snapshot(&sent.text),
                };
                all.push(Sent {
                    seq: sent.seq,
                    text,
                });
            }
            *wait = Wait::No;
        }
        all[first..].sort_unstable_by_key(|sent| sent.seq);
        all
    }

    /// Forgets topics for which nobody has asked for a minute, and old messages.
    pub(crate) fn expire(&mut self) {
        self.history.expire();
        let is_over = |state: &TopicState| {
            state
                .idle_since
                .is_some_and(|since| since.elapsed() >= KEPT)
        };
        let over = self.topics.iter().filter(|(_, state)| is_over(state));
        let over: Vec<TopicId> = over.map(|(id, _)| *id).collect();
        for id in over {
            self.forget(id);
        }
        if self.topics.is_empty() {
            self.topics.shrink_to_fit();
            self.ids.shrink_to_fit();
        }
    }

    /// The series that were asked for since the last call, each with its number.
    pub(crate) fn take_unknown(&mut self) -> Vec<(TopicId, Arc<Topic>)> {
        let unknown = std::mem::take(&mut self.unknown).into_iter();
        let known = unknown.filter_map(|id| Some((id, self.topics.get(&id)?.topic.clone())));
        known.collect()
    }

    /// All series, to be looked up again: some of their values were missed.
    pub(crate) fn forget_values(&mut self) {
        let series = self
            .topics
            .iter()
            .filter(|(_, state)| matches!(*state.topic, Topic::Series(_)));
        self.unknown = series.map(|(id, _)| *id).collect();
    }

    pub(crate) fn has_unknown(&self) -> bool {
        !self.unknown.is_empty()
    }

    /// The kinds of which series are asked for, each with their signals.
    pub(crate) fn signals(&self) -> Vec<(Box<str>, Vec<String>)> {
        self.series.signals()
    }

    /// Whether a series has a value, or nobody asks for it any more.
    pub(crate) fn is_known(&self, id: TopicId) -> bool {
        self.topics
            .get(&id)
            .is_none_or(|state| state.newest.is_some())
    }

    /// The number of a series, where somebody asks for it.
    pub(crate) fn series(&self, kind: &str, signal: &str, entity: &str) -> Option<TopicId> {
        self.series.get(kind, signal, entity)
    }

    /// Whether somebody asks for a topic now.
    pub(crate) fn is_asked(&self, topic: &Topic) -> bool {
        let state = self.ids.get(topic).and_then(|id| self.topics.get(id));
        state.is_some_and(|state| !state.clients.is_empty())
    }

    /// The topics that are no series and that somebody asks for now.
    pub(crate) fn asked(&self) -> Vec<Arc<Topic>> {
        let others = self
            .topics
            .values()
            .filter(|state| !matches!(*state.topic, Topic::Series(_)));
        let asked = others.filter(|state| !state.clients.is_empty());
        asked.map(|state| state.topic.clone()).collect()
    }

    fn take(&mut self, client: ClientId, topic: Topic) -> Result<TopicId, Box<Refused>> {
        let bounds = self.bounds;
        let Some(outbox) = self.clients.get_mut(&client) else {
            return Err(Box::new(("gone", "the client has left".into(), topic)));
        };
        let known = self.ids.get(&topic).copied();
        if known.is_some_and(|id| outbox.topics.contains_key(&id)) {
            return Ok(known.unwrap_or_default());
        }
        if outbox.topics.len() >= bounds.topics {
            let words = format!(
                "a client has at most {} topics (LIVE_MAX_TOPICS)",
                bounds.topics
            );
            return Err(Box::new(("too_many_topics", words, topic)));
        }
        let id = match known {
            Some(id) => id,
            None if self.topics.len() < bounds.all_topics => self.begin(topic),
            None => {
                let most = bounds.all_topics;
                let words =
                    format!("all clients have {most} topics together (LIVE_MAX_ALL_TOPICS)");
                return Err(Box::new(("too_many_topics", words, topic)));
            }
        };
        if let Some(outbox) = self.clients.get_mut(&client) {
            outbox.topics.insert(id, Wait::No);
        }
        if let Some(state) = self.topics.get_mut(&id) {
            state.clients.insert(client);
            state.idle_since = None;
        }
        Ok(id)
    }

    fn begin(&mut self, topic: Topic) -> TopicId {
        self.last_topic += 1;
        let id = self.last_topic;
        if let Topic::Series(series) = &topic {
            self.series.insert(series, id);
            self.unknown.push(id);
        }
        let topic = Arc::new(topic);
        self.ids.insert(topic.clone(), id);
        let state = TopicState {
            topic,
            newest: None,
            time: None,
            state: None,
            clients: HashSet::new(),
            tracked_since: self.seq,
            idle_since: None,
        };
        self.topics.insert(id, state);
        id
    }

    fn release(&mut self, client: ClientId, id: TopicId) {
        if let Some(state) = self.topics.get_mut(&id) {
            state.clients.remove(&client);
            if state.clients.is_empty() {
                state.idle_since = Some(Instant::now());
            }
        }
    }

    fn forget(&mut self, id: TopicId) {
        let Some(state) = self.topics.remove(&id) else {
            return;
        };
        self.ids.remove(&state.topic);
        if let Topic::Series(series) = &*state.topic {
            self.series.remove(series);
        }
    }
}
