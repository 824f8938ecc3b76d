//! A walk over all letters of the queue, each seen once.

use std::collections::BTreeMap;
use std::time::Duration;

use aws::{CallError, MAX_ENTRIES, Message, Queue};
use tokio_util::sync::CancellationToken;

/// How long a receive waits: long enough that SQS asks all of its servers.
const WAIT: Duration = Duration::from_secs(1);

/// How long a letter is hidden at least and at most, should the walk break off.
const HIDDEN: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(900));

/// Time allowed for one receive when the length of the walk is estimated.
const PER_RECEIVE: Duration = Duration::from_millis(200);

/// A walk that is under way. End it with [`Sweep::close`], or its letters stay hidden.
pub(super) struct Sweep<'q> {
    queue: &'q Queue,
    stop: &'q CancellationToken,
    /// Letters in the queue when the walk began, approximately.
    pub(super) depth: usize,
    hidden: Duration,
    /// Receipt handles of the letters that were seen, by message id; empty once a letter is deleted.
    pub(super) seen: BTreeMap<String, String>,
    /// Receives in a row that brought only letters seen before.
    stale: usize,
    /// The receive that ended the walk.
    failure: Option<CallError>,
}

impl<'q> Sweep<'q> {
    pub(super) async fn open(
        queue: &'q Queue,
        stop: &'q CancellationToken,
    ) -> Result<Sweep<'q>, CallError> {
        let depth = queue.depth().await?.total();
        // Hidden for as long as the walk takes, so that a receive brings what was not seen yet.
        let receives = u32::try_from(depth / MAX_ENTRIES as u64).unwrap_or(u32::MAX);
        let hidden = PER_RECEIVE
            .saturating_mul(receives)
            .clamp(HIDDEN.0, HIDDEN.1);
        Ok(Sweep {
            queue,
            stop,
            depth: usize::try_from(depth).unwrap_or(usize::MAX),
            hidden: Duration::from_secs(hidden.as_secs()),
            seen: BTreeMap::new(),
            stale: 0,
            failure: None,
        })
    }

    /// The next letters, up to ten that were not seen before; `None` once all were seen, after
    /// `stop`, or after a receive that failed.
    pub(super) async fn next(&mut self) -> Option<Vec<Message>> {
        // Twice nothing but known letters: the first ones are visible again already, because the
        // walk was slow, or others look too.
        while self.stale < 2 && !self.stop.is_cancelled() {
            let received = self.queue.receive(MAX_ENTRIES, WAIT, Some(self.hidden));
            let messages = match received.await {
                Ok(messages) if messages.is_empty() => return None,
                Ok(messages) => messages,
                Err(failure) => {
                    self.failure = Some(failure);
                    return None;
                }
            };
            let mut fresh = Vec::with_capacity(messages.len());
            for message in messages {
                let handle = message.receipt_handle.clone();
                if self.seen.insert(message.id.clone(), handle).is_none() {
                    fresh.push(message);
                }
            }
            if !fresh.is_empty() {
                self.stale = 0;
                return Some(fresh);
            }
            self.stale += 1;
        }
        None
    }

    /// Deletes letters that were seen; gives the errors of those that could not be deleted.
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

    /// Makes all letters that were seen and are still there visible again.
    ///
    /// # Errors
    ///
    /// That of the receive that ended the walk, if one did.
    pub(super) async fn close(self) -> Result<(), CallError> {
        let handles: Vec<String> = self
            .seen
            .into_values()
            .filter(|handle| !handle.is_empty())
            .collect();
        // One that fails comes back by itself when its visibility timeout ends.
        self.queue.change_visibility(&handles, Duration::ZERO).await;
        self.failure.map_or(Ok(()), Err)
    }
}
