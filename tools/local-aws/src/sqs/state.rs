//! All queues, and the changes that requests make to them.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::attributes::Settings;
use super::error::SqsError;
use super::journal::{Change, Journal};
use super::message::{Content, Message};
use super::names::name_in_arn;
use super::queue::Queue;
use crate::wall_clock::Moment;

/// The queues, behind one lock. Every change goes through [`State::commit`].
#[derive(Debug)]
pub(crate) struct State {
    queues: BTreeMap<String, Queue>,
    journal: Option<Journal>,
    next_seq: u64,
    rng: StdRng,
}

impl State {
    pub(crate) fn in_memory(seed: Option<u64>) -> Self {
        Self {
            queues: BTreeMap::new(),
            journal: None,
            next_seq: 1,
            rng: seed.map_or_else(|| rand::make_rng(), StdRng::seed_from_u64),
        }
    }

    /// The state that the journal at `path` describes. Changes go to the journal from now on.
    pub(crate) fn open(path: &Path, seed: Option<u64>, now: Moment) -> io::Result<Self> {
        let mut state = Self::in_memory(seed);
        Journal::load(path, |change| state.apply(change))?;
        for queue in state.queues.values_mut() {
            queue.tick(now);
        }
        state.journal = Some(Journal::rewrite(path, state.snapshot())?);
        Ok(state)
    }

    /// The shortest list of changes that gives the present state.
    fn snapshot(&self) -> impl Iterator<Item = Change> {
        self.queues.values().flat_map(|queue| {
            let created = std::iter::once(Change::Queue {
                name: queue.name.clone(),
                region: queue.region.clone(),
                created: queue.created,
                modified: queue.modified,
                attributes: queue.attributes.clone(),
            });
            created.chain(queue.all().map(|message| Change::Arrived {
                queue: queue.name.clone(),
                message: message.clone(),
            }))
        })
    }

    /// Writes changes to the journal, then applies them.
    pub(crate) fn commit(&mut self, changes: Vec<Change>) -> Result<(), SqsError> {
        if let Some(journal) = &mut self.journal
            && !changes.is_empty()
        {
            journal.append(&changes).map_err(|error| {
                tracing::error!(event = "journal_failed", %error, "cannot write the queues' journal");
                SqsError::internal(format!("cannot write the journal: {error}"))
            })?;
        }
        for change in changes {
            self.apply(change);
        }
        self.shorten_journal();
        Ok(())
    }

    fn shorten_journal(&mut self) {
        let Some(journal) = &mut self.journal else {
            return;
        };
        let queues = self.queues.values();
        let needed = || queues.flat_map(Queue::all).map(Message::journal_size).sum();
        if !journal.is_overgrown(needed) {
            return;
        }
        let path = journal.path().to_owned();
        match Journal::rewrite(&path, self.snapshot()) {
            Ok(journal) => self.journal = Some(journal),
            Err(error) => tracing::warn!(
                event = "journal_rewrite_failed", %error,
                "cannot shorten the queues' journal, it goes on growing"
            ),
        }
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Queue {
                name,
                region,
                created,
                modified,
                attributes,
            } => {
                let new = || Queue::new(name.clone(), region, created);
                let queue = self.queues.entry(name.clone()).or_insert_with(new);
                queue.modified = modified;
                queue.settings = Settings::read(&attributes);
                queue.attributes = attributes;
            }
            Change::QueueDeleted { queue } => {
                if let Some(queue) = self.queues.remove(&queue) {
                    queue.changed.notify_waiters();
                }
            }
            Change::Purged { queue } => self.alter(&queue, Queue::clear),
            Change::Arrived { queue, message } => {
                self.next_seq = self.next_seq.max(message.seq + 1);
                self.alter(&queue, |queue| queue.insert(message));
            }
            Change::Received {
                queue,
                seq,
                count,
                at,
                visible_at,
            } => self.alter(&queue, |queue| queue.received(seq, count, at, visible_at)),
            Change::Hidden {
                queue,
                seq,
                visible_at,
            } => self.alter(&queue, |queue| queue.hide(seq, visible_at)),
            Change::Removed { queue, seq } => self.alter(&queue, |queue| queue.remove(seq)),
        }
    }

    fn alter(&mut self, name: &str, change: impl FnOnce(&mut Queue)) {
        if let Some(queue) = self.queues.get_mut(name) {
            change(queue);
        }
    }

    pub(crate) fn queues(&self) -> impl Iterator<Item = &Queue> {
        self.queues.values()
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Queue> {
        self.queues.get(name)
    }

    pub(crate) fn by_arn(&self, arn: &str) -> Option<&Queue> {
        self.queues.get(name_in_arn(arn)?)
    }

    /// A queue after [`Queue::tick`] to `now`.
    pub(crate) fn queue(&mut self, name: &str, now: Moment) -> Result<&mut Queue, SqsError> {
        let queue = self
            .queues
            .get_mut(name)
            .ok_or_else(SqsError::queue_does_not_exist)?;
        queue.tick(now);
        Ok(queue)
    }

    /// The change that replaces a queue's attributes.
    pub(crate) fn altered(
        queue: &Queue,
        attributes: BTreeMap<String, String>,
        now: Moment,
    ) -> Change {
        Change::Queue {
            name: queue.name.clone(),
            region: queue.region.clone(),
            created: queue.created,
            modified: now,
            attributes,
        }
    }

    /// The change that adds a new message to a queue, and the message's id.
    pub(crate) fn arrival(
        &mut self,
        queue: &str,
        content: Arc<Content>,
        delay: Duration,
        now: Moment,
    ) -> (Change, String) {
        let id = uuid::Builder::from_random_bytes(self.rng.random())
            .into_uuid()
            .to_string();
        let message = Message {
            seq: self.next_seq,
            id: id.clone(),
            content,
            sent: now,
            first_received: None,
            receive_count: 0,
            visible_at: now + delay,
            dead_letter_source: None,
        };
        self.next_seq += 1;
        let change = Change::Arrived {
            queue: queue.to_owned(),
            message,
        };
        (change, id)
    }
}
