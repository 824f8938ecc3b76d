//! What a stop does with what is held.

mod support;

use std::time::Duration;

use local_aws::Faults;
use support::*;
use tokio::time::Instant;

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
async fn what_a_poll_brings_after_the_stop_is_given_back() {
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
async fn what_cannot_be_written_within_the_grace_is_given_back() {
    let slow = Duration::from_secs(25)..Duration::from_secs(26);
    let mut bench = Bench::with(Faults::seeded(1).slow("PutObject", 1.0, slow)).await;
    bench.config.shutdown_grace = Duration::from_secs(12);
    bench.send(&singles(0..15)).await;
    let running = bench.start();
    seconds(3).await;
    let start = Instant::now();
    running.stopped().await.unwrap();
    assert!(
        start.elapsed() <= Duration::from_secs(12),
        "{:?}",
        start.elapsed()
    );
    let counts = bench.cloud.queue_counts(bench.queue.name()).unwrap();
    assert_eq!((counts.visible, counts.in_flight), (15, 0));
    // The next consumer has them.
    bench.cloud.set_faults(Faults::none());
    let running = bench.start();
    bench.drained().await;
    let mut ids = bench.ids();
    ids.dedup();
    assert_eq!(ids, names(0..15));
    running.stopped().await.unwrap();
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
