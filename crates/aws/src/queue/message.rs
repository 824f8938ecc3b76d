//! What goes into a queue, what comes out of it, and how much there is.

use std::collections::BTreeMap;

use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeName, SendMessageBatchRequestEntry,
};
use aws_smithy_types::error::operation::BuildError;
use chrono::{DateTime, Utc};

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The text.
    pub body: String,
    /// Message attributes, sent as strings; at most 10.
    pub attributes: BTreeMap<String, String>,
}

impl Outgoing {
    /// Bytes that count towards SQS's limits and bill.
    pub fn size(&self) -> usize {
        size(&self.body, &self.attributes)
    }

    /// The entry of that id in a batch call.
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

/// A delivery of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The id that SQS gave the message; the same at each delivery.
    pub id: String,
    /// What deletes or extends this delivery.
    pub receipt_handle: String,
    /// The text.
    pub body: String,
    /// Message attributes that are strings or numbers.
    pub attributes: BTreeMap<String, String>,
    /// When SQS took the message.
    pub sent_at: DateTime<Utc>,
    /// How often it has been delivered, this delivery counted.
    pub receive_count: u32,
}

impl Message {
    /// Bytes that SQS bills.
    pub(crate) fn size(&self) -> usize {
        size(&self.body, &self.attributes)
    }

    /// The delivery as the SDK gives it; none without an id or a handle.
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

/// Body, and name, type and value of each attribute.
fn size(body: &str, attributes: &BTreeMap<String, String>) -> usize {
    let attributes = attributes
        .iter()
        .map(|(name, value)| name.len() + "String".len() + value.len());
    body.len() + attributes.sum::<usize>()
}

/// How many messages a queue holds, as far as SQS knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Ready to be received.
    pub visible: u64,
    /// Received and neither deleted nor back yet.
    pub in_flight: u64,
    /// Not ready yet.
    pub delayed: u64,
}

impl Depth {
    /// All of them.
    pub fn total(self) -> u64 {
        self.visible + self.in_flight + self.delayed
    }
}
