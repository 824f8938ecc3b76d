//! Failures of S3, SQS and messages: nothing is lost, and good messages beside bad ones are written.

mod support;

use std::time::Duration;

use batch_consumer::dlq::{self, Filter};
use local_aws::{FaultKind, Faults};
use support::*;
use tokio_util::sync::CancellationToken;

/// Attempts of the SDK at one call.
const ATTEMPTS: u64 = 4;

#[tokio::test(start_paused = true)]
async fn a_put_that_fails_is_retried_once_at_once() {
    let bench = Bench::new().await;
    bench.send(&singles(0..10)).await;
    bench
        .cloud
        .fail_next("PutObject", ATTEMPTS, FaultKind::InternalError);
    let running = bench.start();
    let waited = bench.drained().await;
    assert!(waited < Duration::from_secs(20), "{waited:?}");
    assert_eq!(bench.ids(), names(0..10));
    running.stopped().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_put_whose_answer_is_lost_overwrites_itself() {
    let bench = Bench::new().await;
    bench.send(&singles(0..10)).await;
    bench
        .cloud
        .fail_next("PutObject", ATTEMPTS + 1, FaultKind::CutAfter);
    let running = bench.start();
    bench.drained().await;
    assert!(bench.requests("PutObject") > ATTEMPTS);
    assert_eq!(bench.raw().len(), 1);
    assert_eq!(bench.ids(), names(0..10));
    running.stopped().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn messages_that_cannot_be_written_come_again() {
    let bench = Bench::new().await;
    bench.send(&singles(0..10)).await;
    bench
        .cloud
        .fail_next("PutObject", 2 * ATTEMPTS, FaultKind::InternalError);
    let running = bench.start();
    seconds(20).await;
    assert!(bench.raw().is_empty());
    assert_eq!(bench.queued(), 10);
    assert_eq!(bench.requests("DeleteMessageBatch"), 0);
    bench.drained().await;
    assert_eq!(bench.ids(), names(0..10));
    assert!(bench.letters().is_empty());
    running.stopped().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_never_written_become_dead_letters_and_a_replay_brings_them_back() {
    let bench =
        Bench::with(Faults::seeded(1).rule(FaultKind::InternalError, "PutObject", 1.0)).await;
    bench.send(&packs(&[stored("a"), stored("b")])).await;
    bench.send(&singles(0..1)).await;
    let running = bench.start();
    until("two letters", || bench.letters().len() == 2).await;
    assert!(bench.raw().is_empty());
    bench.cloud.set_faults(Faults::none());
    let stop = CancellationToken::new();
    let kinds = contract::Kinds::builtin();
    let listing = dlq::list(&bench.dlq, &kinds, &Filter::default(), &stop)
        .await
        .unwrap();
    assert!(
        listing
            .letters
            .iter()
            .all(|letter| letter.reason == "max_receives")
    );
    let arrived = listing.letters[0].received_at;
    let filter = Filter::default();
    let replayed = dlq::replay(&bench.dlq, &bench.queue, &filter, false, &stop, |_, _| {}).await;
    assert_eq!(replayed.unwrap().sent, 2);
    bench.drained().await;
    until("three events", || bench.ids().len() == 3).await;
    assert_eq!(bench.ids(), ["a", "b", "id-000000"]);
    // The plain event keeps the time at which it was first received.
    let first = contract::format_millis(arrived);
    assert!(
        bench
            .raw()
            .values()
            .flatten()
            .any(|line| line.contains(&first))
    );
    running.stopped().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_poison_message_goes_to_the_dead_letter_queue_alone() {
    let bench = Bench::new().await;
    let mut messages = packs(&[stored("a"), stored("b")]);
    let mut newer = packs(&[stored("c")]).remove(0);
    newer.attributes.insert("version".into(), "9".into());
    messages.push(newer.clone());
    messages.push(plain("\u{1f4a9} not JSON at all"));
    messages.push(plain(sent("d")));
    bench.send(&messages).await;
    let running = bench.start();
    bench.drained().await;
    assert_eq!(bench.ids(), ["a", "b", "d"]);
    let mut letters = bench.letters();
    letters.sort_by_key(|letter| letter.attributes.len());
    assert_eq!(letters.len(), 2);
    assert_eq!(letters[0].body, "\u{1f4a9} not JSON at all");
    assert_eq!(letters[1].body, newer.body);
    assert_eq!(letters[1].attributes["codec"], "ndjson+zstd+base64");
    assert_eq!(letters[1].attributes["version"], "9");
    assert!(letters[1].attributes["detail"].contains("version `9`"));
    for letter in &letters {
        assert_eq!(letter.attributes["reason"], "undecodable");
        assert!(letter.attributes["received_at"].starts_with("2025-10-04T12:30:0"));
        assert!(!letter.attributes["source_message_id"].is_empty());
    }
    running.stopped().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_event_that_breaks_its_contract_is_a_letter_of_its_own() {
    let bench = Bench::new().await;
    let broken = stored("b").replace("2150", "\"fast\"");
    let late = sent("e").replace("2025-10-04T12:29:58.000Z", "2025-10-04T12:29:58");
    bench
        .send(&packs(&[stored("a"), broken.clone(), stored("c")]))
        .await;
    bench
        .send(&[plain(format!("{}\n{late}\n{{\"truncated", sent("d")))])
        .await;
    let running = bench.start();
    bench.drained().await;
    assert_eq!(bench.ids(), ["a", "c", "d"]);
    let mut letters: Vec<(String, String)> = bench
        .letters()
        .into_iter()
        .map(|letter| (letter.attributes["reason"].clone(), letter.body))
        .collect();
    letters.sort();
    assert_eq!(
        letters,
        [
            ("invalid_json".to_owned(), "{\"truncated".to_owned()),
            ("timestamp_without_zone".to_owned(), late),
            ("wrong_type".to_owned(), broken),
        ]
    );
    running.stopped().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_letter_cannot_be_sent_stays_and_its_neighbours_go() {
    let bench = Bench::new().await;
    bench.send(&[plain("not JSON"), plain(sent("a"))]).await;
    bench
        .cloud
        .fail_next("SendMessageBatch", ATTEMPTS, FaultKind::InternalError);
    let running = bench.start();
    until("the neighbour", || bench.ids() == ["a"]).await;
    seconds(5).await;
    assert_eq!(bench.queued(), 1);
    assert!(bench.letters().is_empty());
    bench.drained().await;
    assert_eq!(bench.letters().len(), 1);
    assert_eq!(bench.ids(), ["a"]);
    running.stopped().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_delivered_twice_in_a_batch_is_written_once() {
    let faults = Faults::seeded(7).rule(FaultKind::DuplicateDelivery, "ReceiveMessage", 1.0);
    let bench = Bench::with(faults).await;
    let running = bench.start();
    for at in 0..8 {
        bench.send(&singles(at..at + 1)).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    bench.drained().await;
    let duplicates = bench.cloud.faults_fired()["duplicate_delivery:ReceiveMessage"];
    assert!(duplicates > 0);
    assert_eq!(bench.ids(), names(0..8));
    running.stopped().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_comes_again_has_the_same_key() {
    let bench = Bench::new().await;
    bench.send(&singles(0..10)).await;
    bench
        .cloud
        .fail_next("DeleteMessageBatch", ATTEMPTS, FaultKind::InternalError);
    let running = bench.start();
    until("the first write", || !bench.raw().is_empty()).await;
    let waited = bench.drained().await;
    assert!(
        waited > Duration::from_secs(30),
        "they came again: {waited:?}"
    );
    assert!(bench.requests("PutObject") >= 2);
    assert_eq!(bench.raw().len(), 1);
    assert_eq!(bench.ids(), names(0..10));
    running.stopped().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn messages_stay_hidden_while_a_slow_put_lasts_and_go_only_after_it() {
    let slow = Duration::from_secs(25)..Duration::from_secs(26);
    let mut bench = Bench::with(Faults::seeded(1).slow("PutObject", 1.0, slow)).await;
    bench.config.visibility_timeout = Duration::from_secs(6);
    bench.send(&singles(0..15)).await;
    let running = bench.start();
    for _ in 0..20 {
        seconds(1).await;
        assert_eq!(bench.queued(), 15);
    }
    assert!(bench.requests("ChangeMessageVisibilityBatch") > 0);
    assert!(bench.raw().is_empty());
    bench.drained().await;
    assert_eq!(bench.requests("PutObject"), 1);
    assert_eq!(bench.ids(), names(0..15));
    running.stopped().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn failed_receives_are_waited_out() {
    let bench = Bench::new().await;
    bench.send(&singles(0..10)).await;
    bench
        .cloud
        .fail_next("ReceiveMessage", 60, FaultKind::ServiceUnavailable);
    let running = bench.start();
    bench.drained().await;
    assert_eq!(bench.ids(), names(0..10));
    running.stopped().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_gone_ends_the_consumer_with_an_error_that_names_it() {
    let bench = Bench::new().await;
    let running = bench.start();
    seconds(3).await;
    let sqs = aws_sdk_sqs::Client::from_conf(
        aws_sdk_sqs::Config::builder()
            .http_client(bench.cloud.http_client())
            .endpoint_url(bench.cloud.endpoint())
            .region(aws_sdk_sqs::config::Region::new("us-east-1"))
            .credentials_provider(aws_sdk_sqs::config::Credentials::new(
                "t", "t", None, None, "t",
            ))
            .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
            .build(),
    );
    sqs.delete_queue()
        .queue_url(bench.queue.url())
        .send()
        .await
        .unwrap();
    let error = format!("{:#}", running.ended().await.unwrap_err());
    assert!(
        error.contains("cannot receive") && error.contains("sqs:ReceiveMessage"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_missing_queue_or_bucket_is_named_at_the_start() {
    let mut bench = Bench::new().await;
    bench.config.create.create = Some(false);
    bench.config.lake.lake_bucket = "elsewhere".into();
    let error = format!("{:#}", bench.start().ended().await.unwrap_err());
    assert!(
        error.contains("elsewhere") && error.contains("--create"),
        "{error}"
    );
    bench.config.queue.queue_name = "nowhere".into();
    let error = format!("{:#}", bench.start().ended().await.unwrap_err());
    assert!(
        error.contains("nowhere") && error.contains("--create"),
        "{error}"
    );
    bench.config.create.create = None;
    let running = bench.start();
    seconds(1).await;
    running.stopped().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_event_is_missing_after_a_minute_of_random_faults() {
    for seed in 0..5 {
        let faults = Faults::seeded(seed)
            .rule(FaultKind::InternalError, "*", 0.1)
            .rule(FaultKind::CutAfter, "*", 0.1)
            .rule(FaultKind::EntryFailure, "*", 0.1)
            .rule(FaultKind::DuplicateDelivery, "ReceiveMessage", 0.2)
            .slow("*", 0.2, Duration::from_millis(5)..Duration::from_secs(3));
        let mut bench = Bench::new().await;
        bench.config.batch_max_messages = 20;
        bench.send(&singles(0..300)).await;
        bench.send(&[plain("poison")]).await;
        bench.cloud.set_faults(faults);
        let running = bench.start();
        seconds(60).await;
        bench.cloud.set_faults(Faults::none());
        bench.drained().await;
        let mut ids = bench.ids();
        ids.dedup();
        assert_eq!(ids, names(0..300), "seed {seed}");
        assert!(!bench.letters().is_empty(), "seed {seed}");
        running.stopped().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn messages_count_as_deleted_once_they_are() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let page = recorder.handle();
    let _recorder = metrics::set_default_local_recorder(&recorder);
    let bench = Bench::new().await;
    bench.send(&singles(0..10)).await;
    bench
        .cloud
        .fail_next("DeleteMessageBatch", ATTEMPTS, FaultKind::InternalError);
    let running = bench.start();
    bench.drained().await;
    running.stopped().await.unwrap();
    let page = page.render();
    for line in [
        "headwater_consumer_messages_total 10",
        "headwater_consumer_delete_failures_total 10",
    ] {
        assert!(
            page.lines().any(|one| one == line),
            "no `{line}` in\n{page}"
        );
    }
}
