//! What goes into a queue, what comes out of it, and how much there is.

use std::collections::BTreeMap;

use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeName, SendMessageBatchRequestEntry,
};
use aws_smithy_types::error::operation::BuildError;
use chrono::{DateTime, Utc};

/// A message to send. SQS takes the characters of XML 1.0 only, so not U+0000 or U+FFFE, for example (SQS API
/// reference, `SendMessage`, read 2026-11-26).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The text, of at least one character.
    pub body: String,
    /// Message attributes, sent as strings; at most 10, none empty.
    pub attributes: BTreeMap<String, String>,
}

impl Outgoing {
    /// Bytes that count towards [`MAX_BATCH_BYTES`](crate::MAX_BATCH_BYTES) and SQS's bill: the body, and name, type
    /// and value of each attribute.
    pub fn size(&self) -> usize {
        size(&self.body, &self.attributes)
    }

    /// # Errors
    ///
    /// If an attribute cannot be built.
    pub(crate) fn entry(&self, id: String) -> Result<SendMessageBatchRequestEntry, BuildError> {
        let mut entry = SendMessageBatchRequestEntry::builder()
            .id(id)
            .message_body(&self.body);
        for (name, value) in &self.attributes {
            let value = MessageAttributeValue::builder()
                .data_type("String")
                .string_value(value)
                .build()?;
            entry = entry.message_attributes(name, value);
        }
        entry.build()
    }
}

/// One delivery of a message; the same message may be delivered again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The id that SQS gave the message; the same at each delivery.
    pub id: String,
    /// The handle by which this delivery is deleted or extended; each delivery has another.
    pub receipt_handle: String,
    /// The text.
    pub body: String,
    /// The message attributes that are strings or numbers; binary ones are left out.
    pub attributes: BTreeMap<String, String>,
    /// When SQS took the message, in milliseconds; 1970 where SQS does not say.
    pub sent_at: DateTime<Utc>,
    /// Deliveries of the message, this one counted; approximate, 1 where SQS does not say.
    pub receive_count: u32,
}

impl Message {
    pub(crate) fn size(&self) -> usize {
        size(&self.body, &self.attributes)
    }

    /// Takes over the SDK's message; `None` without an id or a receipt handle.
    pub(crate) fn received(message: aws_sdk_sqs::types::Message) -> Option<Message> {
        let system = message.attributes.unwrap_or_default();
        let number = |name| system.get(&name).and_then(|text| text.parse::<i64>().ok());
        let attributes = message.message_attributes.unwrap_or_default();
        Some(Message {
            id: message.message_id?,
            receipt_handle: message.receipt_handle?,
            body: message.body.unwrap_or_default(),
            attributes: attributes
                .into_iter()
                .filter_map(|(name, value)| Some((name, value.string_value?)))
                .collect(),
            sent_at: number(MessageSystemAttributeName::SentTimestamp)
                .and_then(DateTime::from_timestamp_millis)
                .unwrap_or_default(),
            receive_count: number(MessageSystemAttributeName::ApproximateReceiveCount).unwrap_or(1)
                as u32,
        })
    }
}

fn size(body: &str, attributes: &BTreeMap<String, String>) -> usize {
    let attributes = attributes
        .iter()
        .map(|(name, value)| name.len() + "String".len() + value.len());
    body.len() + attributes.sum::<usize>()
}

/// Messages in a queue, as SQS counts them: approximately, and not exact until at least a minute after the last send,
/// so that a queue that counts zero may hold messages (SQS API reference, `GetQueueAttributes`, read 2026-11-26).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Messages that can be received now.
    pub visible: u64,
    /// Messages that are received, not deleted, and still hidden.
    pub in_flight: u64,
    /// Messages that were sent with a delay that has not passed.
    pub delayed: u64,
}

impl Depth {
    /// Messages in all three states; a message that changes its state while SQS counts may be counted twice or not at
    /// all.
    pub fn total(self) -> u64 {
        self.visible + self.in_flight + self.delayed
    }
}
