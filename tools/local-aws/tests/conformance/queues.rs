//! What SQS promises of queues, and how the other checks of it reach them.

use std::collections::BTreeSet;

use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::{Message, QueueAttributeName};

use crate::sending::entry;
use crate::target::{Target, refused};

pub(crate) async fn queue(t: &Target, name: &str) -> String {
    let created = t.sqs.create_queue().queue_name(t.name(name)).send().await;
    created.unwrap().queue_url.unwrap()
}

pub(crate) async fn send(t: &Target, url: &str, body: &str) {
    t.sqs
        .send_message()
        .queue_url(url)
        .message_body(body)
        .send()
        .await
        .unwrap();
}

pub(crate) async fn receive(t: &Target, url: &str, max: i32) -> Vec<Message> {
    let receive = t
        .sqs
        .receive_message()
        .queue_url(url)
        .max_number_of_messages(max);
    receive.send().await.unwrap().messages.unwrap_or_default()
}

pub(crate) async fn attribute(t: &Target, url: &str, name: QueueAttributeName) -> String {
    let get = t
        .sqs
        .get_queue_attributes()
        .queue_url(url)
        .attribute_names(name.clone());
    get.send().await.unwrap().attributes.unwrap()[&name].clone()
}

pub(crate) async fn creating_a_queue_again_gives_its_url_unless_an_attribute_differs(t: &Target) {
    let name = t.name("again");
    let create = |timeout: &str| {
        let create = t.sqs.create_queue().queue_name(&name);
        create
            .attributes(QueueAttributeName::VisibilityTimeout, timeout)
            .send()
    };
    let first = create("45").await.unwrap().queue_url.unwrap();
    assert!(first.ends_with(&name));
    assert_eq!(create("45").await.unwrap().queue_url.unwrap(), first);
    assert_eq!(queue(t, "again").await, first);
    let differs = create("46").await.unwrap_err();
    assert!(differs.as_service_error().unwrap().is_queue_name_exists());
    assert_eq!(differs.code(), Some("QueueAlreadyExists"));
    let found = t
        .sqs
        .get_queue_url()
        .queue_name(&name)
        .send()
        .await
        .unwrap();
    assert_eq!(found.queue_url.unwrap(), first);
}

pub(crate) async fn names_and_attributes_outside_their_limits_are_refused(t: &Target) {
    for name in ["with space", "slash/", &"x".repeat(81), "dots.in.it"] {
        let code = refused(t.sqs.create_queue().queue_name(name).send().await);
        assert_eq!(code, "InvalidParameterValue", "{name}");
    }
    for (name, value) in [
        (QueueAttributeName::VisibilityTimeout, "43201"),
        (QueueAttributeName::DelaySeconds, "901"),
        (QueueAttributeName::MessageRetentionPeriod, "59"),
        (QueueAttributeName::ReceiveMessageWaitTimeSeconds, "21"),
        (QueueAttributeName::MaximumMessageSize, "1048577"),
    ] {
        let create = t.sqs.create_queue().queue_name(t.name("limits"));
        let create = create.attributes(name.clone(), value).send();
        if t.strict {
            let code = refused(create.await);
            assert_eq!(code, "InvalidAttributeValue", "{name}={value}");
        }
    }
}

pub(crate) async fn a_queue_that_is_not_there_is_named_by_its_error(t: &Target) {
    let present = queue(t, "present").await;
    let absent = present.replace("present", "absent");
    let code = "AWS.SimpleQueueService.NonExistentQueue";
    let error = t
        .sqs
        .get_queue_url()
        .queue_name(t.name("absent"))
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some(code));
    assert!(error.as_service_error().unwrap().is_queue_does_not_exist());
    let send = t
        .sqs
        .send_message()
        .queue_url(&absent)
        .message_body("x")
        .send()
        .await;
    assert!(
        send.unwrap_err()
            .into_service_error()
            .is_queue_does_not_exist()
    );
    assert_eq!(
        refused(t.sqs.receive_message().queue_url(&absent).send().await),
        code
    );
    assert_eq!(
        refused(t.sqs.purge_queue().queue_url(&absent).send().await),
        code
    );
    let batch = t
        .sqs
        .send_message_batch()
        .queue_url(&absent)
        .entries(entry("a", "x"));
    assert_eq!(refused(batch.send().await), code);
}

pub(crate) async fn queues_are_listed_by_prefix_and_page_by_page(t: &Target) {
    let prefix = t.name("list");
    let mut expected = BTreeSet::new();
    for suffix in ["a", "b", "c"] {
        let create = t
            .sqs
            .create_queue()
            .queue_name(format!("{prefix}-{suffix}"));
        expected.insert(create.send().await.unwrap().queue_url.unwrap());
    }
    let listed = t
        .sqs
        .list_queues()
        .queue_name_prefix(&prefix)
        .send()
        .await
        .unwrap();
    assert_eq!(
        listed.queue_urls().iter().cloned().collect::<BTreeSet<_>>(),
        expected
    );
    let (mut paged, mut token) = (Vec::new(), None);
    loop {
        let list = t
            .sqs
            .list_queues()
            .queue_name_prefix(&prefix)
            .max_results(2);
        let page = list.set_next_token(token).send().await.unwrap();
        paged.extend_from_slice(page.queue_urls());
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(paged.len(), 3);
    assert_eq!(paged.into_iter().collect::<BTreeSet<_>>(), expected);
    let none = t
        .sqs
        .list_queues()
        .queue_name_prefix("no-such-")
        .send()
        .await
        .unwrap();
    assert!(none.queue_urls().is_empty());
}

pub(crate) async fn a_deleted_queue_is_gone_and_a_purged_one_empty(t: &Target) {
    let url = queue(t, "gone").await;
    for body in ["a", "b", "c"] {
        send(t, &url, body).await;
    }
    receive(t, &url, 1).await;
    t.sqs.purge_queue().queue_url(&url).send().await.unwrap();
    assert_eq!(
        attribute(t, &url, QueueAttributeName::ApproximateNumberOfMessages).await,
        "0"
    );
    let hidden = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
    assert_eq!(attribute(t, &url, hidden).await, "0");
    assert!(receive(t, &url, 10).await.is_empty());
    t.sqs.delete_queue().queue_url(&url).send().await.unwrap();
    let found = t
        .sqs
        .get_queue_url()
        .queue_name(t.name("gone"))
        .send()
        .await;
    assert!(
        found
            .unwrap_err()
            .into_service_error()
            .is_queue_does_not_exist()
    );
}

pub(crate) async fn attributes_have_their_defaults_and_can_be_changed(t: &Target) {
    let url = queue(t, "attributes").await;
    let all = t
        .sqs
        .get_queue_attributes()
        .queue_url(&url)
        .attribute_names(QueueAttributeName::All);
    let all = all.send().await.unwrap().attributes.unwrap();
    for (name, value) in [
        (QueueAttributeName::VisibilityTimeout, "30"),
        (QueueAttributeName::MessageRetentionPeriod, "345600"),
        (QueueAttributeName::DelaySeconds, "0"),
        (QueueAttributeName::ReceiveMessageWaitTimeSeconds, "0"),
        (QueueAttributeName::MaximumMessageSize, "1048576"),
        (QueueAttributeName::ApproximateNumberOfMessages, "0"),
        (
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            "0",
        ),
        (QueueAttributeName::ApproximateNumberOfMessagesDelayed, "0"),
    ] {
        assert_eq!(all[&name], value, "{name}");
    }
    let arn = &all[&QueueAttributeName::QueueArn];
    assert_eq!(
        *arn,
        format!(
            "arn:aws:sqs:us-east-1:000000000000:{}",
            t.name("attributes")
        )
    );
    assert!(
        all[&QueueAttributeName::CreatedTimestamp]
            .parse::<u64>()
            .unwrap()
            > 1_600_000_000
    );
    let set = t.sqs.set_queue_attributes().queue_url(&url);
    let set = set.attributes(QueueAttributeName::VisibilityTimeout, "77");
    set.attributes(QueueAttributeName::DelaySeconds, "3")
        .send()
        .await
        .unwrap();
    assert_eq!(
        attribute(t, &url, QueueAttributeName::VisibilityTimeout).await,
        "77"
    );
    send(t, &url, "delayed by the queue").await;
    assert_eq!(
        attribute(
            t,
            &url,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed
        )
        .await,
        "1"
    );
    if t.strict {
        let set = t.sqs.set_queue_attributes().queue_url(&url);
        let set = set.attributes(QueueAttributeName::VisibilityTimeout, "-1");
        assert_eq!(refused(set.send().await), "InvalidAttributeValue");
    }
    let get = t.sqs.get_queue_attributes().queue_url(&url);
    let get = get.attribute_names(QueueAttributeName::from("NoSuchAttribute"));
    assert_eq!(refused(get.send().await), "InvalidAttributeName");
}
