//! Decides when a batch is done. No I/O, no clock: the caller passes `now`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::config::Config;
use crate::receive::decode::Contents;
use crate::receive::held::Hold;

/// A message that was received and decoded.
#[derive(Debug)]
pub struct Delivery {
    /// The id that SQS gave the message.
    pub id: String,
    /// What it holds.
    pub contents: Contents,
    /// Its deliveries: one, or more if it came more than once while its batch was open.
    pub holds: Vec<Hold>,
    /// Its share of the memory that deliveries may take, given back when it is dropped.
    pub permit: Option<OwnedSemaphorePermit>,
}

/// What the receivers pass on.
#[derive(Debug)]
pub enum Arrival {
    /// A receive came back with so many messages, each of which follows as a delivery.
    Receive {
        /// How many.
        messages: usize,
        /// Whether it could not have brought more: others may be waiting in the queue.
        full: bool,
    },
    /// One of those messages.
    Delivery(Delivery),
}

/// Messages that are written together.
#[derive(Debug, Default)]
pub struct Batch {
    /// By id, so that the same messages give the same object, in whatever order they came.
    pub messages: BTreeMap<String, Delivery>,
    /// Bytes of their lines.
    pub bytes: usize,
    /// Deliveries beyond the first of a message.
    pub duplicates: usize,
}

/// When a batch closes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// At this many messages.
    pub max_messages: usize,
    /// This long after its first message.
    pub max_wait: Duration,
    /// Before its lines would have more bytes than this; one message alone may have more.
    pub max_bytes: usize,
    /// As soon as the queue is empty and nothing is being written, five times a second at most.
    pub adaptive: bool,
}

/// How long after a full receive the queue is thought to hold more. By then the next receive has
/// told, unless it is a long poll that waits, which says that there is nothing.
const FULL_FOR: Duration = Duration::from_millis(100);

/// How soon an adaptive batch may follow the one before. Each object costs as much as a dozen
/// requests to the queue: without this a trickle would give one for nearly every message.
const SPACING: Duration = Duration::from_millis(200);

impl From<&Config> for Limits {
    fn from(config: &Config) -> Limits {
        Limits {
            max_messages: config.batch_max_messages,
            max_wait: config.batch_max_wait,
            max_bytes: config.max_bytes(),
            adaptive: config.batch_adaptive,
        }
    }
}

/// Collects messages into batches.
#[derive(Debug)]
pub struct Batcher {
    limits: Limits,
    open: Batch,
    /// When the open batch closes at the latest; none while it is empty.
    deadline: Option<Instant>,
    /// Messages that were received and not added yet.
    coming: usize,
    /// When a receive last came back full.
    full_at: Option<Instant>,
    /// When a batch last closed.
    closed_at: Option<Instant>,
}

impl Batcher {
    /// A batcher with nothing in it.
    pub fn new(limits: Limits) -> Batcher {
        Batcher {
            limits,
            open: Batch::default(),
            deadline: None,
            coming: 0,
            full_at: None,
            closed_at: None,
        }
    }

    /// Notes that a receive brought so many messages at `now`, before they are added.
    pub fn expect(&mut self, messages: usize, full: bool, now: Instant) {
        self.coming += messages;
        if full {
            self.full_at = Some(now);
        }
    }

    /// Takes a message that came at `now`, and gives the batches that are closed by it: at most
    /// two, the one it did not fit in and the one it filled.
    ///
    /// A message that is in the open batch already adds its delivery there and nothing else.
    pub fn add(&mut self, delivery: Delivery, now: Instant) -> Vec<Batch> {
        self.coming = self.coming.saturating_sub(1);
        let overdue = self.deadline.is_some_and(|deadline| deadline <= now);
        let mut closed: Vec<Batch> = overdue.then(|| self.take()).flatten().into_iter().collect();
        let bytes = delivery.contents.lines.len();
        if let Some(held) = self.open.messages.get_mut(&delivery.id) {
            held.holds.extend(delivery.holds);
            self.open.duplicates += 1;
            return closed;
        }
        if self.open.bytes + bytes > self.limits.max_bytes {
            closed.extend(self.take());
        }
        self.deadline.get_or_insert(now + self.limits.max_wait);
        self.open.bytes += bytes;
        if let Entry::Vacant(place) = self.open.messages.entry(delivery.id.clone()) {
            place.insert(delivery);
        }
        let full = self.open.messages.len() >= self.limits.max_messages
            || self.open.bytes >= self.limits.max_bytes;
        if full || self.limits.max_wait.is_zero() {
            closed.extend(self.take());
        }
        if !closed.is_empty() {
            self.closed_at = Some(now);
        }
        closed
    }

    /// When the open batch closes if nothing fills it before; `writing` says whether an earlier
    /// one is being written. It may be in the past.
    pub fn deadline(&self, writing: bool) -> Option<Instant> {
        let latest = self.deadline?;
        // While something is written, a batch that closed could only wait, or be one of many.
        if !self.limits.adaptive || writing || self.coming > 0 {
            return Some(latest);
        }
        let opened = latest - self.limits.max_wait;
        let empty = self.full_at.map(|full_at| full_at + FULL_FOR);
        let spaced = self.closed_at.map(|closed_at| closed_at + SPACING);
        let soonest = opened
            .max(empty.unwrap_or(opened))
            .max(spaced.unwrap_or(opened));
        Some(latest.min(soonest))
    }

    /// The open batch, if its deadline has come.
    pub fn close_due(&mut self, now: Instant, writing: bool) -> Option<Batch> {
        let due = self.deadline(writing)? <= now;
        if !due {
            return None;
        }
        self.closed_at = Some(now);
        self.take()
    }

    /// The open batch, however full; none if it is empty.
    pub fn take(&mut self) -> Option<Batch> {
        self.deadline = None;
        let batch = std::mem::take(&mut self.open);
        (!batch.messages.is_empty()).then_some(batch)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::receive::held::HeldDeliveries;

    fn delivery(id: &str, bytes: usize, held: &HeldDeliveries) -> Delivery {
        Delivery {
            id: id.into(),
            contents: Contents {
                lines: vec![b'x'; bytes],
                ..Contents::default()
            },
            holds: vec![held.hold(format!("receipt of {id}"))],
            permit: None,
        }
    }

    fn batcher(max_messages: usize, max_bytes: usize) -> Batcher {
        Batcher::new(Limits {
            max_messages,
            max_wait: Duration::from_secs(2),
            max_bytes,
            adaptive: false,
        })
    }

    fn adaptive() -> Batcher {
        Batcher::new(Limits {
            max_messages: 100,
            max_wait: Duration::from_secs(2),
            max_bytes: 1000,
            adaptive: true,
        })
    }

    fn ids(batches: &[Batch]) -> Vec<Vec<&str>> {
        batches
            .iter()
            .map(|batch| batch.messages.keys().map(String::as_str).collect())
            .collect()
    }

    #[test]
    fn a_batch_closes_at_its_number_of_messages() {
        let (mut batcher, held, now) =
            (batcher(3, 1000), HeldDeliveries::default(), Instant::now());
        assert!(batcher.add(delivery("b", 1, &held), now).is_empty());
        assert!(batcher.add(delivery("a", 1, &held), now).is_empty());
        let closed = batcher.add(delivery("c", 1, &held), now);
        assert_eq!(ids(&closed), [["a", "b", "c"]]);
        assert_eq!(batcher.deadline(false), None);
        assert!(batcher.take().is_none());
    }

    #[test]
    fn a_batch_closes_when_its_first_message_has_waited() {
        let (mut batcher, held, now) = (
            batcher(100, 1000),
            HeldDeliveries::default(),
            Instant::now(),
        );
        let at = |ms| now + Duration::from_millis(ms);
        batcher.add(delivery("a", 1, &held), at(0));
        batcher.add(delivery("b", 1, &held), at(1999));
        assert_eq!(batcher.deadline(false), Some(at(2000)));
        assert!(batcher.close_due(at(1999), false).is_none());
        assert_eq!(
            batcher.close_due(at(2000), false).unwrap().messages.len(),
            2
        );
        // A message that finds the batch overdue does not go with it.
        batcher.add(delivery("c", 1, &held), at(3000));
        let closed = batcher.add(delivery("d", 1, &held), at(5000));
        assert_eq!(ids(&closed), [["c"]]);
        assert_eq!(batcher.deadline(false), Some(at(7000)));
    }

    #[test]
    fn a_batch_closes_before_it_has_too_many_bytes_and_a_large_message_goes_alone() {
        let (mut batcher, held, now) =
            (batcher(100, 10), HeldDeliveries::default(), Instant::now());
        assert!(batcher.add(delivery("a", 6, &held), now).is_empty());
        let closed = batcher.add(delivery("b", 5, &held), now);
        assert_eq!(ids(&closed), [["a"]]);
        let closed = batcher.add(delivery("c", 50, &held), now);
        assert_eq!(ids(&closed), [["b"], ["c"]]);
        let closed = batcher.add(delivery("d", 10, &held), now);
        assert_eq!(ids(&closed), [["d"]]);
    }

    #[test]
    fn a_message_that_comes_twice_is_in_its_batch_once_with_both_deliveries() {
        let (mut batcher, held, now) =
            (batcher(2, 1000), HeldDeliveries::default(), Instant::now());
        batcher.add(delivery("a", 5, &held), now);
        assert!(batcher.add(delivery("a", 5, &held), now).is_empty());
        let closed = batcher.add(delivery("b", 5, &held), now);
        assert_eq!(ids(&closed), [["a", "b"]]);
        assert_eq!((closed[0].bytes, closed[0].duplicates), (10, 1));
        assert_eq!(closed[0].messages["a"].holds.len(), 2);
    }

    #[test]
    fn an_adaptive_batch_closes_once_all_is_there_that_a_receive_brought() {
        let (mut batcher, held, now) = (adaptive(), HeldDeliveries::default(), Instant::now());
        batcher.expect(2, false, now);
        batcher.add(delivery("a", 1, &held), now);
        assert!(batcher.close_due(now, false).is_none());
        batcher.add(delivery("b", 1, &held), now);
        // Another receiver brings more.
        batcher.expect(1, false, now);
        assert!(batcher.close_due(now, false).is_none());
        batcher.add(delivery("c", 1, &held), now);
        assert_eq!(batcher.close_due(now, false).unwrap().messages.len(), 3);
        assert_eq!(batcher.deadline(false), None);
    }

    #[test]
    fn an_adaptive_batch_waits_for_what_is_being_written_but_not_past_its_time() {
        let (mut batcher, held, now) = (adaptive(), HeldDeliveries::default(), Instant::now());
        let at = |ms| now + Duration::from_millis(ms);
        for (id, ms) in [("a", 0), ("b", 700)] {
            batcher.expect(1, false, at(ms));
            batcher.add(delivery(id, 1, &held), at(ms));
            assert!(batcher.close_due(at(ms), true).is_none());
        }
        assert_eq!(batcher.deadline(true), Some(at(2000)));
        assert!(batcher.deadline(false).unwrap() <= at(700));
        assert_eq!(batcher.close_due(at(2000), true).unwrap().messages.len(), 2);
    }

    #[test]
    fn an_adaptive_batch_stays_open_while_any_receiver_brings_full_ones() {
        let (mut batcher, held, now) = (adaptive(), HeldDeliveries::default(), Instant::now());
        let at = |ms| now + Duration::from_millis(ms);
        for (id, full, ms) in [("a", true, 0), ("b", true, 80), ("c", false, 120)] {
            batcher.expect(1, full, at(ms));
            batcher.add(delivery(id, 1, &held), at(ms));
            assert!(batcher.close_due(at(ms), false).is_none());
        }
        // The poll after the last full one waits: there is nothing more.
        assert_eq!(batcher.deadline(false), Some(at(180)));
        assert_eq!(batcher.close_due(at(180), false).unwrap().messages.len(), 3);
    }

    #[test]
    fn adaptive_batches_keep_a_distance_and_one_after_a_pause_goes_at_once() {
        let (mut batcher, held, now) = (adaptive(), HeldDeliveries::default(), Instant::now());
        let at = |ms| now + Duration::from_millis(ms);
        for (id, ms, due) in [("a", 0, 0), ("b", 30, 200), ("c", 1000, 1000)] {
            batcher.expect(1, false, at(ms));
            batcher.add(delivery(id, 1, &held), at(ms));
            assert_eq!(batcher.deadline(false), Some(at(due)), "{id}");
            assert_eq!(batcher.close_due(at(due), false).unwrap().messages.len(), 1);
        }
    }

    proptest! {
        #[test]
        fn batching_neither_loses_nor_repeats_and_keeps_its_bounds(
            arrivals in prop::collection::vec((0_usize..60, 0_usize..30, 0_u64..1500), 0..300),
            max_messages in 1_usize..12,
            max_bytes in 1_usize..80,
        ) {
            let (mut batcher, held) = (batcher(max_messages, max_bytes), HeldDeliveries::default());
            let start = Instant::now();
            let mut now = start;
            let mut opened: Option<Instant> = None;
            let mut batches = Vec::new();
            for (id, bytes, pause) in &arrivals {
                now += Duration::from_millis(*pause);
                if let Some(deadline) = batcher.deadline(false) {
                    prop_assert!(Some(deadline) == opened.map(|at| at + Duration::from_secs(2)));
                }
                let closed = batcher.add(delivery(&id.to_string(), *bytes, &held), now);
                if batcher.deadline(false).is_none() {
                    opened = None;
                } else if opened.is_none() || !closed.is_empty() {
                    opened = Some(now);
                }
                batches.extend(closed);
            }
            batches.extend(batcher.take());
            let mut deliveries = 0;
            for batch in &batches {
                let bytes: usize = batch.messages.values().map(|one| one.contents.lines.len()).sum();
                prop_assert_eq!(bytes, batch.bytes);
                prop_assert!((1..=max_messages).contains(&batch.messages.len()));
                prop_assert!(bytes <= max_bytes || batch.messages.len() == 1
                    || batch.messages.values().filter(|one| !one.contents.lines.is_empty()).count() == 1);
                let holds: usize = batch.messages.values().map(|one| one.holds.len()).sum();
                prop_assert_eq!(holds, batch.messages.len() + batch.duplicates);
                deliveries += holds;
            }
            prop_assert_eq!(deliveries, arrivals.len());
            prop_assert_eq!(held.len(), arrivals.len());
            drop(batches);
            prop_assert_eq!(held.len(), 0);
        }

        #[test]
        fn adaptive_batching_neither_loses_nor_repeats_and_leaves_nothing_waiting(
            receives in prop::collection::vec(
                (prop::collection::vec((0_usize..60, 0_usize..30), 0..6), any::<bool>(), any::<bool>(), 0_u64..300),
                0..100,
            ),
            max_messages in 1_usize..12,
            max_bytes in 1_usize..80,
        ) {
            let limits = Limits {
                max_messages,
                max_wait: Duration::from_secs(2),
                max_bytes,
                adaptive: true,
            };
            let (mut batcher, held) = (Batcher::new(limits), HeldDeliveries::default());
            let (mut now, mut full_at, mut closed_at) = (Instant::now(), None, None);
            let (mut batches, mut arrived) = (Vec::new(), 0);
            for (messages, full, writing, pause) in receives {
                now += Duration::from_millis(pause);
                batcher.expect(messages.len(), full, now);
                full_at = full.then_some(now).or(full_at);
                for (id, bytes) in messages {
                    prop_assert!(batcher.deadline(false) == batcher.deadline(true), "halfway through a receive");
                    let closed = batcher.add(delivery(&id.to_string(), bytes, &held), now);
                    closed_at = (!closed.is_empty()).then_some(now).or(closed_at);
                    batches.extend(closed);
                    arrived += 1;
                }
                let closed = batcher.close_due(now, writing);
                closed_at = closed.is_some().then_some(now).or(closed_at);
                batches.extend(closed);
                let quiet = full_at.is_none_or(|at| now >= at + FULL_FOR)
                    && closed_at.is_none_or(|at| now >= at + SPACING);
                prop_assert!(writing || !quiet || batcher.deadline(false).is_none(), "waits for nothing");
            }
            batches.extend(batcher.take());
            let deliveries: usize = batches.iter().flat_map(|batch| batch.messages.values()).map(|one| one.holds.len()).sum();
            prop_assert_eq!(deliveries, arrived);
            prop_assert_eq!(held.len(), arrived);
            for batch in &batches {
                prop_assert!((1..=max_messages).contains(&batch.messages.len()));
            }
        }
    }
}
