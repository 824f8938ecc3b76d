//! What SQS promises of messages as they are sent.

use std::collections::BTreeSet;

use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, MessageAttributeValue, MessageSystemAttributeName,
    QueueAttributeName, SendMessageBatchRequestEntry,
};

use crate::queues::{queue, receive, send};
use crate::target::{Target, eventually, md5_hex, refused};

const MEBIBYTE: usize = 1024 * 1024;

pub(crate) fn entry(id: &str, body: impl Into<String>) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder()
        .id(id)
        .message_body(body)
        .build()
        .unwrap()
}

fn text(kind: &str, value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder()
        .data_type(kind)
        .string_value(value)
        .build()
        .unwrap()
}

pub(crate) async fn a_message_carries_its_body_attributes_and_md5s(t: &Target) {
    let url = queue(t, "carries").await;
    let body = "grüße 🚗 \t<&>\"' and\nmore";
    let binary = MessageAttributeValue::builder()
        .data_type("Binary.zstd")
        .binary_value(Blob::new([0, 159, 146, 150, 255]))
        .build()
        .unwrap();
    let sent = t
        .sqs
        .send_message()
        .queue_url(&url)
        .message_body(body)
        .message_attributes("codec", text("String", "zstd"))
        .message_attributes("count", text("Number", "1400"))
        .message_attributes("Blob", binary.clone())
        .send()
        .await
        .unwrap();
    // Name, type and value with their lengths, and the kind of transport.
    let mut wire = Vec::new();
    let attributes: [(&str, &str, u8, &[u8]); 3] = [
        ("Blob", "Binary.zstd", 2, &[0, 159, 146, 150, 255]),
        ("codec", "String", 1, b"zstd"),
        ("count", "Number", 1, b"1400"),
    ];
    for (name, kind, transport, value) in attributes {
        for part in [name.as_bytes(), kind.as_bytes()] {
            wire.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
            wire.extend(part);
        }
        wire.push(transport);
        wire.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        wire.extend(value);
    }
    assert_eq!(sent.md5_of_message_body(), Some(md5_hex(body).as_str()));
    assert_eq!(
        sent.md5_of_message_attributes(),
        Some(md5_hex(&wire).as_str())
    );
    let received = t
        .sqs
        .receive_message()
        .queue_url(&url)
        .message_attribute_names("All")
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .send()
        .await
        .unwrap();
    let message = &received.messages()[0];
    assert_eq!(message.body(), Some(body));
    assert_eq!(message.message_id(), sent.message_id());
    assert_eq!(message.md5_of_body(), sent.md5_of_message_body());
    assert_eq!(
        message.md5_of_message_attributes(),
        sent.md5_of_message_attributes()
    );
    let attributes = message.message_attributes().unwrap();
    assert_eq!(attributes["Blob"], binary);
    assert_eq!(attributes["count"].string_value(), Some("1400"));
    let system = message.attributes().unwrap();
    assert_eq!(
        system[&MessageSystemAttributeName::ApproximateReceiveCount],
        "1"
    );
    let sent_at: u64 = system[&MessageSystemAttributeName::SentTimestamp]
        .parse()
        .unwrap();
    let first = &system[&MessageSystemAttributeName::ApproximateFirstReceiveTimestamp];
    assert!(first.parse::<u64>().unwrap() >= sent_at && sent_at > 1_600_000_000_000);
    assert!(system.contains_key(&MessageSystemAttributeName::SenderId));
}

pub(crate) async fn only_the_attributes_asked_for_are_delivered(t: &Target) {
    let url = queue(t, "asked").await;
    let send = t.sqs.send_message().queue_url(&url).message_body("x");
    let send = send.message_attributes("hw.codec", text("String", "zstd"));
    let send = send.message_attributes("hw.count", text("Number", "1"));
    send.message_attributes("other", text("String", "o"))
        .send()
        .await
        .unwrap();
    for (wanted, expected) in [
        (vec![], vec![]),
        (vec!["other"], vec!["other"]),
        (vec!["hw.*"], vec!["hw.codec", "hw.count"]),
        (vec![".*"], vec!["hw.codec", "hw.count", "other"]),
        (vec!["missing"], vec![]),
    ] {
        let receive = t
            .sqs
            .receive_message()
            .queue_url(&url)
            .visibility_timeout(0);
        let wanted = wanted.into_iter().map(str::to_owned).collect();
        let receive = receive.set_message_attribute_names(Some(wanted));
        let message = eventually(async || {
            let received = receive.clone().send().await.unwrap();
            received.messages.unwrap_or_default().pop()
        });
        let message = message.await;
        let mut names: Vec<_> = message.message_attributes().into_iter().flatten().collect();
        names.sort_by_key(|(name, _)| name.as_str());
        assert!(
            names
                .into_iter()
                .map(|(name, _)| name.as_str())
                .eq(expected)
        );
        assert!(message.attributes().is_none_or(|system| system.is_empty()));
    }
}

pub(crate) async fn a_batch_outside_its_limits_is_refused_as_a_whole(t: &Target) {
    let url = queue(t, "batch").await;
    let send = |entries| {
        t.sqs
            .send_message_batch()
            .queue_url(&url)
            .set_entries(Some(entries))
            .send()
    };
    let prefix = "AWS.SimpleQueueService.";
    let eleven: Vec<_> = (0..11).map(|n| entry(&n.to_string(), "x")).collect();
    for (entries, code) in [
        (vec![], "EmptyBatchRequest"),
        (eleven, "TooManyEntriesInBatchRequest"),
        (
            vec![entry("a", "x"), entry("a", "y")],
            "BatchEntryIdsNotDistinct",
        ),
        (vec![entry("not allowed", "x")], "InvalidBatchEntryId"),
    ] {
        assert_eq!(refused(send(entries).await), format!("{prefix}{code}"));
    }
    let deletes = (0..11).map(|n| {
        let entry = DeleteMessageBatchRequestEntry::builder().id(n.to_string());
        entry.receipt_handle("x").build().unwrap()
    });
    let delete = t
        .sqs
        .delete_message_batch()
        .queue_url(&url)
        .set_entries(Some(deletes.collect()));
    assert_eq!(
        refused(delete.send().await),
        format!("{prefix}TooManyEntriesInBatchRequest")
    );
    assert!(receive(t, &url, 10).await.is_empty());
}

pub(crate) async fn a_mebibyte_is_the_limit_of_a_message_and_of_a_batch(t: &Target) {
    let url = queue(t, "mebibyte").await;
    send(t, &url, &"x".repeat(MEBIBYTE)).await;
    assert_eq!(receive(t, &url, 1).await[0].body().unwrap().len(), MEBIBYTE);
    let send_one = |size: usize| {
        t.sqs
            .send_message()
            .queue_url(&url)
            .message_body("x".repeat(size))
    };
    assert_eq!(
        refused(send_one(MEBIBYTE + 1).send().await),
        "InvalidParameterValue"
    );
    // Names, types and values of attributes count: 4 + 6 + 10 bytes.
    let with_attribute =
        |size| send_one(size).message_attributes("name", text("String", "0123456789"));
    with_attribute(MEBIBYTE - 20).send().await.unwrap();
    assert_eq!(
        refused(with_attribute(MEBIBYTE - 19).send().await),
        "InvalidParameterValue"
    );
    let batch = |size: usize| {
        let entries = [
            entry("a", "x".repeat(size)),
            entry("b", "x".repeat(MEBIBYTE / 2)),
        ];
        t.sqs
            .send_message_batch()
            .queue_url(&url)
            .set_entries(Some(entries.to_vec()))
            .send()
    };
    assert_eq!(batch(MEBIBYTE / 2).await.unwrap().successful().len(), 2);
    let code = refused(batch(MEBIBYTE / 2 + 1).await);
    assert_eq!(code, "AWS.SimpleQueueService.BatchRequestTooLong");
}

pub(crate) async fn a_queue_can_have_a_smaller_limit_and_a_batch_fails_entry_by_entry(t: &Target) {
    let create = t.sqs.create_queue().queue_name(t.name("small"));
    let create = create.attributes(QueueAttributeName::MaximumMessageSize, "1024");
    let url = create.send().await.unwrap().queue_url.unwrap();
    send(t, &url, &"x".repeat(1024)).await;
    let large = t
        .sqs
        .send_message()
        .queue_url(&url)
        .message_body("x".repeat(1025))
        .send()
        .await;
    assert_eq!(refused(large), "InvalidParameterValue");
    let batch = t.sqs.send_message_batch().queue_url(&url);
    let batch = batch
        .entries(entry("good", "x"))
        .entries(entry("large", "x".repeat(1025)));
    let sent = batch.entries(entry("bad", "\u{1}")).send().await.unwrap();
    assert_eq!(sent.successful().len(), 1);
    assert_eq!(sent.successful()[0].id(), "good");
    assert_eq!(sent.successful()[0].md5_of_message_body(), md5_hex("x"));
    let failed: BTreeSet<_> = sent.failed().iter().map(|entry| entry.id()).collect();
    assert_eq!(failed, BTreeSet::from(["bad", "large"]));
    let sender_fault = sent.failed().iter().all(|entry| entry.sender_fault());
    assert!(sender_fault || !t.strict);
}

pub(crate) async fn characters_outside_xml_are_refused(t: &Target) {
    let url = queue(t, "characters").await;
    for body in ["\u{0}", "a\u{8}b", "\u{1f}", "\u{fffe}"] {
        let send = t
            .sqs
            .send_message()
            .queue_url(&url)
            .message_body(body)
            .send()
            .await;
        assert_eq!(refused(send), "InvalidMessageContents", "{body:?}");
    }
    send(t, &url, "tab\t newline\n return\r emoji 🚗 \u{e000}").await;
}
