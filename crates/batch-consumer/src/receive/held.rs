//! Keeps what is held hidden from other consumers.

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

/// The deliveries that are held; clones share them.
#[derive(Debug, Clone, Default)]
pub struct HeldDeliveries(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    entries: Mutex<Entries>,
    /// Told when the last of what is held is let go.
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    held: BTreeMap<u64, Entry>,
    /// What is held no more and comes again by itself, with the time since when it is hidden.
    left: Vec<(Instant, String)>,
}

#[derive(Debug)]
struct Entry {
    receipt_handle: String,
    /// Since when the visibility timeout runs.
    hidden_at: Instant,
    /// Whether SQS says that it cannot be extended any more.
    expired: bool,
}

/// A delivery that is held; dropping it lets its visibility timeout run out.
#[derive(Debug)]
pub struct Hold {
    deliveries: HeldDeliveries,
    number: u64,
    receipt_handle: String,
}

impl Hold {
    /// What deletes or extends the delivery.
    pub fn receipt_handle(&self) -> &str {
        &self.receipt_handle
    }

    /// Leaves the delivery to come again when its visibility timeout ends, or at the stop if that
    /// is before.
    pub fn leave(&self) {
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
    pub fn hold(&self, receipt_handle: String) -> Hold {
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

    /// How many are held.
    pub fn len(&self) -> usize {
        self.entries().held.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until none is held.
    pub async fn emptied(&self) {
        loop {
            // Hears also of what happens between this line and the wait.
            let emptied = self.0.emptied.notified();
            if self.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    fn let_go(&self, entries: &mut Entries, number: u64) -> Option<Entry> {
        let entry = entries.held.remove(&number);
        gauge!(HELD).set(entries.held.len() as f64);
        if entries.held.is_empty() {
            self.0.emptied.notify_waiters();
        }
        entry
    }

    /// The receipt handles of all that is held.
    pub fn receipt_handles(&self) -> Vec<String> {
        let entries = self.entries();
        entries
            .held
            .values()
            .map(|entry| entry.receipt_handle.clone())
            .collect()
    }

    /// The receipt handles of what was left and is hidden still: for less than `timeout`.
    pub fn left(&self, timeout: Duration) -> Vec<String> {
        let mut entries = self.entries();
        entries.left.retain(|(since, _)| since.elapsed() < timeout);
        entries
            .left
            .iter()
            .map(|(_, receipt_handle)| receipt_handle.clone())
            .collect()
    }

    /// Extends the visibility timeout of what is held, for as long as the future is polled: each
    /// time a third of it has gone by. A delivery that cannot be extended, as after 12 h, is
    /// counted and else left alone: it may come again, and `raw/` is at least once.
    pub async fn keep_hidden(&self, queue: &Queue, timeout: Duration) -> Infallible {
        // Twice as often as needed: at the latest, half of the timeout has gone by.
        let mut ticks = tokio::time::interval(timeout / 6);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.entries()
                .left
                .retain(|(since, _)| since.elapsed() < timeout);
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
                let entry = entries.held.get_mut(number);
                match (result, entry) {
                    (Ok(()), Some(entry)) => entry.hidden_at = called_at,
                    // It was deleted while the call was under way.
                    (_, None) => {}
                    (Err(error), Some(entry)) => {
                        failed += 1;
                        entry.expired = !error.is_transient();
                        debug!(event = "extension_failed", error = %error);
                    }
                }
            }
            counter!(EXTENSIONS).increment(handles.len() as u64 - failed);
            counter!(EXTENSION_FAILURES).increment(failed);
        }
    }

    /// What has been hidden for longer than `age`.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_what_has_been_held_for_a_while_is_due() {
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
    async fn who_waits_until_none_is_held_hears_of_the_last() {
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
    async fn what_is_left_is_remembered_for_as_long_as_it_is_hidden() {
        let (deliveries, minute) = (HeldDeliveries::default(), Duration::from_secs(60));
        let first = deliveries.hold("first".into());
        tokio::time::advance(Duration::from_secs(20)).await;
        let second = deliveries.hold("second".into());
        first.leave();
        second.leave();
        drop((first, second));
        assert!(deliveries.is_empty());
        assert_eq!(deliveries.left(minute), ["first", "second"]);
        tokio::time::advance(Duration::from_secs(40)).await;
        assert_eq!(deliveries.left(minute), ["second"]);
    }
}
