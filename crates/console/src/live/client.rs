//! One client of the live stream: what it says, and what it is to be sent.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::hub::Hub;
use super::message::Sent;
use super::since::Since;
use super::table::ClientId;
use super::topic::Topic;

/// Least time between two batches for a client: ten messages of a topic in a second at most.
const PACE: Duration = Duration::from_millis(100);

/// A client; it leaves when this is dropped.
#[derive(Debug)]
pub(crate) struct Client {
    hub: Arc<Hub>,
    id: ClientId,
    pub(crate) boot: String,
    wake: Arc<Notify>,
    next: Instant,
}

impl Client {
    pub(super) fn new(hub: Arc<Hub>, id: ClientId, boot: String, wake: Arc<Notify>) -> Client {
        Client {
            hub,
            id,
            boot,
            wake,
            next: Instant::now(),
        }
    }

    /// What waits for the client, as soon as something does, in batches. May be dropped at any point.
    pub(crate) async fn next(&mut self) -> Vec<Sent> {
        loop {
            sleep_until(self.next).await;
            let batch = self.hub.table().drain(self.id);
            if !batch.is_empty() {
                self.next = Instant::now() + PACE;
                metrics::counter!("headwater_live_messages_total").increment(batch.len() as u64);
                return batch;
            }
            // A permit is kept for whoever was not waiting when it was told.
            self.wake.notified().await;
        }
    }

    /// Takes a message of the client: `{"subscribe":[…],"unsubscribe":[…],"since":…}`.
    pub(crate) fn take(&self, text: &str) {
        let sent: Value = match serde_json::from_str(text) {
            Ok(sent @ Value::Object(_)) => sent,
            Ok(_) => return self.refuse("invalid_message", "send a JSON object", &Value::Null),
            Err(error) => {
                let words = format!("send a JSON object: {error}");
                return self.refuse("invalid_message", &words, &Value::Null);
            }
        };
        let since = sent.get("since").and_then(Since::of_json);
        let unsubscribe = self.topics(sent.get("unsubscribe"));
        if !unsubscribe.is_empty() {
            self.hub.table().unsubscribe(self.id, &unsubscribe);
        }
        let subscribe = self.topics(sent.get("subscribe"));
        self.subscribe(subscribe, since.as_ref());
    }

    /// Subscribes to a JSON list of topics.
    pub(crate) fn take_list(&self, list: Option<&Value>, since: Option<&Since>) {
        self.subscribe(self.topics(list), since);
    }

    fn subscribe(&self, topics: Vec<Topic>, since: Option<&Since>) {
        if !topics.is_empty() {
            let at = self.hub.now();
            self.hub.table().subscribe(self.id, topics, since, at);
        }
        self.hub.look();
    }

    /// The topics of a list; the client is told which are none.
    fn topics(&self, list: Option<&Value>) -> Vec<Topic> {
        let list = match list {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Array(list)) => list,
            Some(other) => {
                self.refuse("invalid_message", "send a list of topics", other);
                return Vec::new();
            }
        };
        let parse = |sent: &Value| match Topic::parse(sent) {
            Ok(topic) => Some(topic),
            Err(words) => {
                self.refuse("invalid_topic", &words, sent);
                None
            }
        };
        list.iter().filter_map(parse).collect()
    }

    /// Tells the client that something it sent has no answer.
    pub(crate) fn refuse(&self, code: &str, words: &str, of: &Value) {
        let at = self.hub.now();
        self.hub.table().tell_error(self.id, at, code, words, of);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let clients = {
            let mut table = self.hub.table();
            table.leave(self.id);
            table.clients()
        };
        metrics::gauge!("headwater_live_clients").set(clients as f64);
        self.hub.look();
    }
}
