//! The fault plan, as a client sees it.

use std::time::Duration;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use local_aws::{FaultKind, Faults, LocalAws};
use tokio::time::Instant;

use crate::clients;

fn put(
    s3: &aws_sdk_s3::Client,
    key: &str,
) -> aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder {
    s3.put_object()
        .bucket("lake")
        .key(key)
        .body(ByteStream::from_static(b"x"))
}

#[tokio::test]
async fn a_lost_answer_leaves_its_effect_and_a_lost_request_none() {
    let cloud = LocalAws::in_process();
    let (_, s3) = clients(&cloud);
    s3.create_bucket().bucket("lake").send().await.unwrap();
    cloud.fail_next("PutObject", 1, FaultKind::CutBefore);
    let before = put(&s3, "before").send().await.unwrap_err();
    cloud.fail_next("PutObject", 1, FaultKind::CutAfter);
    let after = put(&s3, "after").send().await.unwrap_err();
    for error in [before, after] {
        assert!(matches!(error, SdkError::DispatchFailure(ref failure) if failure.is_io()));
    }
    assert_eq!(cloud.objects("lake"), ["after"]);
    put(&s3, "later").send().await.unwrap();
    let fired = cloud.faults_fired();
    assert_eq!(
        (fired["cut_before:PutObject"], fired["cut_after:PutObject"]),
        (1, 1)
    );
    assert_eq!(cloud.requests()["PutObject"], 3);
}

#[tokio::test]
async fn errors_are_those_the_services_give() {
    let cloud = LocalAws::in_process();
    let (sqs, s3) = clients(&cloud);
    s3.create_bucket().bucket("lake").send().await.unwrap();
    let url = sqs
        .create_queue()
        .queue_name("q")
        .send()
        .await
        .unwrap()
        .queue_url
        .unwrap();
    for (kind, s3_code, sqs_code) in [
        (FaultKind::InternalError, "InternalError", "InternalError"),
        (
            FaultKind::ServiceUnavailable,
            "ServiceUnavailable",
            "ServiceUnavailable",
        ),
        (FaultKind::Throttled, "SlowDown", "RequestThrottled"),
    ] {
        cloud.fail_next("PutObject", 1, kind);
        assert_eq!(
            put(&s3, "k").send().await.unwrap_err().code(),
            Some(s3_code)
        );
        cloud.fail_next("SendMessage", 1, kind);
        let send = sqs
            .send_message()
            .queue_url(&url)
            .message_body("x")
            .send()
            .await;
        assert_eq!(send.unwrap_err().code(), Some(sqs_code));
    }
    cloud.fail_next("PutObject", 1, FaultKind::Conflict);
    let conflict = put(&s3, "k").if_none_match("*").send().await.unwrap_err();
    assert_eq!(conflict.code(), Some("ConditionalRequestConflict"));
    assert_eq!(conflict.raw_response().unwrap().status().as_u16(), 409);
    assert!(cloud.objects("lake").is_empty());
    assert_eq!(cloud.queue_depth("q"), 0);
}

#[tokio::test]
async fn a_plan_fails_about_its_share_and_the_same_requests_again() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let faults = Faults::seeded(11)
            .rule(FaultKind::CutAfter, "PutObject", 0.2)
            .rule(FaultKind::ServiceUnavailable, "*", 0.1);
        let cloud = LocalAws::builder().faults(faults).build().unwrap();
        let (_, s3) = clients(&cloud);
        while s3.create_bucket().bucket("lake").send().await.is_err() {}
        let mut failed = Vec::new();
        for n in 0..200 {
            if put(&s3, &n.to_string()).send().await.is_err() {
                failed.push(n);
            }
        }
        runs.push((failed, cloud.faults_fired()));
        cloud.set_faults(Faults::none());
        put(&s3, "drained").send().await.unwrap();
    }
    assert_eq!(runs[0], runs[1]);
    let lost = runs[0].1["cut_after:PutObject"];
    assert!(
        (20..=60).contains(&lost),
        "{lost} of 200 answers lost at 20 %"
    );
}

#[tokio::test]
async fn entries_of_a_batch_fail_singly() {
    let cloud = LocalAws::in_process();
    let (sqs, _) = clients(&cloud);
    let url = sqs
        .create_queue()
        .queue_name("q")
        .send()
        .await
        .unwrap()
        .queue_url
        .unwrap();
    cloud.fail_next("SendMessageBatch", 3, FaultKind::EntryFailure);
    let entries = (0..10).map(|n| {
        let entry = SendMessageBatchRequestEntry::builder().id(n.to_string());
        entry.message_body("x").build().unwrap()
    });
    let batch = sqs
        .send_message_batch()
        .queue_url(&url)
        .set_entries(Some(entries.collect()));
    let sent = batch.send().await.unwrap();
    assert_eq!((sent.successful().len(), sent.failed().len()), (7, 3));
    assert!(sent.failed().iter().all(|entry| !entry.sender_fault()));
    assert_eq!(cloud.queue_depth("q"), 7);
}

#[tokio::test]
async fn a_message_in_flight_is_delivered_to_a_second_receiver() {
    let cloud = LocalAws::in_process();
    let (sqs, _) = clients(&cloud);
    let url = sqs
        .create_queue()
        .queue_name("q")
        .send()
        .await
        .unwrap()
        .queue_url
        .unwrap();
    sqs.send_message()
        .queue_url(&url)
        .message_body("x")
        .send()
        .await
        .unwrap();
    let receive = || sqs.receive_message().queue_url(&url).send();
    let first = receive().await.unwrap().messages.unwrap().remove(0);
    assert!(receive().await.unwrap().messages().is_empty());
    cloud.fail_next("ReceiveMessage", 1, FaultKind::DuplicateDelivery);
    let second = receive().await.unwrap().messages.unwrap().remove(0);
    assert_eq!(first.message_id, second.message_id);
    assert_ne!(first.receipt_handle, second.receipt_handle);
    assert_eq!(cloud.faults_fired()["duplicate_delivery:ReceiveMessage"], 1);
}

#[tokio::test(start_paused = true)]
async fn slow_calls_take_a_time_from_their_range() {
    let range = Duration::from_millis(200)..Duration::from_millis(400);
    let faults = Faults::seeded(1).slow("CreateBucket", 1.0, range);
    let cloud = LocalAws::builder().faults(faults).build().unwrap();
    let (_, s3) = clients(&cloud);
    let start = Instant::now();
    s3.create_bucket().bucket("lake").send().await.unwrap();
    assert!((200..=401).contains(&start.elapsed().as_millis()));
    assert_eq!(cloud.faults_fired()["slow:CreateBucket"], 1);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_message_ids() {
    let mut ids = Vec::new();
    for seed in [5, 5, 6] {
        let cloud = LocalAws::builder().seed(seed).build().unwrap();
        let (sqs, _) = clients(&cloud);
        let url = sqs
            .create_queue()
            .queue_name("q")
            .send()
            .await
            .unwrap()
            .queue_url
            .unwrap();
        let sent = sqs
            .send_message()
            .queue_url(&url)
            .message_body("x")
            .send()
            .await
            .unwrap();
        ids.push(sent.message_id.unwrap());
    }
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
}
