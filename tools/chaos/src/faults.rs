//! The faults of the endpoint: which requests they hit, and how often each did.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::watch;

/// Milliseconds for which a delayed answer is held.
const DELAY_MS: std::ops::Range<u64> = 500..5_000;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum FaultKind {
    /// The connection is cut, and the request never reaches the endpoint.
    CutBefore,
    /// The request takes effect, and its answer is lost with the connection.
    AnswerLost,
    /// The request takes effect, and its answer comes seconds later.
    Delayed,
    /// `503`, and the request never reaches the endpoint.
    Refused,
    /// Nothing goes through: connections are closed as they come, and what is under way is cut.
    Down,
}

impl FaultKind {
    pub(crate) const ALL: [FaultKind; 5] = [
        FaultKind::CutBefore,
        FaultKind::AnswerLost,
        FaultKind::Delayed,
        FaultKind::Refused,
        FaultKind::Down,
    ];

    /// The fault's name in reports.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            FaultKind::CutBefore => "cut before",
            FaultKind::AnswerLost => "answer lost",
            FaultKind::Delayed => "delayed",
            FaultKind::Refused => "refused (503)",
            FaultKind::Down => "down",
        }
    }
}

/// A fault that is on, and how many requests it hits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ActiveFault {
    pub(crate) kind: FaultKind,
    /// Share of the requests that are hit, 0 to 1.
    pub(crate) share: f64,
}

impl fmt::Display for ActiveFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {:.0} % of requests",
            self.kind.as_str(),
            self.share * 100.0
        )
    }
}

/// The faults of one proxy: which one is on, and counters.
#[derive(Debug)]
pub(crate) struct Faults {
    active: watch::Sender<Option<ActiveFault>>,
    chance: Mutex<StdRng>,
    fired: [AtomicU64; FaultKind::ALL.len()],
}

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) kind: FaultKind,
    /// For how long the answer is held if the fault is [`FaultKind::Delayed`].
    pub(crate) delay: Duration,
}

impl Faults {
    /// No faults until [`set`](Faults::set); then `seed` decides which requests are hit.
    pub(crate) fn new(seed: u64) -> Faults {
        Faults {
            active: watch::Sender::new(None),
            chance: Mutex::new(StdRng::seed_from_u64(seed)),
            fired: Default::default(),
        }
    }

    /// Turns on a fault in place of the one before, or turns faults off.
    pub(crate) fn set(&self, fault: Option<ActiveFault>) {
        self.active.send_replace(fault);
    }

    /// Decides what happens to the next request, and counts it.
    pub(crate) fn draw(&self) -> Option<Hit> {
        let active = (*self.active.borrow())?;
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        let hit = chance.random_bool(active.share.clamp(0.0, 1.0));
        let delay = Duration::from_millis(chance.random_range(DELAY_MS));
        drop(chance);
        if !hit {
            return None;
        }
        self.count(active.kind);
        Some(Hit {
            kind: active.kind,
            delay,
        })
    }

    /// Whether [`FaultKind::Down`] is on.
    pub(crate) fn is_down(&self) -> bool {
        is_down(&self.active.borrow())
    }

    /// Waits until [`FaultKind::Down`] is on.
    pub(crate) async fn down(&self) {
        let mut active = self.active.subscribe();
        // Fails only after the sender is dropped, and `self` holds it.
        let _ = active.wait_for(is_down).await;
    }

    pub(crate) fn count(&self, kind: FaultKind) {
        self.fired[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Requests and connections that the fault has hit.
    pub(crate) fn fired(&self, kind: FaultKind) -> u64 {
        self.fired[kind as usize].load(Ordering::Relaxed)
    }
}

fn is_down(active: &Option<ActiveFault>) -> bool {
    active.is_some_and(|fault| fault.kind == FaultKind::Down)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_hits_its_share_of_requests_by_seed_and_is_counted() {
        let faults = Faults::new(3);
        assert_eq!(faults.draw(), None);
        let fault = ActiveFault {
            kind: FaultKind::Delayed,
            share: 0.3,
        };
        faults.set(Some(fault));
        let drawn: Vec<_> = (0..1_000).map(|_| faults.draw()).collect();
        let hit = drawn.iter().flatten().count() as u64;
        assert!((240..360).contains(&hit), "{hit}");
        assert_eq!(faults.fired(FaultKind::Delayed), hit);
        assert_eq!(faults.fired(FaultKind::CutBefore), 0);
        let again = Faults::new(3);
        again.set(Some(fault));
        assert_eq!((0..1_000).map(|_| again.draw()).collect::<Vec<_>>(), drawn);
        faults.set(None);
        assert_eq!(faults.draw(), None);
    }
}
