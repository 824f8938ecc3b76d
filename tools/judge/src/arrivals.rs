//! Watches `raw/` grow. The times in a listing are whole seconds, too coarse for latencies.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws::{CallError, Lake};
use chrono::{DateTime, Utc};
use contract::{Hour, RAW};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// When raw objects were first seen.
#[derive(Debug)]
pub struct Arrivals {
    seen: Mutex<Seen>,
    every: Duration,
}

#[derive(Debug)]
struct Seen {
    /// `None`: the object was there when the watch began.
    objects: HashMap<String, Option<DateTime<Utc>>>,
    last_new: Instant,
}

impl Arrivals {
    /// Lists the arrival hours from `since` on, at once and then in a task of its own every `every`, until
    /// `stop`. A listing that fails is left out.
    ///
    /// # Errors
    ///
    /// [`CallError`] of the first listing.
    pub async fn watch(
        lake: Lake,
        since: DateTime<Utc>,
        every: Duration,
        stop: CancellationToken,
    ) -> Result<Arc<Arrivals>, CallError> {
        let arrivals = Arc::new(Arrivals {
            seen: Mutex::new(Seen {
                objects: HashMap::new(),
                last_new: Instant::now(),
            }),
            every,
        });
        arrivals.look(&lake, since, true).await?;
        let watching = arrivals.clone();
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(every);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => break,
                    _ = ticks.tick() => {}
                }
                if let Err(error) = watching.look(&lake, since, false).await {
                    tracing::debug!(event = "list_failed", %error, "looking again");
                }
            }
        });
        Ok(arrivals)
    }

    async fn look(&self, lake: &Lake, since: DateTime<Utc>, first: bool) -> Result<(), CallError> {
        let mut hour = Hour::of(since);
        while hour <= Hour::of(Utc::now()) {
            let listed = lake.list(&format!("{RAW}{hour}/"), None).await?;
            // After the answer: what was seen was there by then.
            let time = (!first).then(Utc::now);
            let mut seen = self.seen();
            for object in listed {
                let known = seen.objects.len();
                seen.objects.entry(object.key).or_insert(time);
                if seen.objects.len() > known {
                    seen.last_new = Instant::now();
                }
            }
            drop(seen);
            hour = hour.next();
        }
        Ok(())
    }

    /// When the object was first seen; `None` if it was never seen, or was there when the watch began.
    pub fn first_seen(&self, key: &str) -> Option<DateTime<Utc>> {
        self.seen().objects.get(key).copied().flatten()
    }

    /// How many objects have been seen.
    pub fn objects(&self) -> usize {
        self.seen().objects.len()
    }

    /// For how long no new object has been seen.
    pub fn quiet_for(&self) -> Duration {
        self.seen().last_new.elapsed()
    }

    /// Time between two listings.
    pub fn every(&self) -> Duration {
        self.every
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
