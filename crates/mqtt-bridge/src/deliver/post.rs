//! One post, until ingest has said what becomes of each of its events.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use metrics::{counter, histogram};
use sender::{Answer, Client, PostError};
use service::errors::chain;
use service::ready::Ready;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::refusals::Refusals;
use crate::message::Event;
use crate::metrics::{ACCEPTED, FAILED_POSTS, POST_EVENTS, POST_SECONDS};

/// Waits between two tries; the client has waited by itself within each.
const WAITS: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(30)];

/// Posts events of one kind.
#[derive(Debug)]
pub(super) struct Poster {
    pub(super) kind: String,
    pub(super) client: Client,
    pub(super) refusals: Arc<Refusals>,
    /// Posts, of any kind, whose last try has failed.
    pub(super) failing: Arc<AtomicUsize>,
    pub(super) ready: Ready,
    pub(super) stop: CancellationToken,
}

impl Poster {
    /// Posts until each event is accepted or refused for good, or the bridge is stopped: then events that have no
    /// answer are not told done.
    pub(super) async fn post(&self, events: Vec<Event>) {
        let mut waiting = vec![events];
        while let Some(events) = waiting.pop() {
            match self.post_until_answered(&events).await {
                Some(Answered::Each(answer)) => self.settle(events, answer),
                Some(Answered::TooMuch) => {
                    let mut first = events;
                    let second = first.split_off(first.len() / 2);
                    waiting.extend([second, first]);
                }
                None => return,
            }
        }
    }

    async fn post_until_answered(&self, events: &[Event]) -> Option<Answered> {
        let [shortest, longest] = WAITS;
        let waits = ExponentialBuilder::default()
            .with_min_delay(shortest)
            .with_max_delay(longest)
            .with_factor(2.0)
            .with_jitter()
            .without_max_times();
        let (mut waits, mut failing) = (waits.build(), None);
        loop {
            let begun = Instant::now();
            let error = match self.client.post(events).await {
                Ok(answer) => {
                    histogram!(POST_SECONDS).record(begun.elapsed().as_secs_f64());
                    histogram!(POST_EVENTS).record(events.len() as f64);
                    drop(failing);
                    self.tell_well();
                    return Some(Answered::Each(answer));
                }
                Err(PostError::Refused {
                    status: 400 | 413, ..
                }) if events.len() > 1 => {
                    return Some(Answered::TooMuch);
                }
                Err(error) => error,
            };
            if self.stop.is_cancelled() {
                return None;
            }
            failing.get_or_insert_with(|| Failing::new(&self.failing));
            let wait = waits.next().unwrap_or(longest).min(longest);
            self.tell_failed(&error, events.len(), wait);
            self.stop
                .run_until_cancelled(tokio::time::sleep(wait))
                .await?;
        }
    }

    fn settle(&self, events: Vec<Event>, answer: Answer) {
        counter!(ACCEPTED, "kind" => self.kind.clone()).increment(answer.accepted.len() as u64);
        for refused in &answer.rejected {
            if let Some(event) = events.get(refused.index) {
                self.refusals
                    .event(&self.kind, &event.body, &refused.code, &refused.message);
            }
        }
        events.into_iter().for_each(Event::done);
    }

    fn tell_well(&self) {
        if self.failing.load(Ordering::Acquire) == 0 {
            self.ready.succeeded("ingest");
        }
    }

    fn tell_failed(&self, error: &PostError, events: usize, wait: Duration) {
        let code = match error {
            PostError::Unreachable { .. } => "ingest_unreachable",
            PostError::Overloaded { .. } => "ingest_overloaded",
            PostError::Refused { .. } | PostError::Unreadable { .. } => "ingest_refuses",
        };
        counter!(FAILED_POSTS, "reason" => code).increment(1);
        self.ready.failed("ingest", code, Duration::MAX);
        let reason = chain(error);
        let advice = match error {
            PostError::Refused { .. } | PostError::Unreadable { .. } => error.advice(),
            PostError::Unreachable { .. } | PostError::Overloaded { .. } => None,
        };
        warn!(
            event = "post_failed",
            code,
            kind = %self.kind,
            events,
            "{reason}: none of them is acknowledged, trying again in {:.1} s{}{}",
            wait.as_secs_f64(),
            if advice.is_some() { "; " } else { "" },
            advice.unwrap_or_default()
        );
    }
}

/// What came of a post.
enum Answered {
    /// An answer for each event.
    Each(Answer),
    /// The body is refused as a whole: halves of it may be taken.
    TooMuch,
}

/// Counts a post as failing until it is dropped.
struct Failing(Arc<AtomicUsize>);

impl Failing {
    fn new(count: &Arc<AtomicUsize>) -> Failing {
        count.fetch_add(1, Ordering::AcqRel);
        Failing(Arc::clone(count))
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
