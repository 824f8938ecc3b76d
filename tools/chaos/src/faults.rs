//! The faults of the endpoint: which befalls a request, and how often each did.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::watch;

/// How long a delayed answer is held.
const DELAY_MS: std::ops::Range<u64> = 500..5_000;

/// A sort of fault.
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

    /// Its name in reports.
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

/// Which faults come, and how thick.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Weather {
    pub(crate) kind: FaultKind,
    /// Share of the requests that are hit, 0 to 1.
    pub(crate) share: f64,
}

impl fmt::Display for Weather {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {:.0} % of requests",
            self.kind.as_str(),
            self.share * 100.0
        )
    }
}

/// The faults of one proxy.
#[derive(Debug)]
pub(crate) struct Faults {
    weather: watch::Sender<Option<Weather>>,
    chance: Mutex<StdRng>,
    fired: [AtomicU64; FaultKind::ALL.len()],
}

/// What befalls a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blow {
    pub(crate) kind: FaultKind,
    /// For how long an answer is held, where it is delayed.
    pub(crate) delay: Duration,
}

impl Faults {
    /// No faults until [`set`](Faults::set); the seed decides which requests are hit then.
    pub(crate) fn new(seed: u64) -> Faults {
        Faults {
            weather: watch::Sender::new(None),
            chance: Mutex::new(StdRng::seed_from_u64(seed)),
            fired: Default::default(),
        }
    }

    /// From now on these, or none.
    pub(crate) fn set(&self, weather: Option<Weather>) {
        self.weather.send_replace(weather);
    }

    /// What befalls the next request; it is counted.
    pub(crate) fn draw(&self) -> Option<Blow> {
        let weather = (*self.weather.borrow())?;
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        let hit = chance.random_bool(weather.share.clamp(0.0, 1.0));
        let delay = Duration::from_millis(chance.random_range(DELAY_MS));
        drop(chance);
        if !hit {
            return None;
        }
        self.count(weather.kind);
        Some(Blow {
            kind: weather.kind,
            delay,
        })
    }

    /// Whether nothing goes through just now.
    pub(crate) fn is_down(&self) -> bool {
        is_down(&self.weather.borrow())
    }

    /// Waits until nothing goes through.
    pub(crate) async fn down(&self) {
        let mut weather = self.weather.subscribe();
        // Fails only without a sender, and that is this.
        let _ = weather.wait_for(is_down).await;
    }

    pub(crate) fn count(&self, kind: FaultKind) {
        self.fired[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often that fault has befallen a request or connection.
    pub(crate) fn fired(&self, kind: FaultKind) -> u64 {
        self.fired[kind as usize].load(Ordering::Relaxed)
    }
}

fn is_down(weather: &Option<Weather>) -> bool {
    weather.is_some_and(|weather| weather.kind == FaultKind::Down)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_as_thick_as_was_set_by_seed_and_are_counted() {
        let faults = Faults::new(3);
        assert_eq!(faults.draw(), None);
        let weather = Weather {
            kind: FaultKind::Delayed,
            share: 0.3,
        };
        faults.set(Some(weather));
        let drawn: Vec<_> = (0..1_000).map(|_| faults.draw()).collect();
        let hit = drawn.iter().flatten().count() as u64;
        assert!((240..360).contains(&hit), "{hit}");
        assert_eq!(faults.fired(FaultKind::Delayed), hit);
        assert_eq!(faults.fired(FaultKind::CutBefore), 0);
        let again = Faults::new(3);
        again.set(Some(weather));
        assert_eq!((0..1_000).map(|_| again.draw()).collect::<Vec<_>>(), drawn);
        faults.set(None);
        assert_eq!(faults.draw(), None);
    }
}
