//! A small value that changes, and tasks that wait for what it becomes.

use std::pin::pin;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// As tokio's `watch`, but whoever began to wait first is woken first. `watch` wakes in a random order: then no seed of
/// a simulation would decide which of two waiting messages is sent first.
#[derive(Debug)]
pub(crate) struct Watched<T> {
    value: Mutex<T>,
    changed: Notify,
}

impl<T: Copy> Watched<T> {
    pub(crate) fn new(value: T) -> Watched<T> {
        Watched {
            value: Mutex::new(value),
            changed: Notify::new(),
        }
    }

    pub(crate) fn get(&self) -> T {
        *self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, value: T) {
        self.change(|current| *current = value);
    }

    /// Changes the value, and wakes all who wait.
    pub(crate) fn change(&self, change: impl FnOnce(&mut T)) {
        change(&mut self.value.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_waiters();
    }

    /// Waits until the value is as wanted, and gives it. Values that came and went while the task slept are missed.
    pub(crate) async fn wait_for(&self, is_wanted: impl Fn(&T) -> bool) -> T {
        loop {
            // Before the look, so that no change after it is missed.
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            let value = self.get();
            if is_wanted(&value) {
                return value;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::StreamExt;
    use futures::stream::FuturesUnordered;

    use super::*;

    #[tokio::test]
    async fn whoever_waits_first_is_woken_first() {
        let watched = Arc::new(Watched::new(0));
        // In one set of futures, as attempts to send are: it polls them in the order of their wakes.
        let mut waiting: FuturesUnordered<_> = (0..100)
            .map(|number| {
                let watched = watched.clone();
                async move {
                    watched.wait_for(|value| *value == 2).await;
                    number
                }
            })
            .collect();
        for value in [1, 2] {
            assert!(futures::poll!(waiting.next()).is_pending());
            watched.set(value);
        }
        let woken: Vec<_> = waiting.collect().await;
        assert_eq!(woken, (0..100).collect::<Vec<_>>());
    }
}
