//! Keeps messages hidden from other consumers while they are held.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws::Queue;
use metrics::{counter, gauge};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::debug;

use crate::metrics::{EXTENSION_FAILURES, EXTENSIONS, HELD};

/// The deliveries that are held now; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeldDeliveries(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    entries: Mutex<Entries>,
    /// Told when no delivery is held any more.
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    held: BTreeMap<u64, Entry>,
    /// Deliveries that come again by themselves, with the instant since when they are hidden.
    left: Vec<(Instant, String)>,
}

#[derive(Debug)]
struct Entry {
    receipt_handle: String,
    /// When the visibility timeout began to run, or was last extended.
    hidden_at: Instant,
    /// Whether SQS refuses to extend it, as after 12 h.
    expired: bool,
}

/// A delivery that is held; dropping it lets its visibility timeout run out.
#[derive(Debug)]
pub(crate) struct Hold {
    deliveries: HeldDeliveries,
    number: u64,
    pub(crate) receipt_handle: String,
}

impl Hold {
    /// Leaves the delivery to come again when its visibility timeout ends, or at the stop if that
    /// is before.
    pub(crate) fn leave(&self) {
        let mut entries = self.deliveries.entries();
        if let Some(entry) = self.deliveries.let_go(&mut entries, self.number) {
            entries.left.push((entry.hidden_at, entry.receipt_handle));
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut entries = self.deliveries.entries();
        self.deliveries.let_go(&mut entries, self.number);
    }
}

impl HeldDeliveries {
    /// Holds a delivery that came just now.
    pub(crate) fn hold(&self, receipt_handle: String) -> Hold {
        let mut entries = self.entries();
        let number = entries.next;
        entries.next += 1;
        entries.held.insert(
            number,
            Entry {
                receipt_handle: receipt_handle.clone(),
                hidden_at: Instant::now(),
                expired: false,
            },
        );
        gauge!(HELD).set(entries.held.len() as f64);
        Hold {
            deliveries: self.clone(),
            number,
            receipt_handle,
        }
    }

    fn let_go(&self, entries: &mut Entries, number: u64) -> Option<Entry> {
        let entry = entries.held.remove(&number)?;
        gauge!(HELD).set(entries.held.len() as f64);
        if entries.held.is_empty() {
            self.0.emptied.notify_waiters();
        }
        Some(entry)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries().held.len()
    }

    /// Waits until no delivery is held.
    pub(crate) async fn emptied(&self) {
        loop {
            // Hears also of what happens between this line and the wait.
            let emptied = self.0.emptied.notified();
            if self.len() == 0 {
                return;
            }
            emptied.await;
        }
    }

    /// The receipt handles of the deliveries that are held.
    pub(crate) fn receipt_handles(&self) -> Vec<String> {
        let entries = self.entries();
        let held = entries.held.values();
        held.map(|entry| entry.receipt_handle.clone()).collect()
    }

    /// The receipt handles of the deliveries that were left and are still hidden: for less than `timeout`.
    pub(crate) fn left(&self, timeout: Duration) -> Vec<String> {
        let mut entries = self.entries();
        entries.forget_visible(timeout);
        let left = entries.left.iter();
        left.map(|(_, receipt_handle)| receipt_handle.clone())
            .collect()
    }

    /// Extends the visibility timeout of held deliveries, for as long as the future is polled. A
    /// delivery that cannot be extended, as after 12 h, is counted and otherwise left alone: it may
    /// come again, and `raw/` is at least once.
    pub(crate) async fn keep_hidden(&self, queue: &Queue, timeout: Duration) -> Infallible {
        // Ticks every timeout/6 and extends what is older than timeout/3, so that an extension
        // comes when half of the timeout has gone by at the latest.
        let mut ticks = tokio::time::interval(timeout / 6);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.entries().forget_visible(timeout);
            let due = self.due(timeout / 3);
            if due.is_empty() {
                continue;
            }
            let (numbers, handles): (Vec<u64>, Vec<String>) = due.into_iter().unzip();
            let called_at = Instant::now();
            let results = queue.change_visibility(&handles, timeout).await;
            let mut failed = 0;
            let mut entries = self.entries();
            for (number, result) in numbers.iter().zip(results) {
                // None if it was deleted while the call was under way.
                let Some(entry) = entries.held.get_mut(number) else {
                    continue;
                };
                if let Err(error) = result {
                    failed += 1;
                    entry.expired = !error.is_transient();
                    debug!(event = "extension_failed", error = %error, "the message may come again");
                } else {
                    entry.hidden_at = called_at;
                }
            }
            counter!(EXTENSIONS).increment(handles.len() as u64 - failed);
            counter!(EXTENSION_FAILURES).increment(failed);
        }
    }

    /// Held deliveries that have been hidden for `age` or longer and can be extended.
    fn due(&self, age: Duration) -> Vec<(u64, String)> {
        let entries = self.entries();
        entries
            .held
            .iter()
            .filter(|(_, entry)| !entry.expired && entry.hidden_at.elapsed() >= age)
            .map(|(number, entry)| (*number, entry.receipt_handle.clone()))
            .collect()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    /// Forgets what was left and is visible again.
    fn forget_visible(&mut self, timeout: Duration) {
        self.left.retain(|(since, _)| since.elapsed() < timeout);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_deliveries_that_were_held_for_a_while_are_due() {
        let deliveries = HeldDeliveries::default();
        let first = deliveries.hold("first".into());
        tokio::time::advance(Duration::from_secs(20)).await;
        let _second = deliveries.hold("second".into());
        let due = deliveries.due(Duration::from_secs(20));
        assert_eq!(due, [(0, "first".to_owned())]);
        assert_eq!(deliveries.len(), 2);
        drop(first);
        assert!(deliveries.due(Duration::from_secs(20)).is_empty());
        assert_eq!(deliveries.receipt_handles(), ["second"]);
    }

    #[tokio::test(start_paused = true)]
    async fn emptied_ends_when_the_last_delivery_is_let_go() {
        let deliveries = HeldDeliveries::default();
        deliveries.emptied().await;
        let (first, second) = (deliveries.hold("1".into()), deliveries.hold("2".into()));
        let waiting = deliveries.clone();
        let mut waiting = tokio::spawn(async move { waiting.emptied().await });
        let second_until = Duration::from_secs(1);
        first.leave();
        assert!(
            tokio::time::timeout(second_until, &mut waiting)
                .await
                .is_err()
        );
        drop((first, second));
        waiting.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn deliveries_that_are_left_are_remembered_while_they_are_hidden() {
        let (deliveries, minute) = (HeldDeliveries::default(), Duration::from_secs(60));
        let first = deliveries.hold("first".into());
        tokio::time::advance(Duration::from_secs(20)).await;
        let second = deliveries.hold("second".into());
        first.leave();
        second.leave();
        drop((first, second));
        assert_eq!(deliveries.len(), 0);
        assert_eq!(deliveries.left(minute), ["first", "second"]);
        tokio::time::advance(Duration::from_secs(40)).await;
        assert_eq!(deliveries.left(minute), ["second"]);
    }
}
