//! What the handlers of one query service share.

use std::sync::Arc;

use aws::{Clock, Meter};
use chrono::TimeDelta;
use contract::Kinds;
use service::keys::Keys;
use service::ready::Ready;

use engine::snapshot::Snapshot;
use engine::{Engine, metrics};

/// The state of one query service.
#[derive(Debug, Clone)]
pub struct App {
    /// The declared kinds.
    pub kinds: Arc<Kinds>,
    /// The time of day.
    pub clock: Clock,
    /// The keys that readers may send.
    pub keys: Keys,
    /// Whether the service is ready, and why not.
    pub ready: Ready,
    /// What reads the lake.
    pub engine: Arc<Engine>,
    /// Answers SQL.
    #[cfg(feature = "sql")]
    pub database: Arc<sql::Database>,
    /// Counts the requests to AWS.
    pub meter: Meter,
}

impl App {
    /// The newest snapshot; none until all that is in the lake has been read for the first time.
    pub fn snapshot(&self) -> Option<Snapshot> {
        self.engine.snapshot()
    }

    /// Updates the metrics that are counted elsewhere.
    pub(crate) fn publish(&self) {
        if let Some(fresh_until) = self.engine.newest.borrow().fresh_until() {
            let age = (self.clock.now() - fresh_until).max(TimeDelta::zero());
            metrics::age(age.as_seconds_f64());
        }
        self.meter.publish();
    }
}
