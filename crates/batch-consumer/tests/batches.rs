//! When batches close, and what they become.

mod support;

use std::time::Duration;

use bytesize::ByteSize;
use local_aws::Faults;
use support::*;

#[tokio::test(start_paused = true)]
async fn a_batch_closes_at_its_hundredth_message() {
    let mut bench = Bench::new().await;
    bench.config.batch_max_wait = Duration::from_secs(50);
    bench.send(&singles(0..250)).await;
    let running = bench.start();
    until("two batches", || bench.raw().len() == 2).await;
    assert!(bench.raw().values().all(|lines| lines.len() == 100));
    let waited = bench.drained().await;
    assert!(waited > Duration::from_secs(45), "{waited:?}");
    assert_eq!(bench.raw().len(), 3);
    assert_eq!(bench.ids(), names(0..250));
    running.stopped().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_batch_closes_two_seconds_after_its_first_message() {
    let bench = Bench::new().await;
    let running = bench.start();
    seconds(5).await;
    bench.send(&singles(0..1)).await;
    seconds(1).await;
    bench.send(&singles(1..2)).await;
    assert!(bench.raw().is_empty());
    let waited = bench.drained().await;
    assert!((900..1500).contains(&waited.as_millis()), "{waited:?}");
    assert_eq!(bench.raw().len(), 1);
    assert_eq!(bench.ids(), names(0..2));
    running.stopped().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_batch_closes_before_it_has_too_many_bytes() {
    let mut bench = Bench::new().await;
    bench.config.batch_max_bytes = ByteSize::kb(2);
    bench.send(&singles(0..60)).await;
    let running = bench.start();
    bench.drained().await;
    let raw = bench.raw();
    assert!(raw.len() >= 6, "{} objects", raw.len());
    for lines in raw.values() {
        let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
        assert!(bytes <= 2000, "{bytes} bytes");
    }
    assert_eq!(bench.ids(), names(0..60));
    running.stopped().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn packs_are_written_line_by_line_with_metadata_and_by_arrival_hour() {
    let bench = Bench::new().await;
    let mut lines: Vec<String> = (0..5000).map(|id| stored(&name(id))).collect();
    lines.extend((5000..5003).map(|id| stored_at(&name(id), "2025-10-04T13:00:00.000Z")));
    bench.send(&packs(&lines)).await;
    let running = bench.start();
    bench.drained().await;
    let raw = bench.raw();
    let keys: Vec<&String> = raw.keys().collect();
    assert_eq!(keys.len(), 2);
    assert!(keys[0].starts_with("raw/year=2025/month=10/day=04/hour=12/part-"));
    assert!(keys[1].starts_with("raw/year=2025/month=10/day=04/hour=13/part-"));
    assert!(keys.iter().all(|key| contract::raw_part_id(key).is_some()));
    assert_eq!(bench.ids(), names(0..5003));
    let mut written: Vec<&String> = raw.values().flatten().collect();
    written.sort();
    let mut expected: Vec<&String> = lines.iter().collect();
    expected.sort();
    assert_eq!(written, expected);
    let lake = bench.aws.lake(&bench.config.lake.lake_bucket);
    let metadata = lake.get(keys[1]).await.unwrap().unwrap().metadata;
    assert_eq!(metadata["events"], "3");
    assert_eq!(metadata["first-event-time"], "2025-10-04T12:29:58.000Z");
    assert_eq!(metadata["last-event-time"], "2025-10-04T12:29:58.000Z");
    running.stopped().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn json_arrays_and_lines_written_by_hand_are_taken() {
    let bench = Bench::new().await;
    bench
        .send(&[
            plain(sent("one").replace(',', ",\n  ")),
            plain(format!("[{}, {}]", sent("two"), sent("three"))),
            plain(format!("{}\n\n{}\n", sent("four"), stored("five"))),
        ])
        .await;
    let running = bench.start();
    bench.drained().await;
    assert_eq!(bench.ids(), ["five", "four", "one", "three", "two"]);
    assert!(bench.letters().is_empty());
    let lines: Vec<String> = bench.raw().into_values().flatten().collect();
    // Received when SQS took the message, or as the line says.
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.contains("T12:30:00"))
            .count(),
        4
    );
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.contains("T12:29:59"))
            .count(),
        1
    );
    running.stopped().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_empty_queue_costs_one_long_poll_at_a_time() {
    let bench = Bench::new().await;
    let running = bench.start();
    seconds(60).await;
    assert!((5..=7).contains(&bench.requests("ReceiveMessage")));
    running.stopped().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_trickle_gathers_into_few_receives_and_a_flood_is_taken_in_full_ones() {
    let bench = Bench::new().await;
    let running = bench.start();
    for at in 0..100 {
        bench.send(&singles(at..at + 1)).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bench.drained().await;
    let trickle = bench.requests("ReceiveMessage");
    assert!(trickle <= 30, "{trickle} receives for 100 messages in 2 s");
    bench.send(&singles(100..2100)).await;
    bench.drained().await;
    let flood = bench.requests("ReceiveMessage") - trickle;
    assert!(flood <= 215, "{flood} receives for 2,000 messages");
    assert_eq!(bench.ids(), names(0..2100));
    running.stopped().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn packs_are_received_and_deleted_in_nearly_full_calls() {
    let bench = Bench::new().await;
    let lines: Vec<String> = (0..50_000).map(|id| stored(&name(id))).collect();
    let messages = packs(&lines);
    bench.send(&messages).await;
    let before = bench.aws.meter().usage();
    let running = bench.start();
    bench.drained().await;
    let after = bench.aws.meter().usage();
    let calls = |operation: &str| {
        let count = |usage: &std::collections::BTreeMap<&'static str, aws::Usage>| {
            usage.get(operation).copied().unwrap_or_default().requests
        };
        count(&after) - count(&before)
    };
    let full = messages.len().div_ceil(10) as u64;
    let (receives, deletes) = (calls("sqs:ReceiveMessage"), calls("sqs:DeleteMessageBatch"));
    assert!(
        receives <= full + 6,
        "{receives} receives for {} messages",
        messages.len()
    );
    assert!(
        deletes <= 2 * full,
        "{deletes} deletes for {} messages",
        messages.len()
    );
    running.stopped().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_adaptive_consumer_writes_a_lone_message_at_once() {
    let mut bench = Bench::new().await;
    bench.config.batch_adaptive = true;
    let running = bench.start();
    for at in 0..3 {
        seconds(5).await;
        bench.send(&singles(at..at + 1)).await;
        let waited = bench.drained().await;
        assert!(waited < Duration::from_millis(100), "{waited:?}");
    }
    assert_eq!(bench.raw().len(), 3);
    // One after the other: five objects a second, not one each.
    for at in 3..53 {
        bench.send(&singles(at..at + 1)).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let waited = bench.drained().await;
    assert!(waited < Duration::from_millis(300), "{waited:?}");
    let objects = bench.raw().len() - 3;
    assert!((4..=7).contains(&objects), "{objects} objects in a second");
    let receives = bench.requests("ReceiveMessage");
    assert!(receives <= 24, "{receives} receives");
    assert_eq!(bench.ids(), names(0..53));
    running.stopped().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_adaptive_consumer_gathers_messages_while_it_writes_without_more_receives() {
    let put = Duration::from_millis(200)..Duration::from_millis(201);
    let mut bench = Bench::with(Faults::seeded(1).slow("PutObject", 1.0, put)).await;
    bench.config.batch_adaptive = true;
    let running = bench.start();
    for at in 0..100 {
        bench.send(&singles(at..at + 1)).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let waited = bench.drained().await;
    assert!(waited < Duration::from_millis(500), "{waited:?}");
    let (objects, receives) = (bench.raw().len(), bench.requests("ReceiveMessage"));
    assert!((8..=12).contains(&objects), "{objects} objects in 2 s");
    assert!(
        receives <= 30,
        "{receives} receives for 100 messages in 2 s"
    );
    assert_eq!(bench.ids(), names(0..100));
    running.stopped().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_adaptive_consumer_fills_its_batches_at_a_flood_and_does_not_wait_after_it() {
    let put = Duration::from_millis(50)..Duration::from_millis(51);
    let receive = Duration::from_millis(20)..Duration::from_millis(60);
    let slow = Faults::seeded(1)
        .slow("PutObject", 1.0, put)
        .slow("ReceiveMessage", 1.0, receive);
    let mut bench = Bench::with(slow).await;
    bench.config.batch_adaptive = true;
    bench.send(&singles(0..2000)).await;
    let running = bench.start();
    bench.drained().await;
    let sizes: Vec<usize> = bench.raw().values().map(Vec::len).collect();
    assert_eq!(sizes, [100; 20]);
    // The last receive is full, so that none tells that the queue is empty.
    bench.send(&singles(2000..2010)).await;
    let waited = bench.drained().await;
    assert!(waited < Duration::from_millis(400), "{waited:?}");
    assert_eq!(bench.ids(), names(0..2010));
    running.stopped().await.unwrap();
}
