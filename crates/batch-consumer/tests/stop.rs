//! What a stop does with what is held.

#![allow(
    clippy::unwrap_used,
    reason = "a test's helpers may panic as the test itself may"
)]

mod support;

use std::ops::Range;
use std::time::Duration;

use local_aws::{FaultKind, Faults};
use support::*;
use tokio::time::Instant;

/// Stops the consumer within its grace; then all `messages` are visible in the queue again.
async fn gives_all_back(bench: &Bench, running: Running, messages: usize) {
    let start = Instant::now();
    running.stopped().await.unwrap();
    let took = start.elapsed();
    assert!(took <= bench.config.shutdown_grace, "{took:?}");
    let counts = bench.cloud.queue_counts(bench.queue.name()).unwrap();
    assert_eq!((counts.visible, counts.in_flight), (messages, 0));
}

/// Ends the faults and starts another consumer; says how long it took to write the events. Some may
/// have been written before, by a put that took effect and whose answer was lost.
async fn the_next_one_writes(bench: &Bench, events: Range<usize>) -> Duration {
    bench.cloud.set_faults(Faults::none());
    let running = bench.start();
    let waited = bench.drained().await;
    let mut ids = bench.ids();
    ids.dedup();
    assert_eq!(ids, names(events));
    running.stopped().await.unwrap();
    waited
}

#[tokio::test(start_paused = true)]
async fn a_stop_writes_and_deletes_what_is_held() {
    let mut bench = Bench::new().await;
    bench.config.batch_max_wait = Duration::from_secs(50);
    bench.send(&singles(0..37)).await;
    let running = bench.start();
    seconds(3).await;
    assert!(bench.raw().is_empty());
    let start = Instant::now();
    running.stop.cancel();
    // What is held does not wait for the poll in flight.
    seconds(1).await;
    assert_eq!(bench.ids(), names(0..37));
    assert_eq!(bench.queued(), 0);
    running.ended().await.unwrap();
    assert!(start.elapsed() <= bench.config.poll_wait);
}

#[tokio::test(start_paused = true)]
async fn messages_that_a_poll_brings_after_the_stop_are_given_back() {
    let bench = Bench::new().await;
    let running = bench.start();
    seconds(3).await;
    running.stop.cancel();
    seconds(1).await;
    bench.send(&singles(0..1)).await;
    running.ended().await.unwrap();
    assert!(bench.raw().is_empty());
    let counts = bench.cloud.queue_counts(bench.queue.name()).unwrap();
    assert_eq!((counts.visible, counts.in_flight), (1, 0));
    // The poll in flight was waited for: a client that hangs up may leave a message hidden.
    assert_eq!(bench.cloud.messages(bench.queue.name())[0].receive_count, 1);
}

#[tokio::test(start_paused = true)]
async fn messages_that_cannot_be_written_within_the_grace_are_given_back() {
    let slow = Duration::from_secs(25)..Duration::from_secs(26);
    let mut bench = Bench::with(Faults::seeded(1).slow("PutObject", 1.0, slow)).await;
    bench.config.shutdown_grace = Duration::from_secs(12);
    bench.send(&singles(0..15)).await;
    let running = bench.start();
    seconds(3).await;
    gives_all_back(&bench, running, 15).await;
    the_next_one_writes(&bench, 0..15).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_in_the_middle_of_a_flood_leaves_each_event_in_the_queue_or_in_the_lake() {
    let mut bench = Bench::new().await;
    bench.config.batch_max_messages = 30;
    bench.send(&singles(0..1000)).await;
    for pause in [20, 50, 110, 230] {
        let running = bench.start();
        tokio::time::sleep(Duration::from_millis(pause)).await;
        running.stopped().await.unwrap();
        let counts = bench.cloud.queue_counts(bench.queue.name()).unwrap();
        assert_eq!(counts.in_flight, 0);
        assert_eq!(counts.visible + bench.ids().len(), 1000);
    }
    let running = bench.start();
    bench.drained().await;
    assert_eq!(bench.ids(), names(0..1000));
    running.stopped().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_writes_fail_gives_back_what_is_held_and_what_was_left_before() {
    let failing = || Faults::seeded(1).rule(FaultKind::InternalError, "PutObject", 1.0);
    let mut bench = Bench::with(failing()).await;
    bench.config.batch_max_messages = 10;
    bench.send(&singles(0..35)).await;
    let running = bench.start();
    seconds(20).await;
    let counts = bench.cloud.queue_counts(bench.queue.name()).unwrap();
    assert!(counts.in_flight >= 10, "{counts:?}");
    gives_all_back(&bench, running, 35).await;
    let waited = the_next_one_writes(&bench, 0..35).await;
    assert!(waited < Duration::from_secs(5), "{waited:?}");
    // No put took effect before.
    assert_eq!(bench.ids(), names(0..35));
}

#[tokio::test(start_paused = true)]
async fn messages_that_wait_for_memory_while_writes_hang_are_given_back_at_the_stop() {
    let hang = Duration::from_secs(100)..Duration::from_secs(101);
    let mut bench = Bench::with(Faults::seeded(1).slow("PutObject", 1.0, hang)).await;
    // Eight of those batches may be in memory: the packs are many more.
    bench.config.batch_max_bytes = "300KB".parse().unwrap();
    let lines: Vec<String> = (0..30_000).map(|id| stored(&name(id))).collect();
    for part in lines.chunks(500) {
        bench.send(&packs(part)).await;
    }
    let running = bench.start();
    seconds(5).await;
    gives_all_back(&bench, running, 60).await;
    the_next_one_writes(&bench, 0..30_000).await;
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_hangs_delays_neither_the_last_write_nor_the_stop() {
    let mut bench = Bench::new().await;
    bench.config.batch_max_wait = Duration::from_secs(50);
    bench.send(&singles(0..5)).await;
    let running = bench.start();
    seconds(3).await;
    assert!(bench.raw().is_empty());
    let hang = Duration::from_secs(100)..Duration::from_secs(101);
    let hanging = [
        "ReceiveMessage",
        "DeleteMessageBatch",
        "ChangeMessageVisibilityBatch",
    ]
    .iter()
    .fold(Faults::seeded(1), |faults, operation| {
        faults.slow(operation, 1.0, hang.clone())
    });
    bench.cloud.set_faults(hanging);
    let start = Instant::now();
    running.stopped().await.unwrap();
    assert!(
        start.elapsed() < bench.config.shutdown_grace,
        "{:?}",
        start.elapsed()
    );
    assert_eq!(bench.ids(), names(0..5));
    // They could not be deleted: they come again, as the same object.
    bench.cloud.set_faults(Faults::none());
    let running = bench.start();
    seconds(70).await;
    running.stopped().await.unwrap();
    assert_eq!((bench.queued(), bench.raw().len()), (0, 1));
    assert_eq!(bench.ids(), names(0..5));
}
