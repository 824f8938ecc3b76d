//! 202 is answered only once SQS has the events; anything else is said.

use std::time::Duration;

use local_aws::{FaultKind, Faults, LocalAws};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::harness::{Service, VEHICLE, vehicle};

#[tokio::test(start_paused = true)]
async fn a_queue_that_does_not_answer_is_503_within_the_deadline() {
    let stuck = Faults::seeded(1).slow(
        "SendMessageBatch",
        1.0,
        Duration::from_secs(20)..Duration::from_secs(21),
    );
    let cloud = LocalAws::builder().faults(stuck).build().unwrap();
    let service = Service::over(cloud, &["--send-timeout=3s"]).await;
    let started = tokio::time::Instant::now();
    let answer = service.post_json(VEHICLE).await;
    assert_eq!(started.elapsed().as_secs(), 3);
    assert_eq!(
        (answer.status.as_u16(), answer.error_code().as_str()),
        (503, "unconfirmed")
    );
    assert_eq!(answer.headers["retry-after"], "1");
    assert!(answer.text.contains("keep their ids"), "{}", answer.text);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_gone_is_503_and_nothing_is_accepted() {
    let service = Service::start().await;
    service.aws.queue("headwater-events").await.unwrap();
    service
        .cloud
        .set_faults(Faults::seeded(1).rule(FaultKind::CutBefore, "SendMessageBatch", 1.0));
    let answer = service.post_json(VEHICLE).await;
    assert_eq!(answer.status, 503);
    assert!(service.queued().is_empty());
    service.cloud.set_faults(Faults::none());
    assert_eq!(service.post_json(VEHICLE).await.status, 202);
    assert_eq!(service.queued().len(), 1);
}

#[tokio::test]
async fn a_queue_that_refuses_for_good_is_500_and_nobody_is_asked_to_come_back() {
    let service = Service::start().await;
    let queue = service.aws.queue("headwater-events").await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let never = CancellationToken::new();
    tokio::spawn(local_aws::serve(service.cloud.clone(), listener, never));
    let deleted = reqwest::Client::new()
        .post(endpoint)
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", "AmazonSQS.DeleteQueue")
        .body(format!(r#"{{"QueueUrl":"{}"}}"#, queue.url()));
    assert_eq!(deleted.send().await.unwrap().status(), 200);
    let answer = service.post_json(VEHICLE).await;
    assert_eq!(
        (answer.status.as_u16(), answer.error_code().as_str()),
        (500, "queue_refused")
    );
    assert!(!answer.headers.contains_key("retry-after"));
    assert!(
        !answer.text.contains("headwater-events"),
        "what SQS said is for the log: {}",
        answer.text
    );
    let ready = service.admin("/readyz").await;
    assert_eq!(ready.text, "not ready: queue_refused\n");
}

#[tokio::test(start_paused = true)]
async fn entries_that_fail_alone_are_sent_again_before_anyone_is_answered() {
    let service = Service::start().await;
    service
        .cloud
        .fail_next("SendMessageBatch", 3, FaultKind::EntryFailure);
    let body: String = (0..10_000).map(|n| vehicle(n) + "\n").collect();
    assert_eq!(service.post_ndjson(body).await.json()["accepted"], 10_000);
    assert_eq!(service.queued().len(), 10_000);
}

#[tokio::test(start_paused = true)]
async fn under_random_faults_what_is_accepted_is_in_the_queue() {
    for seed in 0..10 {
        let faults = Faults::seeded(seed)
            .rule(FaultKind::CutBefore, "SendMessageBatch", 0.2)
            .rule(FaultKind::CutAfter, "SendMessageBatch", 0.2)
            .rule(FaultKind::EntryFailure, "SendMessageBatch", 0.1)
            .slow(
                "SendMessageBatch",
                0.5,
                Duration::from_millis(5)..Duration::from_millis(500),
            );
        let cloud = LocalAws::builder().faults(faults).build().unwrap();
        let service = Service::over(cloud, &[]).await;
        let posts = (0..60).map(|n| {
            let service = &service;
            async move {
                tokio::time::sleep(Duration::from_millis(n as u64 * 3)).await;
                (n, service.post_json(vehicle(n)).await)
            }
        });
        let answers = futures::future::join_all(posts).await;
        let queued: Vec<_> = service
            .queued()
            .iter()
            .map(|line| line["vehicle_id"].as_str().unwrap().to_owned())
            .collect();
        for (n, answer) in answers {
            assert!(
                [202, 503].contains(&answer.status.as_u16()),
                "seed {seed}: {}",
                answer.text
            );
            if answer.status == 202 {
                assert!(
                    queued.contains(&format!("veh-{n:05}")),
                    "seed {seed}: event {n} was accepted and is lost"
                );
            }
        }
    }
}
