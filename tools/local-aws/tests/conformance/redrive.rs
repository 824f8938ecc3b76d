//! What SQS promises of messages that are received too often.

use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};

use crate::queues::{attribute, queue, receive, send};
use crate::target::{Target, eventually, refused};

/// A queue whose messages become dead letters when received more than twice.
async fn with_dead_letters(t: &Target) -> (String, String) {
    let dead = queue(t, "dead").await;
    let arn = attribute(t, &dead, QueueAttributeName::QueueArn).await;
    let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"2"}}"#);
    let create = t.sqs.create_queue().queue_name(t.name("source"));
    let create = create.attributes(QueueAttributeName::RedrivePolicy, policy);
    let create = create.attributes(QueueAttributeName::VisibilityTimeout, "0");
    (create.send().await.unwrap().queue_url.unwrap(), dead)
}

/// Receives from the source until its message has become a dead letter.
async fn become_dead(t: &Target, source: &str, dead: &str, body: &str) -> usize {
    send(t, source, body).await;
    let mut deliveries = 0;
    eventually(async || {
        deliveries += receive(t, source, 1).await.len();
        let letters = attribute(t, dead, QueueAttributeName::ApproximateNumberOfMessages).await;
        (letters != "0").then_some(())
    })
    .await;
    deliveries
}

pub(crate) async fn a_message_received_too_often_goes_to_the_dead_letter_queue(t: &Target) {
    let (source, dead) = with_dead_letters(t).await;
    assert_eq!(become_dead(t, &source, &dead, "poison").await, 2);
    assert_eq!(
        attribute(t, &source, QueueAttributeName::ApproximateNumberOfMessages).await,
        "0"
    );
    let receive = t.sqs.receive_message().queue_url(&dead);
    let receive = receive.message_system_attribute_names(MessageSystemAttributeName::All);
    let letter = receive.send().await.unwrap().messages.unwrap().remove(0);
    assert_eq!(letter.body(), Some("poison"));
    let origin =
        &letter.attributes().unwrap()[&MessageSystemAttributeName::DeadLetterQueueSourceArn];
    assert!(origin.ends_with(&t.name("source")));
}

pub(crate) async fn a_redrive_policy_needs_a_queue_that_exists(t: &Target) {
    let url = queue(t, "policy").await;
    let set = |policy: &str| {
        let set = t.sqs.set_queue_attributes().queue_url(&url);
        set.attributes(QueueAttributeName::RedrivePolicy, policy)
            .send()
    };
    if t.strict {
        let missing = "arn:aws:sqs:us-east-1:000000000000:no-such-queue";
        let policy = format!(r#"{{"deadLetterTargetArn":"{missing}","maxReceiveCount":3}}"#);
        assert_eq!(refused(set(&policy).await), "InvalidParameterValue");
    }
    assert_eq!(
        refused(set(r#"{"maxReceiveCount":3}"#).await),
        "InvalidParameterValue"
    );
    let dead = queue(t, "policy-dead").await;
    let arn = attribute(t, &dead, QueueAttributeName::QueueArn).await;
    set(&format!(
        r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":3}}"#
    ))
    .await
    .unwrap();
    assert!(
        attribute(t, &url, QueueAttributeName::RedrivePolicy)
            .await
            .contains(&arn)
    );
    set("").await.unwrap();
    let get = t.sqs.get_queue_attributes().queue_url(&url);
    let get = get.attribute_names(QueueAttributeName::RedrivePolicy);
    let left = get.send().await.unwrap().attributes.unwrap_or_default();
    assert!(!left.contains_key(&QueueAttributeName::RedrivePolicy));
}
