//! What the handles of the log and its writer share.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use aws::Clock;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::record::Entry;
use super::state::State;
use super::watched::Watched;

/// Whether this process writes the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Another process writes it, or none yet: the state follows what is written.
    StandBy,
    /// This process writes it.
    Leader,
    /// The writer has ended.
    Ended,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) state: RwLock<State>,
    pub(crate) version: watch::Sender<u64>,
    pub(crate) role: Watched<Role>,
    pub(crate) pace: Watched<Pace>,
    /// What is being sent since the last record.
    pub(crate) sending: Watched<SentNow>,
    pub(crate) clock: Clock,
    /// Longest time since [`Pace::confirmed`] in which something may be sent.
    pub(crate) lease: Duration,
}

/// When the writer wrote last, and when it may write next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// When the put of the last record began that succeeded, by both clocks.
    pub(crate) confirmed: Instant,
    pub(crate) confirmed_at: i64,
    pub(crate) next: Instant,
    /// Whether a record is on its way: what is sent meanwhile would wait for the one after it.
    pub(crate) is_writing: bool,
}

/// Number of [`Sending`] that began at the same pace. Those from before do not count: a receiver that hangs holds no
/// record up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SentNow {
    /// [`Pace::next`] when they began.
    pub(crate) since: Instant,
    pub(crate) count: usize,
}

/// Something is being sent, and its result is about to be recorded: the next record waits a little for it.
#[derive(Debug)]
pub struct Sending {
    shared: Arc<Shared>,
    since: Instant,
}

impl Sending {
    pub(crate) fn begin(shared: &Arc<Shared>) -> Sending {
        let since = shared.pace.get().next;
        shared.sending.change(|sending| {
            let count = if sending.since == since {
                sending.count + 1
            } else {
                1
            };
            *sending = SentNow { since, count };
        });
        Sending {
            shared: shared.clone(),
            since,
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.shared.sending.change(|sending| {
            if sending.since == self.since {
                sending.count -= 1;
            }
        });
    }
}

/// Entries to be recorded.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) entries: Vec<Entry>,
    pub(crate) done: oneshot::Sender<()>,
}

impl Shared {
    pub(crate) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and tells who watches.
    pub(crate) fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
        self.version.send_modify(|version| *version += 1);
    }
}
