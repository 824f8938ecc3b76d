//! A walk over all letters of the queue, each seen once.

use std::collections::BTreeMap;
use std::time::Duration;

use aws::{CallError, MAX_ENTRIES, Message, Queue};
use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use super::summary::reason_of;

/// Which letters an operation is about; the default is all of them.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only those with this reason.
    pub reason: Option<String>,
    /// Only those with one of these message ids; none stands for any.
    pub ids: Vec<String>,
    /// Only those that were sent before this instant: a replay that a consumer answers at once
    /// with new letters would not end without it.
    pub sent_before: Option<DateTime<Utc>>,
    /// At most this many.
    pub limit: Option<usize>,
}

impl Filter {
    /// Whether the letter is meant, the limit apart.
    pub fn matches(&self, message: &Message) -> bool {
        self.reason
            .as_deref()
            .is_none_or(|reason| reason == reason_of(message))
            && (self.ids.is_empty() || self.ids.contains(&message.id))
            && self
                .sent_before
                .is_none_or(|instant| message.sent_at < instant)
    }

    /// Whether `found` letters are as many as there can be.
    pub fn is_satisfied(&self, found: usize) -> bool {
        self.limit.is_some_and(|limit| found >= limit)
            || (!self.ids.is_empty() && found >= self.ids.len())
    }

    /// Keeps the letters that are meant, within the limit; `found` were there before.
    pub(super) fn pick(&self, messages: Vec<Message>, found: usize) -> Vec<Message> {
        let room = self
            .limit
            .map_or(usize::MAX, |limit| limit - found.min(limit));
        messages
            .into_iter()
            .filter(|message| self.matches(message))
            .take(room)
            .collect()
    }
}

/// How long a receive waits: long enough that SQS asks all of its servers.
const WAIT: Duration = Duration::from_secs(1);

/// How long a letter is hidden at least and at most, should the walk break off.
const HIDDEN: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(900));

/// Time allowed for one receive when the length of the walk is estimated.
const PER_RECEIVE: Duration = Duration::from_millis(200);

/// A walk that is under way. End it with [`Sweep::close`], or its letters stay hidden.
pub(super) struct Sweep<'q> {
    queue: &'q Queue,
    hidden: Duration,
    /// Receipt handles of what was seen, by message id; empty once it is deleted.
    seen: BTreeMap<String, String>,
    stale: usize,
}

impl<'q> Sweep<'q> {
    /// Starts a walk; also gives about how many letters there are.
    pub(super) async fn open(queue: &'q Queue) -> Result<(Sweep<'q>, usize), CallError> {
        let depth = queue.depth().await?.total();
        // Hidden for as long as the walk takes, so that a receive brings what was not seen yet.
        let receives = u32::try_from(depth / MAX_ENTRIES as u64).unwrap_or(u32::MAX);
        let hidden = PER_RECEIVE
            .saturating_mul(receives)
            .clamp(HIDDEN.0, HIDDEN.1);
        let sweep = Sweep {
            queue,
            hidden: Duration::from_secs(hidden.as_secs()),
            seen: BTreeMap::new(),
            stale: 0,
        };
        Ok((sweep, usize::try_from(depth).unwrap_or(usize::MAX)))
    }

    /// The next letters, up to ten that were not seen before; none once all were seen, or `stop`.
    pub(super) async fn next(
        &mut self,
        stop: &CancellationToken,
    ) -> Result<Option<Vec<Message>>, CallError> {
        // Twice nothing but known ones: those hidden first come back already, the walk was slow
        // or others look too.
        while self.stale < 2 && !stop.is_cancelled() {
            let messages = self
                .queue
                .receive(MAX_ENTRIES, WAIT, Some(self.hidden))
                .await?;
            if messages.is_empty() {
                return Ok(None);
            }
            let mut fresh = Vec::with_capacity(messages.len());
            for message in messages {
                let handle = message.receipt_handle.clone();
                if self.seen.insert(message.id.clone(), handle).is_none() {
                    fresh.push(message);
                }
            }
            if !fresh.is_empty() {
                self.stale = 0;
                return Ok(Some(fresh));
            }
            self.stale += 1;
        }
        Ok(None)
    }

    /// How many letters were seen.
    pub(super) fn seen(&self) -> usize {
        self.seen.len()
    }

    /// Deletes letters that were seen; gives the errors of those that could not be.
    pub(super) async fn delete(&mut self, ids: &[String]) -> Vec<CallError> {
        let handles: Vec<String> = ids
            .iter()
            .filter_map(|id| self.seen.get(id).cloned())
            .collect();
        let mut failures = Vec::new();
        for (id, result) in ids.iter().zip(self.queue.delete(&handles).await) {
            match result {
                Ok(()) => {
                    // Still known, should it come once more; nothing to give back.
                    self.seen.insert(id.clone(), String::new());
                }
                Err(error) => failures.push(error),
            }
        }
        failures
    }

    /// Makes all that was seen and is still there visible again.
    pub(super) async fn close(self) {
        let handles: Vec<String> = self
            .seen
            .into_values()
            .filter(|handle| !handle.is_empty())
            .collect();
        // One that fails comes back by itself when its visibility timeout ends.
        self.queue.change_visibility(&handles, Duration::ZERO).await;
    }
}
