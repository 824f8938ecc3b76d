//! What a run is made of: sending to an ingest that answers as it must or not at all, and waiting.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws::{Aws, Condition};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use chrono::Utc;
use contract::{Hour, Kinds, SentReader};
use judge::{
    Arrivals, Drained, EventsWithIds, Ledger, Places, Question, Scope, SendOptions, Sender, Sent,
    judge, wait_for_all, wait_for_drain,
};
use simulator::{Client, ClientConfig, Generator, Plan};
use tokio_util::sync::CancellationToken;

const MINUTE: Duration = Duration::from_secs(60);

/// An ingest that validates and keeps nothing; from the post `fails_from` on it answers 503.
async fn ingest(fails_from: usize) -> String {
    let posts = Arc::new(AtomicUsize::new(0));
    let answer = move |body: String| {
        let fails = posts.fetch_add(1, Ordering::SeqCst) >= fails_from;
        async move {
            if fails {
                return (StatusCode::SERVICE_UNAVAILABLE, String::new());
            }
            let kinds = Kinds::builtin();
            let mut reader = SentReader::new(&kinds, None);
            let rejected: Vec<_> = body
                .lines()
                .enumerate()
                .filter_map(|(index, line)| Some((index, reader.read(line, Utc::now()).err()?)))
                .map(|(index, why)| {
                    format!(r#"{{"index":{index},"code":"{}"}}"#, why.code.as_str())
                })
                .collect();
            let accepted = body.lines().count() - rejected.len();
            let rejected = rejected.join(",");
            let answer = format!(r#"{{"accepted":{accepted},"rejected":[{rejected}]}}"#);
            (StatusCode::ACCEPTED, answer)
        }
    };
    let router = Router::new().route("/v1/events", post(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

async fn send(url: &str, batch: usize, ledger: &mut Ledger) -> Sent {
    let kinds = Arc::new(Kinds::builtin());
    let config = ClientConfig {
        retry_for: Duration::ZERO,
        ..ClientConfig::new(url, "any-key-at-all".to_owned().into())
    };
    let sender = Sender {
        client: Arc::new(Client::new(&config).unwrap()),
        kinds: kinds.clone(),
        stop: CancellationToken::new(),
    };
    let plan = Plan {
        count: Some(1_000),
        seed: 3,
        duplicates: 0.1,
        broken: 0.1,
        ..Plan::default()
    }
    .spread_before(Utc::now(), MINUTE);
    let events = EventsWithIds::new(Generator::new(&plan).unwrap(), kinds, 3);
    let options = SendOptions {
        batch,
        connections: 1,
        rate: None,
    };
    sender.send(events, &options, ledger, |_| {}).await.unwrap()
}

#[tokio::test]
async fn what_is_accepted_is_in_the_ledger_and_what_is_broken_is_not() {
    for batch in [1, 7, 500] {
        let mut ledger = Ledger::new();
        let sent = send(&ingest(usize::MAX).await, batch, &mut ledger).await;
        assert!(sent.is_fine(), "{sent}");
        assert_eq!((sent.total(), sent.maybe), (1_000, 0));
        assert_eq!(sent.accepted + sent.total_refused(), 1_000);
        assert_eq!(ledger.acceptances(), sent.accepted);
        let repeats = ledger.acceptances() - ledger.accepted();
        assert!((60..140).contains(&repeats), "{repeats}");
        assert!((60..140).contains(&sent.total_refused()), "{sent}");
    }
}

#[tokio::test]
async fn events_without_an_answer_may_have_been_accepted_and_end_the_sending() {
    let mut ledger = Ledger::new();
    let sent = send(&ingest(3).await, 100, &mut ledger).await;
    assert!(!sent.is_fine() && sent.failure.is_some(), "{sent}");
    // The next post may be on its way when the failure comes.
    assert!((400..=500).contains(&sent.total()), "{sent}");
    assert!(ledger.acceptances() == sent.accepted && sent.accepted <= 300);
    assert!(sent.maybe > 60, "{sent}");
    // Those among them that were accepted before are certain.
    assert!(
        (1..=sent.maybe).contains(&ledger.maybe()),
        "{}",
        ledger.maybe()
    );
}

async fn cloud() -> (local_aws::LocalAws, Aws) {
    let cloud = local_aws::LocalAws::in_process();
    let aws = Aws::emulated(cloud.http_client(), cloud.endpoint());
    aws::setup::create_queues(&aws, "events", "dead")
        .await
        .unwrap();
    aws::setup::create_bucket(&aws, "lake").await.unwrap();
    (cloud, aws)
}

#[tokio::test]
async fn the_drain_is_over_when_the_queue_is_empty_and_not_before() {
    let (_cloud, aws) = cloud().await;
    let (queue, lake) = (aws.queue("events").await.unwrap(), aws.lake("lake"));
    let stop = CancellationToken::new();
    let every = Duration::from_millis(50);
    let arrivals = Arrivals::watch(lake, Utc::now(), every, stop.clone())
        .await
        .unwrap();
    let message = aws::Outgoing {
        body: "{}".to_owned(),
        attributes: Default::default(),
    };
    for sent in queue.send(&[message]).await {
        sent.unwrap();
    }
    let short = Duration::from_millis(400);
    let waited = wait_for_drain(&queue, &arrivals, short, &stop, |_| {})
        .await
        .unwrap();
    assert_eq!(waited, Drained::No { messages: 1 });
    // In flight is not drained either.
    let received = queue
        .receive(1, Duration::ZERO, Some(MINUTE))
        .await
        .unwrap();
    let waited = wait_for_drain(&queue, &arrivals, short, &stop, |_| {})
        .await
        .unwrap();
    assert_eq!(waited, Drained::No { messages: 1 });
    for deleted in queue.delete(&[received[0].receipt_handle.clone()]).await {
        deleted.unwrap();
    }
    let waited = wait_for_drain(&queue, &arrivals, MINUTE, &stop, |_| {})
        .await
        .unwrap();
    assert_eq!(waited, Drained::Yes);
    stop.cancel();
}

#[tokio::test]
async fn latency_is_from_the_answer_to_the_first_sight_of_the_object() {
    let (_cloud, aws) = cloud().await;
    let (lake, kinds) = (aws.lake("lake"), Kinds::builtin());
    let stop = CancellationToken::new();
    let _watching = stop.clone().drop_guard();
    let every = Duration::from_millis(20);
    let arrivals = Arrivals::watch(lake.clone(), Utc::now(), every, stop)
        .await
        .unwrap();
    let mut ledger = Ledger::new();
    let now = Utc::now();
    let time = contract::format_millis(now);
    let text =
        format!(r#"{{"timestamp":"{time}","vehicle_id":"v","can_id":"0x1","payload":{{"a":1}}}}"#);
    ledger
        .record(&kinds, &text, now, judge::Certainty::Accepted)
        .unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let event = contract::parse_sent(&kinds, None, &text, now).unwrap();
    let mut line = Vec::new();
    contract::write_line(&mut line, &event, &time, &text);
    let key = contract::raw_key(Hour::of(now), uuid::Uuid::nil());
    lake.put(&key, line.into(), "x", HashMap::new(), Condition::Always)
        .await
        .unwrap();
    while arrivals.first_seen(&key).is_none() {
        tokio::time::sleep(every).await;
    }
    let scope = Scope::everything();
    let question = Question {
        places: Places::Raw,
        arrivals: Some(&arrivals),
        ..Question::new(&scope)
    };
    let verdict = judge(&lake, &kinds, &ledger, &question).await.unwrap();
    assert!(verdict.clean(), "{verdict}");
    let latency = verdict.latency.unwrap();
    assert_eq!((latency.events, latency.resolution), (1, every));
    assert!((300..5_000).contains(&latency.p50.as_millis()), "{latency}");

    let never = CancellationToken::new();
    for (places, expected) in [(Places::Raw, true), (Places::Curated, false)] {
        let question = Question {
            places,
            ..Question::new(&scope)
        };
        let wait = wait_for_all(
            &lake,
            &kinds,
            &ledger,
            &question,
            Duration::ZERO,
            &never,
            |there| {
                assert_eq!(there, u64::from(expected));
            },
        );
        assert_eq!(wait.await.unwrap(), expected, "{places:?}");
    }
}
