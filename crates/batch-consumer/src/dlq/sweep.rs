//! A walk over all letters of the queue, each seen once.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use aws::{CallError, MAX_ENTRIES, Message, Queue};
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::xxh3_128;

use crate::receive::give_back::give_back;

/// How long a receive waits: long enough that SQS asks all of its servers.
const WAIT: Duration = Duration::from_secs(1);

/// How long a letter is hidden at least and at most, should the walk break off.
const HIDDEN: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(3600));

/// Time allowed for one receive when the length of the walk is estimated.
const PER_RECEIVE: Duration = Duration::from_millis(200);

/// Letters that the walk hides at once. Past about 120,000 messages in flight SQS answers a long poll with nothing (SQS
/// developer guide, "Amazon SQS standard queue quotas", read 2026-11-26).
const MAX_HIDDEN: usize = 100_000;

/// Letters that are given back when no more may be hidden.
const PAGE: usize = 1000;

/// Receives in a row that bring only letters seen before, after which the walk ends: twice a page.
const MAX_STALE: usize = 2 * PAGE / MAX_ENTRIES;

/// Receives in a row that bring nothing although SQS counts visible letters: its counts lag behind.
const MAX_EMPTY: usize = 3;

/// How much of the queue was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Looked {
    /// Letters that were looked at, each counted once.
    pub seen: usize,
    /// Letters of the queue, those that were looked at among them; approximate where it is more than `seen`.
    pub all: usize,
    /// Whether SQS delivered no more although there are letters that were not looked at: too many are in flight, or
    /// another look hides them. False where a limit or a stop ended the walk.
    pub incomplete: bool,
}

/// A walk that is under way. End it with [`Sweep::close`], or its letters stay hidden.
pub(super) struct Sweep<'q> {
    queue: &'q Queue,
    stop: &'q CancellationToken,
    /// Letters in the queue when the walk began, approximately.
    pub(super) depth: usize,
    hidden: Duration,
    max_hidden: usize,
    /// Hashes of the message ids that were seen.
    seen: HashSet<u128>,
    /// Receipt handles by message id of the letters that are hidden by the walk and to be given back.
    held: BTreeMap<String, String>,
    deleted: usize,
    /// Receives in a row that brought only letters seen before.
    stale: usize,
    /// Receives in a row that brought nothing although SQS counts visible letters.
    empty: usize,
    /// The call that ended the walk.
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
            max_hidden: MAX_HIDDEN,
            seen: HashSet::new(),
            held: BTreeMap::new(),
            deleted: 0,
            stale: 0,
            empty: 0,
            failure: None,
        })
    }

    /// The next letters, up to ten that were not seen before; `None` once all were seen or SQS gives no others, after
    /// `stop`, or after a call that failed.
    pub(super) async fn next(&mut self) -> Option<Vec<Message>> {
        // Known letters come again once they are visible: because they were given back, because the walk was slow, or
        // because others look too.
        while self.stale < MAX_STALE && !self.stop.is_cancelled() {
            if self.held.len() >= self.max_hidden {
                self.give_back_a_page().await;
            }
            match self.receive().await {
                Ok(fresh) if !fresh.is_empty() => {
                    self.stale = 0;
                    return Some(fresh);
                }
                Ok(_) if self.empty >= MAX_EMPTY => return None,
                Ok(_) => {}
                Err(failure) => {
                    self.failure = Some(failure);
                    return None;
                }
            }
        }
        None
    }

    /// Receives once and gives the letters that were not seen before.
    async fn receive(&mut self) -> Result<Vec<Message>, CallError> {
        let received = self.queue.receive(MAX_ENTRIES, WAIT, Some(self.hidden));
        let messages = received.await?;
        if messages.is_empty() {
            self.empty += 1;
            if self.queue.depth().await?.visible == 0 {
                self.empty = MAX_EMPTY;
            } else if self.held.len() >= PAGE {
                self.give_back_a_page().await;
            }
            return Ok(messages);
        }
        self.empty = 0;
        self.stale += 1;
        let mut fresh = Vec::with_capacity(messages.len());
        for message in messages {
            let handle = message.receipt_handle.clone();
            self.held.insert(message.id.clone(), handle);
            if self.seen.insert(xxh3_128(message.id.as_bytes())) {
                fresh.push(message);
            }
        }
        Ok(fresh)
    }

    async fn give_back_a_page(&mut self) {
        let page: Vec<String> = std::iter::from_fn(|| self.held.pop_first())
            .map(|(_, handle)| handle)
            .take(PAGE.min(self.max_hidden))
            .collect();
        give_back(self.queue, &page).await;
    }

    /// Deletes letters that were seen; gives the errors of those that could not be deleted.
    pub(super) async fn delete(&mut self, ids: &[String]) -> Vec<CallError> {
        let handles: Vec<String> = ids
            .iter()
            .filter_map(|id| self.held.get(id).cloned())
            .collect();
        let mut failures = Vec::new();
        for (id, result) in ids.iter().zip(self.queue.delete(&handles).await) {
            match result {
                Ok(()) => {
                    self.held.remove(id);
                    self.deleted += 1;
                }
                Err(error) => failures.push(error),
            }
        }
        failures
    }

    /// Makes all letters that were seen and are still there visible again. `enough` says that the caller needed no
    /// further letters.
    ///
    /// # Errors
    ///
    /// That of the call that ended the walk, if one did.
    pub(super) async fn close(mut self, enough: bool) -> Result<Looked, CallError> {
        let seen = self.seen.len();
        let ended_early = enough || self.stop.is_cancelled();
        let mut all = self.depth.max(seen);
        if seen < self.depth && !ended_early && self.failure.is_none() {
            // Others may have deleted letters since the walk began.
            match self.queue.depth().await {
                Ok(depth) => {
                    let known = (seen - self.deleted) as u64;
                    let unseen = depth.total().saturating_sub(known);
                    all = seen.saturating_add(usize::try_from(unseen).unwrap_or(usize::MAX));
                }
                Err(failure) => self.failure = Some(failure),
            }
        }
        // One that fails comes back by itself when its visibility timeout ends.
        let handles: Vec<String> = self.held.into_values().collect();
        give_back(self.queue, &handles).await;
        let looked = Looked {
            seen,
            all,
            incomplete: seen < all && !ended_early,
        };
        self.failure.map_or(Ok(looked), Err)
    }
}

#[cfg(test)]
mod tests {
    use aws::{Aws, Outgoing, setup};
    use local_aws::LocalAws;

    use super::*;

    const LETTERS: usize = 5000;

    async fn letters() -> (LocalAws, Queue) {
        let cloud = LocalAws::builder().seed(1).build().unwrap();
        let aws = Aws::emulated(cloud.http_client(), cloud.endpoint());
        setup::create_queues(&aws, "q", "dlq").await.unwrap();
        let dlq = aws.queue("dlq").await.unwrap();
        let letters: Vec<Outgoing> = (0..LETTERS)
            .map(|number| Outgoing {
                body: number.to_string(),
                attributes: BTreeMap::new(),
            })
            .collect();
        for result in dlq.send(&letters).await {
            result.unwrap();
        }
        (cloud, dlq)
    }

    #[tokio::test(start_paused = true)]
    async fn a_walk_that_may_not_hide_all_letters_ends_and_says_how_many_it_saw() {
        let (cloud, dlq) = letters().await;
        let stop = CancellationToken::new();
        let mut sweep = Sweep::open(&dlq, &stop).await.unwrap();
        sweep.max_hidden = 2000;
        let mut seen = 0;
        while let Some(fresh) = sweep.next().await {
            seen += fresh.len();
            assert!(cloud.queue_counts("dlq").unwrap().in_flight <= 2000);
        }
        let looked = sweep.close(false).await.unwrap();
        assert!((2000..LETTERS).contains(&seen), "{seen}");
        let expected = Looked {
            seen,
            all: LETTERS,
            incomplete: true,
        };
        assert_eq!(looked, expected);
        assert_eq!(cloud.queue_counts("dlq").unwrap().in_flight, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_walk_that_deletes_what_it_sees_comes_to_the_end_of_any_queue() {
        let (cloud, dlq) = letters().await;
        let stop = CancellationToken::new();
        let mut sweep = Sweep::open(&dlq, &stop).await.unwrap();
        sweep.max_hidden = 2000;
        while let Some(fresh) = sweep.next().await {
            let ids: Vec<String> = fresh.into_iter().map(|letter| letter.id).collect();
            assert!(sweep.delete(&ids).await.is_empty());
        }
        let looked = sweep.close(false).await.unwrap();
        assert_eq!((looked.seen, looked.incomplete), (LETTERS, false));
        assert_eq!(cloud.queue_depth("dlq"), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn letters_that_another_look_hides_are_counted_as_not_looked_at() {
        let (_cloud, dlq) = letters().await;
        let hidden = Some(Duration::from_secs(600));
        let other = dlq.receive(MAX_ENTRIES, WAIT, hidden).await.unwrap();
        let stop = CancellationToken::new();
        let mut sweep = Sweep::open(&dlq, &stop).await.unwrap();
        while sweep.next().await.is_some() {}
        let looked = sweep.close(false).await.unwrap();
        assert_eq!((looked.seen, looked.all), (LETTERS - other.len(), LETTERS));
        assert!(looked.incomplete);
    }
}
