//! Messages come in; their events are posted to ingest; each message is told done once all of its events are accepted
//! or refused for good, and at no other time.

mod batch;
mod post;
mod refusals;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use contract::MAX_EVENT_BYTES;
use sender::{Client, ClientConfig};
use service::ready::Ready;
use service::supervise;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::batch::{Batches, Bounds};
use self::post::Poster;
use self::refusals::Refusals;
use crate::message::{Event, Message};
use crate::rules::{Arrival, Refused, Rules};

/// Most bytes of events in a post, below what ingest takes in one body.
const POST_BYTES: usize = 900_000;

/// How events are posted.
#[derive(Debug, Clone)]
pub(crate) struct DeliverSettings {
    /// Ingest, and how to get there; the kind is set for each kind.
    pub(crate) client: ClientConfig,
    /// Most events of a post.
    pub(crate) batch: usize,
    /// Longest time that an event waits for its post to fill.
    pub(crate) linger: Duration,
    /// Most posts under way.
    pub(crate) connections: usize,
}

/// Posts what comes, until `messages` ends or `stop`; then finishes what has come, without further retries.
pub(crate) struct Deliverer {
    rules: Arc<Rules>,
    /// The kinds; the place of one is its number.
    kinds: Vec<String>,
    posters: Vec<Arc<Poster>>,
    refusals: Arc<Refusals>,
    batches: Batches<Event>,
    permits: Arc<Semaphore>,
    posts: JoinSet<()>,
    stop: CancellationToken,
}

impl Deliverer {
    /// Makes a client for each kind; none connects yet.
    pub(crate) fn new(
        rules: Arc<Rules>,
        settings: &DeliverSettings,
        ready: &Ready,
        stop: &CancellationToken,
    ) -> anyhow::Result<Deliverer> {
        let kinds = rules.kinds();
        let refusals = Arc::new(Refusals::default());
        let failing = Arc::default();
        let mut posters = Vec::new();
        for kind in &kinds {
            let config = ClientConfig {
                kind: Some(kind.clone()),
                ..settings.client.clone()
            };
            let client = Client::new(&config).context("cannot post to ingest")?;
            posters.push(Arc::new(Poster {
                kind: kind.clone(),
                client: client.stopped_by(stop.clone()),
                refusals: Arc::clone(&refusals),
                failing: Arc::clone(&failing),
                ready: ready.clone(),
                stop: stop.clone(),
            }));
        }
        Ok(Deliverer {
            rules,
            kinds,
            posters,
            refusals,
            batches: Batches::new(Bounds {
                events: settings.batch,
                bytes: POST_BYTES.max(MAX_EVENT_BYTES),
                linger: settings.linger,
            }),
            permits: Arc::new(Semaphore::new(settings.connections)),
            posts: JoinSet::new(),
            stop: stop.clone(),
        })
    }

    pub(crate) async fn run(
        mut self,
        mut messages: mpsc::UnboundedReceiver<Message>,
    ) -> anyhow::Result<()> {
        let stop = self.stop.clone();
        while !stop.is_cancelled() {
            let due = self.batches.due();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    while let Some((kind, events)) = self.batches.take_due(Instant::now()) {
                        self.post(kind, events).await?;
                    }
                }
                message = messages.recv() => match message {
                    Some(message) => self.take(message).await?,
                    None => break,
                },
            }
        }
        messages.close();
        while let Some(message) = messages.recv().await {
            self.take(message).await?;
        }
        while let Some((kind, events)) = self.batches.take_any() {
            self.post(kind, events).await?;
        }
        while let Some(ended) = self.posts.join_next().await {
            supervise::joined("post", ended)?;
        }
        Ok(())
    }

    /// Makes events of a message and posts the batches that they fill.
    async fn take(&mut self, message: Message) -> anyhow::Result<()> {
        let rules = Arc::clone(&self.rules);
        let Message {
            topic,
            payload,
            arrived,
            receipt,
        } = message;
        let Some((rule, fields)) = rules.rule(&topic) else {
            let refused = Refused::new("no_rule", "no rule takes this topic");
            self.refusals.message(&topic, &payload, &refused);
            receipt.done();
            return Ok(());
        };
        let made = rule.events(&Arrival {
            topic: &topic,
            fields: &fields,
            payload: &payload,
            at: arrived,
        });
        let mut bodies = Vec::with_capacity(made.len());
        for event in made {
            match event {
                Ok(body) => bodies.push(body),
                Err(refused) => self.refusals.message(&topic, &payload, &refused),
            }
        }
        let kind = self.kinds.iter().position(|kind| *kind == rule.kind);
        let kind = kind.context("a rule has a kind that is none of the rules' kinds")?;
        let message = receipt.shared(bodies.len());
        for body in bodies {
            let event = Event {
                body,
                message: Arc::clone(&message),
            };
            if let Some(events) = self.batches.add(kind, event, Instant::now()) {
                self.post(kind, events).await?;
            }
        }
        Ok(())
    }

    /// Posts as soon as a connection is free: while there is none, messages wait, and with them the broker.
    async fn post(&mut self, kind: usize, events: Vec<Event>) -> anyhow::Result<()> {
        let permit = Arc::clone(&self.permits).acquire_owned().await?;
        let poster = Arc::clone(&self.posters[kind]);
        self.posts.spawn(async move {
            poster.post(events).await;
            drop(permit);
        });
        while let Some(ended) = self.posts.try_join_next() {
            supervise::joined("post", ended)?;
        }
        Ok(())
    }
}
