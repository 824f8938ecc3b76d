//! Time passes by the runtime's clock, which these tests pause.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};
use local_aws::{LocalAws, QueueCounts};
use tokio::time::{Instant, advance};

use crate::clients;

#[tokio::test(start_paused = true)]
async fn a_message_is_hidden_for_its_visibility_timeout_to_the_second() {
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
    let receive = || {
        sqs.receive_message()
            .queue_url(&url)
            .visibility_timeout(600)
            .send()
    };
    assert_eq!(receive().await.unwrap().messages().len(), 1);
    let in_flight = QueueCounts {
        in_flight: 1,
        ..QueueCounts::default()
    };
    assert_eq!(cloud.queue_counts("q"), Some(in_flight));
    advance(Duration::from_secs(599)).await;
    assert!(receive().await.unwrap().messages().is_empty());
    advance(Duration::from_secs(2)).await;
    assert_eq!(receive().await.unwrap().messages().len(), 1);
    assert_eq!(cloud.messages("q")[0].receive_count, 2);
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_waits_for_what_becomes_visible_and_costs_no_real_time() {
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
    let start = Instant::now();
    let poll = || {
        sqs.receive_message()
            .queue_url(&url)
            .wait_time_seconds(20)
            .send()
    };
    assert!(poll().await.unwrap().messages().is_empty());
    assert!(start.elapsed() >= Duration::from_secs(20));
    let send = sqs
        .send_message()
        .queue_url(&url)
        .message_body("late")
        .delay_seconds(7);
    send.send().await.unwrap();
    let start = Instant::now();
    assert_eq!(poll().await.unwrap().messages().len(), 1);
    assert!((7..8).contains(&start.elapsed().as_secs()));
}

#[tokio::test(start_paused = true)]
async fn a_message_past_its_retention_is_gone() {
    let cloud = LocalAws::in_process();
    let (sqs, _) = clients(&cloud);
    let create = sqs.create_queue().queue_name("q");
    let create = create.attributes(QueueAttributeName::MessageRetentionPeriod, "60");
    let url = create.send().await.unwrap().queue_url.unwrap();
    sqs.send_message()
        .queue_url(&url)
        .message_body("x")
        .send()
        .await
        .unwrap();
    advance(Duration::from_secs(59)).await;
    assert_eq!(cloud.queue_depth("q"), 1);
    advance(Duration::from_secs(2)).await;
    assert_eq!(cloud.queue_depth("q"), 0);
}

#[tokio::test(start_paused = true)]
async fn timestamps_count_from_the_start_time_that_was_given() {
    let start = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let cloud = LocalAws::builder().start_time(start).build().unwrap();
    let (sqs, s3) = clients(&cloud);
    advance(Duration::from_secs(100)).await;
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
    let name = MessageSystemAttributeName::SentTimestamp;
    let receive = sqs
        .receive_message()
        .queue_url(&url)
        .message_system_attribute_names(name.clone());
    let message = receive.send().await.unwrap().messages.unwrap().remove(0);
    let sent: u64 = message.attributes.unwrap()[&name].parse().unwrap();
    assert!((1_800_000_100_000..1_800_000_101_000).contains(&sent));
    s3.create_bucket().bucket("lake").send().await.unwrap();
    let put = s3
        .put_object()
        .bucket("lake")
        .key("k")
        .body(ByteStream::from_static(b"x"));
    put.send().await.unwrap();
    let head = s3
        .head_object()
        .bucket("lake")
        .key("k")
        .send()
        .await
        .unwrap();
    let modified = SystemTime::try_from(*head.last_modified().unwrap()).unwrap();
    assert_eq!(modified.duration_since(start).unwrap().as_secs(), 100);
}
