//! What SQS promises of messages as they are received, hidden and deleted.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageSystemAttributeName, QueueAttributeName,
};
use tokio::time::Instant;

use crate::queues::{attribute, queue, receive, send};
use crate::sending::entry;
use crate::target::{Target, eventually, refused};

pub(crate) async fn receive_parameters_outside_their_range_are_refused(t: &Target) {
    let url = queue(t, "range").await;
    let receive = || t.sqs.receive_message().queue_url(&url);
    let many = receive().max_number_of_messages(11).send().await;
    assert_eq!(refused(many), "InvalidParameterValue");
    if t.strict {
        let none = receive().max_number_of_messages(0).send().await;
        assert_eq!(refused(none), "InvalidParameterValue");
        let wait = receive().wait_time_seconds(21).send().await;
        assert_eq!(refused(wait), "InvalidParameterValue");
        let visibility = receive().visibility_timeout(43_201).send().await;
        assert_eq!(refused(visibility), "InvalidParameterValue");
    }
}

pub(crate) async fn a_long_poll_is_woken_by_a_send_and_ends_empty_without_one(t: &Target) {
    let url = queue(t, "poll").await;
    let poll = || {
        t.sqs
            .receive_message()
            .queue_url(&url)
            .max_number_of_messages(10)
    };
    let start = Instant::now();
    let (received, ()) = tokio::join!(poll().wait_time_seconds(15).send(), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        send(t, &url, "wake up").await;
    });
    assert_eq!(received.unwrap().messages()[0].body(), Some("wake up"));
    assert!(start.elapsed() < Duration::from_secs(12));
    let start = Instant::now();
    assert!(
        poll()
            .wait_time_seconds(1)
            .send()
            .await
            .unwrap()
            .messages()
            .is_empty()
    );
    assert!(start.elapsed() >= Duration::from_millis(900));
    assert!(
        poll()
            .wait_time_seconds(0)
            .send()
            .await
            .unwrap()
            .messages()
            .is_empty()
    );
}

pub(crate) async fn a_delayed_message_comes_after_its_delay(t: &Target) {
    let url = queue(t, "delay").await;
    let send = t
        .sqs
        .send_message()
        .queue_url(&url)
        .message_body("later")
        .delay_seconds(5);
    send.send().await.unwrap();
    assert!(receive(t, &url, 1).await.is_empty());
    let delayed = QueueAttributeName::ApproximateNumberOfMessagesDelayed;
    assert_eq!(attribute(t, &url, delayed).await, "1");
    let poll = t
        .sqs
        .receive_message()
        .queue_url(&url)
        .wait_time_seconds(20);
    assert_eq!(
        poll.send().await.unwrap().messages()[0].body(),
        Some("later")
    );
    let send = t
        .sqs
        .send_message()
        .queue_url(&url)
        .message_body("x")
        .delay_seconds(901);
    if t.strict {
        assert_eq!(refused(send.send().await), "InvalidParameterValue");
    }
}

pub(crate) async fn an_undeleted_message_returns_and_its_old_handle_does_nothing(t: &Target) {
    let url = queue(t, "returns").await;
    send(t, &url, "again").await;
    let poll = || {
        let poll = t
            .sqs
            .receive_message()
            .queue_url(&url)
            .visibility_timeout(5);
        poll.message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
    };
    let first = poll().send().await.unwrap().messages.unwrap().remove(0);
    assert!(poll().send().await.unwrap().messages().is_empty());
    let second = eventually(async || {
        let again = poll()
            .visibility_timeout(60)
            .wait_time_seconds(1)
            .send()
            .await
            .unwrap();
        again.messages.unwrap_or_default().pop()
    });
    let second = second.await;
    assert_eq!(second.message_id(), first.message_id());
    let count = &second.attributes().unwrap()[&MessageSystemAttributeName::ApproximateReceiveCount];
    assert_eq!(count, "2");
    assert_ne!(second.receipt_handle(), first.receipt_handle());
    let delete = |message: &Message| {
        let delete = t.sqs.delete_message().queue_url(&url);
        delete
            .set_receipt_handle(message.receipt_handle.clone())
            .send()
    };
    delete(&second).await.unwrap();
    delete(&second).await.unwrap();
    delete(&first).await.unwrap();
    let hidden = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
    assert_eq!(attribute(t, &url, hidden).await, "0");
}

pub(crate) async fn an_expired_handle_deletes_what_was_not_received_again(t: &Target) {
    let url = queue(t, "expired").await;
    send(t, &url, "late").await;
    let poll = t
        .sqs
        .receive_message()
        .queue_url(&url)
        .visibility_timeout(1);
    let message = poll.send().await.unwrap().messages.unwrap().remove(0);
    let visible = QueueAttributeName::ApproximateNumberOfMessages;
    eventually(async || (attribute(t, &url, visible.clone()).await == "1").then_some(())).await;
    let delete = t.sqs.delete_message().queue_url(&url);
    delete
        .receipt_handle(message.receipt_handle().unwrap())
        .send()
        .await
        .unwrap();
    assert!(receive(t, &url, 1).await.is_empty());
}

pub(crate) async fn visibility_can_be_changed_while_in_flight_only(t: &Target) {
    let url = queue(t, "visibility").await;
    send(t, &url, "x").await;
    let message = receive(t, &url, 1).await.remove(0);
    let handle = message.receipt_handle().unwrap();
    let change = |seconds| {
        let change = t
            .sqs
            .change_message_visibility()
            .queue_url(&url)
            .receipt_handle(handle);
        change.visibility_timeout(seconds).send()
    };
    change(60).await.unwrap();
    if t.strict {
        assert_eq!(refused(change(43_201).await), "InvalidParameterValue");
    }
    change(0).await.unwrap();
    if t.strict {
        let code = "AWS.SimpleQueueService.MessageNotInflight";
        assert_eq!(refused(change(10).await), code);
    }
    let again = eventually(async || receive(t, &url, 1).await.pop()).await;
    let entries = [
        ("good", again.receipt_handle().unwrap()),
        ("bad", "no handle"),
    ];
    let entries = entries.map(|(id, handle)| {
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(id);
        entry
            .receipt_handle(handle)
            .visibility_timeout(0)
            .build()
            .unwrap()
    });
    let batch = t.sqs.change_message_visibility_batch().queue_url(&url);
    let changed = batch
        .set_entries(Some(entries.to_vec()))
        .send()
        .await
        .unwrap();
    assert_eq!(changed.successful()[0].id(), "good");
    assert_eq!(changed.failed()[0].code(), "ReceiptHandleIsInvalid");
    eventually(async || receive(t, &url, 1).await.pop()).await;
}

pub(crate) async fn handles_that_are_none_are_refused_singly(t: &Target) {
    let url = queue(t, "handles").await;
    let delete = t
        .sqs
        .delete_message()
        .queue_url(&url)
        .receipt_handle("garbage")
        .send()
        .await;
    assert_eq!(refused(delete), "ReceiptHandleIsInvalid");
    let change = t
        .sqs
        .change_message_visibility()
        .queue_url(&url)
        .receipt_handle("garbage");
    assert_eq!(
        refused(change.visibility_timeout(1).send().await),
        "ReceiptHandleIsInvalid"
    );
    send(t, &url, "x").await;
    let message = receive(t, &url, 1).await.remove(0);
    let entries = [
        ("good", message.receipt_handle().unwrap()),
        ("bad", "garbage"),
    ];
    let entries = entries.map(|(id, handle)| {
        let entry = DeleteMessageBatchRequestEntry::builder().id(id);
        entry.receipt_handle(handle).build().unwrap()
    });
    let batch = t.sqs.delete_message_batch().queue_url(&url);
    let deleted = batch
        .set_entries(Some(entries.to_vec()))
        .send()
        .await
        .unwrap();
    assert_eq!(deleted.successful().len(), 1);
    assert_eq!(deleted.failed()[0].id(), "bad");
    assert_eq!(deleted.failed()[0].code(), "ReceiptHandleIsInvalid");
    assert!(deleted.failed()[0].sender_fault() || !t.strict);
}

pub(crate) async fn ten_messages_are_received_and_deleted_in_one_batch_each(t: &Target) {
    let url = queue(t, "ten").await;
    let entries: Vec<_> = (0..10)
        .map(|n| entry(&format!("m{n}"), format!("body {n}")))
        .collect();
    let batch = t
        .sqs
        .send_message_batch()
        .queue_url(&url)
        .set_entries(Some(entries));
    assert_eq!(batch.send().await.unwrap().successful().len(), 10);
    assert_eq!(
        attribute(t, &url, QueueAttributeName::ApproximateNumberOfMessages).await,
        "10"
    );
    let mut messages = Vec::new();
    while messages.len() < 10 {
        messages.extend(receive(t, &url, 10).await);
    }
    let hidden = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
    assert_eq!(attribute(t, &url, hidden.clone()).await, "10");
    let bodies: BTreeSet<_> = messages
        .iter()
        .map(|message| message.body().unwrap())
        .collect();
    assert_eq!(bodies.len(), 10);
    let entries = messages.iter().enumerate().map(|(n, message)| {
        let entry = DeleteMessageBatchRequestEntry::builder().id(n.to_string());
        entry
            .receipt_handle(message.receipt_handle().unwrap())
            .build()
            .unwrap()
    });
    let delete = t.sqs.delete_message_batch().queue_url(&url);
    let deleted = delete
        .set_entries(Some(entries.collect()))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (deleted.successful().len(), deleted.failed().len()),
        (10, 0)
    );
    assert_eq!(attribute(t, &url, hidden).await, "0");
}
