//! Messages at chosen times, and the batches that they give.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::batcher::{Batch, Batcher, FULL_FOR, Limits, SPACING};
use crate::receive::contents::Contents;
use crate::receive::delivery::Delivery;
use crate::receive::held::HeldDeliveries;

fn delivery(id: &str, bytes: usize, held: &HeldDeliveries) -> Delivery {
    Delivery {
        id: id.into(),
        contents: Contents {
            lines: vec![b'x'; bytes],
            ..Contents::default()
        },
        holds: vec![held.hold(format!("receipt of {id}"))],
        _permit: None,
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
    let (mut batcher, held, now) = (batcher(3, 1000), HeldDeliveries::default(), Instant::now());
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
    let (mut batcher, held, now) = (batcher(100, 10), HeldDeliveries::default(), Instant::now());
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
    let (mut batcher, held, now) = (batcher(2, 1000), HeldDeliveries::default(), Instant::now());
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
