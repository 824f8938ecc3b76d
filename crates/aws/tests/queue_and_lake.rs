//! The queue and the lake on the embedded emulation and, where `LOCALSTACK_ENDPOINT` names one, on LocalStack.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws::{Aws, CallError, Condition, Outgoing, PutOutcome, setup};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use bytes::Bytes;
use local_aws::{FaultKind, LocalAws};

/// Runs the check on each emulation that is there, with names that no other check uses.
async fn everywhere(name: &str, check: impl AsyncFn(Aws, String)) {
    let cloud = LocalAws::in_process();
    check(
        Aws::emulated(cloud.http_client(), cloud.endpoint()),
        name.to_owned(),
    )
    .await;
    #[expect(
        clippy::disallowed_methods,
        reason = "a test has no settings of its own"
    )]
    match std::env::var("LOCALSTACK_ENDPOINT") {
        Ok(endpoint) => {
            let http = aws_smithy_http_client::Builder::new().build_http();
            let unique = format!("{name}-{}", std::process::id());
            check(Aws::emulated(http, &endpoint), unique).await;
        }
        Err(_) => eprintln!("{name}: skipped on LocalStack: LOCALSTACK_ENDPOINT is not set"),
    }
}

fn message(body: impl Into<String>) -> Outgoing {
    Outgoing {
        body: body.into(),
        attributes: BTreeMap::from([("codec".to_owned(), "test".to_owned())]),
    }
}

fn all_ok(results: Vec<Result<(), CallError>>) -> usize {
    results
        .into_iter()
        .map(|result| result.expect("the entry succeeds"))
        .count()
}

#[tokio::test]
async fn what_is_sent_is_received_with_its_attributes_and_gone_once_deleted() {
    everywhere("round-trip", async |aws, name| {
        setup::create_queues(&aws, &name, &format!("{name}-dlq"))
            .await
            .unwrap();
        let queue = aws.queue(&name).await.unwrap();
        let messages: Vec<_> = (0..25).map(|n| message(format!("body {n}"))).collect();
        assert_eq!(all_ok(queue.send(&messages).await), 25);
        assert_eq!(aws.meter().usage()["sqs:SendMessageBatch"].requests, 3);
        let mut seen = Vec::new();
        while seen.len() < 25 {
            let received = queue
                .receive(10, Duration::from_secs(2), None)
                .await
                .unwrap();
            assert!(!received.is_empty(), "after {} messages", seen.len());
            let handles: Vec<_> = received
                .iter()
                .map(|message| message.receipt_handle.clone())
                .collect();
            assert_eq!(all_ok(queue.delete(&handles).await), handles.len());
            assert!(
                received
                    .iter()
                    .all(|message| message.receive_count == 1
                        && message.attributes["codec"] == "test")
            );
            seen.extend(received.into_iter().map(|message| message.body));
        }
        seen.sort();
        let mut sent: Vec<_> = messages.into_iter().map(|message| message.body).collect();
        sent.sort();
        assert_eq!(seen, sent);
        assert_eq!(queue.depth().await.unwrap().total(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_message_that_is_given_back_comes_again_at_once_with_its_count() {
    everywhere("give-back", async |aws, name| {
        setup::create_queues(&aws, &name, &format!("{name}-dlq"))
            .await
            .unwrap();
        let queue = aws.queue(&name).await.unwrap();
        all_ok(queue.send(&[message("again")]).await);
        let first = queue
            .receive(1, Duration::from_secs(2), None)
            .await
            .unwrap();
        let handles = [first[0].receipt_handle.clone()];
        all_ok(
            queue
                .change_visibility(&handles, Duration::from_secs(600))
                .await,
        );
        assert!(
            queue
                .receive(1, Duration::ZERO, None)
                .await
                .unwrap()
                .is_empty()
        );
        all_ok(queue.change_visibility(&handles, Duration::ZERO).await);
        let second = queue
            .receive(1, Duration::from_secs(5), None)
            .await
            .unwrap();
        assert_eq!(
            (second[0].id.as_str(), second[0].receive_count),
            (first[0].id.as_str(), 2)
        );
    })
    .await;
}

#[tokio::test]
async fn large_messages_are_cut_into_calls_and_billed_by_64_kib() {
    everywhere("large", async |aws, name| {
        setup::create_queues(&aws, &name, &format!("{name}-dlq"))
            .await
            .unwrap();
        let queue = aws.queue(&name).await.unwrap();
        let messages: Vec<_> = (0..3).map(|_| message("x".repeat(500_000))).collect();
        all_ok(queue.send(&messages).await);
        let usage = aws.meter().usage()["sqs:SendMessageBatch"];
        // Two fit a call of 1 MiB: 1,000,022 bytes are 16 units, the third message is 8.
        assert_eq!((usage.requests, usage.billed), (2, 24));
    })
    .await;
}

#[tokio::test]
async fn queues_and_bucket_can_be_made_twice_and_a_missing_one_is_named() {
    everywhere("twice", async |aws, name| {
        let missing = aws.queue(&name).await.unwrap_err();
        assert!(
            matches!(&missing, CallError::NotFound { .. }) && missing.to_string().contains(&name),
            "{missing}"
        );
        for _ in 0..2 {
            setup::create_queues(&aws, &name, &format!("{name}-dlq"))
                .await
                .unwrap();
            setup::create_bucket(&aws, &name).await.unwrap();
        }
        let error = aws
            .lake(&format!("{name}-not-there"))
            .list("", None)
            .await
            .unwrap_err();
        assert!(matches!(error, CallError::NotFound { .. }), "{error}");
    })
    .await;
}

#[tokio::test]
async fn conditional_puts_let_one_writer_through() {
    everywhere("conditional", async |aws, name| {
        setup::create_bucket(&aws, &name).await.unwrap();
        let lake = aws.lake(&name);
        let put = async |text: &'static str, condition| {
            let metadata = HashMap::from([("commit".to_owned(), text.to_owned())]);
            lake.put(
                "a/b.json",
                Bytes::from(text),
                "application/json",
                metadata,
                condition,
            )
            .await
            .unwrap()
        };
        assert!(
            lake.get("a/b.json").await.unwrap().is_none()
                && lake.head("a/b.json").await.unwrap().is_none()
        );
        let PutOutcome::Written(etag) = put("one", Condition::IfAbsent).await else {
            panic!("the first put is let through")
        };
        assert_eq!(
            put("two", Condition::IfAbsent).await,
            PutOutcome::ConditionFailed
        );
        assert!(matches!(
            put("three", Condition::IfMatch(etag.clone())).await,
            PutOutcome::Written(_)
        ));
        assert_eq!(
            put("four", Condition::IfMatch(etag)).await,
            PutOutcome::ConditionFailed
        );
        let object = lake.get("a/b.json").await.unwrap().unwrap();
        let head = lake.head("a/b.json").await.unwrap().unwrap();
        assert_eq!(
            (&object.body[..], object.metadata["commit"].as_str()),
            (&b"three"[..], "three")
        );
        assert_eq!((head.etag, head.metadata), (object.etag, object.metadata));
    })
    .await;
}

#[tokio::test]
async fn listings_are_whole_in_order_and_start_after_a_key() {
    everywhere("listing", async |aws, name| {
        setup::create_bucket(&aws, &name).await.unwrap();
        let lake = aws.lake(&name);
        let keys: Vec<String> = (0..1_050).map(|n| format!("raw/{n:05}.jsonl")).collect();
        for key in keys.iter().chain([&"other/x".to_owned()]) {
            lake.put(
                key,
                Bytes::from_static(b"12345"),
                "text/plain",
                HashMap::new(),
                Condition::Always,
            )
            .await
            .unwrap();
        }
        let listed = lake.list("raw/", None).await.unwrap();
        assert!(
            listed.iter().map(|object| &object.key).eq(&keys)
                && listed.iter().all(|object| object.size == 5)
        );
        let after = lake.list("raw/", Some("raw/01047")).await.unwrap();
        assert_eq!(
            after
                .iter()
                .map(|object| object.key.as_str())
                .collect::<Vec<_>>(),
            ["raw/01047.jsonl", "raw/01048.jsonl", "raw/01049.jsonl"]
        );
        lake.delete(&keys).await.unwrap();
        assert!(lake.list("raw/", None).await.unwrap().is_empty());
    })
    .await;
}

fn faulty(operation: &str, count: u64, kind: FaultKind) -> (LocalAws, Aws) {
    let cloud = LocalAws::in_process();
    let aws = Aws::emulated(cloud.http_client(), cloud.endpoint());
    cloud.fail_next(operation, count, kind);
    (cloud, aws)
}

#[tokio::test(start_paused = true)]
async fn entries_that_fail_alone_are_sent_again_and_arrive_once() {
    let (cloud, aws) = faulty("SendMessageBatch", 3, FaultKind::EntryFailure);
    setup::create_queues(&aws, "events", "dlq").await.unwrap();
    let queue = aws.queue("events").await.unwrap();
    let messages: Vec<_> = (0..10).map(|n| message(n.to_string())).collect();
    assert_eq!(all_ok(queue.send(&messages).await), 10);
    assert_eq!(cloud.queue_depth("events"), 10);
}

#[tokio::test(start_paused = true)]
async fn throttling_is_waited_out_and_an_outage_is_transient() {
    let (cloud, aws) = faulty("SendMessageBatch", 2, FaultKind::Throttled);
    setup::create_queues(&aws, "events", "dlq").await.unwrap();
    let queue = aws.queue("events").await.unwrap();
    all_ok(queue.send(&[message("one")]).await);
    assert_eq!(aws.meter().usage()["sqs:SendMessageBatch"].requests, 3);
    cloud.fail_next("SendMessageBatch", 100, FaultKind::ServiceUnavailable);
    let results = queue.send(&[message("two")]).await;
    assert!(
        results[0].as_ref().is_err_and(CallError::is_transient),
        "{results:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_put_whose_answer_was_lost_shows_as_a_failed_condition_and_is_there() {
    let (cloud, aws) = faulty("PutObject", 1, FaultKind::CutAfter);
    setup::create_bucket(&aws, "lake").await.unwrap();
    let lake = aws.lake("lake");
    let put = lake
        .put(
            "k",
            Bytes::from_static(b"mine"),
            "text/plain",
            HashMap::new(),
            Condition::IfAbsent,
        )
        .await
        .unwrap();
    assert_eq!(put, PutOutcome::ConditionFailed);
    assert_eq!(cloud.object("lake", "k").as_deref(), Some(&b"mine"[..]));
}

/// Passes requests on and keeps two headers of those that put: what is signed of the body, and
/// the body's checksum.
#[derive(Debug)]
struct Watched {
    to: SharedHttpConnector,
    puts: Arc<Mutex<Vec<[Option<String>; 2]>>>,
}

impl HttpConnector for Watched {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if request.method() == "PUT" {
            let header = |name| request.headers().get(name).map(str::to_owned);
            let headers = ["x-amz-content-sha256", "x-amz-checksum-crc32"].map(header);
            self.puts.lock().expect("not poisoned").push(headers);
        }
        self.to.call(request)
    }
}

#[tokio::test]
async fn a_body_is_hashed_for_its_signature_only_where_somebody_could_change_it_on_its_way() {
    for (endpoint, hashed) in [
        ("https://s3.example", false),
        ("http://127.0.0.1:4566", false),
        ("http://s3.example", true),
    ] {
        let cloud = LocalAws::in_process();
        let (http, puts) = (cloud.http_client(), Arc::new(Mutex::new(Vec::new())));
        let seen = puts.clone();
        let watched = http_client_fn(move |settings, components| {
            let (to, puts) = (http.http_connector(settings, components), seen.clone());
            SharedHttpConnector::new(Watched { to, puts })
        });
        let aws = Aws::emulated(watched, endpoint);
        setup::create_bucket(&aws, "lake").await.unwrap();
        puts.lock().unwrap().clear();
        let body = Bytes::from_static(b"body");
        let (lake, metadata) = (aws.lake("lake"), HashMap::new());
        let put = lake.put(
            "key",
            body.clone(),
            "text/plain",
            metadata,
            Condition::Always,
        );
        put.await.unwrap();
        assert_eq!(cloud.object("lake", "key"), Some(body));
        let [signed, crc32] = puts.lock().unwrap().remove(0);
        assert_eq!(signed.unwrap() != "UNSIGNED-PAYLOAD", hashed, "{endpoint}");
        assert!(crc32.is_some(), "{endpoint}");
    }
}
