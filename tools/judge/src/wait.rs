//! Waits until what was accepted has gone through.

use std::time::Duration;

use aws::{CallError, Lake, Queue};
use contract::{CURATED, Kinds, RAW};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::arrivals::Arrivals;
use crate::check::{Places, Question, judge};
use crate::error::JudgeError;
use crate::ledger::Ledger;
use crate::recount::{Extent, Recount, recount};

/// Time between two looks at the queue.
const POLL: Duration = Duration::from_millis(300);

/// How many looks in a row must find the queue empty: SQS's counts are approximate.
const EMPTY_POLLS: u32 = 4;

/// For how long `raw/` must not have grown.
const QUIET: Duration = Duration::from_millis(1_500);

/// Time between two looks at the lake.
const LAKE_POLL: Duration = Duration::from_secs(1);

/// How a wait for the drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// The queue is empty and `raw/` no longer grows.
    Yes,
    /// Not within the time, or not before it was stopped.
    No {
        /// Messages that the queue held at the last look.
        messages: u64,
    },
}

/// Waits, at most `timeout`, until the queue was empty for four looks, 300 ms apart and messages in flight
/// counted, and no raw object has come for 1.5 s. `progress` is told how many messages are left.
///
/// # Errors
///
/// [`CallError`] if the queue cannot be asked.
pub async fn wait_for_drain(
    queue: &Queue,
    arrivals: &Arrivals,
    timeout: Duration,
    stop: &CancellationToken,
    progress: impl Fn(u64),
) -> Result<Drained, CallError> {
    let start = Instant::now();
    let mut empty = 0;
    loop {
        let messages = queue.depth().await?.total();
        progress(messages);
        empty = if messages == 0 { empty + 1 } else { 0 };
        if empty >= EMPTY_POLLS && arrivals.quiet_for() >= QUIET {
            return Ok(Drained::Yes);
        }
        if start.elapsed() >= timeout || !pause(POLL, stop).await {
            return Ok(Drained::No { messages });
        }
    }
}

/// Waits, at most `timeout`, until the places that the question is about hold every accepted event, and
/// says whether they do. `progress` is told how many accepted events are there.
///
/// # Errors
///
/// As [`judge`].
pub async fn wait_for_all(
    lake: &Lake,
    kinds: &Kinds,
    ledger: &Ledger,
    question: &Question<'_>,
    timeout: Duration,
    stop: &CancellationToken,
    progress: impl Fn(u64),
) -> Result<bool, JudgeError> {
    let start = Instant::now();
    let mut read = None;
    loop {
        let mut listed = Vec::new();
        if question.places != Places::Curated {
            listed.extend(lake.list(RAW, None).await?);
        }
        if question.places != Places::Raw {
            listed.extend(lake.list(CURATED, None).await?);
        }
        // Objects do not change: they are read again only when there are others.
        if read.as_ref() != Some(&listed) {
            let verdict = judge(lake, kinds, ledger, question).await?;
            progress(verdict.accepted - verdict.lost);
            if verdict.lost == 0 {
                return Ok(true);
            }
            read = Some(listed);
        }
        if start.elapsed() >= timeout || !pause(LAKE_POLL, stop).await {
            return Ok(false);
        }
    }
}

/// Recounts `aggregates/` until it counts all of `curated/`, at most `timeout`, and gives the last recount.
///
/// # Errors
///
/// As [`recount`].
pub async fn wait_for_aggregates(
    lake: &Lake,
    kinds: &Kinds,
    extent: &Extent,
    timeout: Duration,
    stop: &CancellationToken,
) -> Result<Recount, JudgeError> {
    let start = Instant::now();
    loop {
        let found = recount(lake, kinds, extent).await?;
        let over = found.behind == 0 || start.elapsed() >= timeout;
        if over || !pause(LAKE_POLL, stop).await {
            return Ok(found);
        }
    }
}

/// Sleeps; `false` if it was stopped meanwhile.
async fn pause(length: Duration, stop: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = stop.cancelled() => false,
        () = tokio::time::sleep(length) => true,
    }
}
