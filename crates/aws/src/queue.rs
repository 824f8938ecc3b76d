//! An SQS standard queue: batches within SQS's limits, each entry's fate told apart.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry,
    DeleteMessageBatchRequestEntry, MessageAttributeValue, MessageSystemAttributeName,
    QueueAttributeName, SendMessageBatchRequestEntry,
};
use backon::{BackoffBuilder, ExponentialBuilder};
use chrono::{DateTime, Utc};
use planted::Defect;

use crate::error::{CallError, sort};
use crate::meter::Meter;

/// Most entries of a batch call (SQS API reference, read 2026-11-21).
pub const MAX_ENTRIES: usize = 10;

/// Most bytes of a message and of a batch call, attributes included (since August 2025).
pub const MAX_BATCH_BYTES: usize = 1024 * 1024;

const SEND: &str = "sqs:SendMessageBatch";
const RECEIVE: &str = "sqs:ReceiveMessage";
const DELETE: &str = "sqs:DeleteMessageBatch";
const CHANGE: &str = "sqs:ChangeMessageVisibilityBatch";

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The text.
    pub body: String,
    /// Message attributes, sent as strings; at most 10.
    pub attributes: BTreeMap<String, String>,
}

impl Outgoing {
    /// Bytes that count towards SQS's limits and bill: body, and name, type and value of each attribute.
    fn size(&self) -> usize {
        let attributes: usize = self
            .attributes
            .iter()
            .map(|(name, value)| name.len() + "String".len() + value.len())
            .sum();
        self.body.len() + attributes
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

/// A queue.
#[derive(Debug, Clone)]
pub struct Queue {
    sqs: aws_sdk_sqs::Client,
    meter: Meter,
    name: String,
    url: String,
}

impl Queue {
    pub(crate) async fn find(
        sqs: aws_sdk_sqs::Client,
        meter: Meter,
        name: &str,
    ) -> Result<Queue, CallError> {
        const GET: &str = "sqs:GetQueueUrl";
        let found = sqs
            .get_queue_url()
            .queue_name(name)
            .customize()
            .interceptor(meter.attempts(GET, 0))
            .send()
            .await;
        let url = found
            .map_err(|error| match sort(GET, error) {
                CallError::NotFound { operation, .. } => CallError::NotFound {
                    operation,
                    reason: format!("there is no queue `{name}`: `--create` makes it"),
                },
                other => other,
            })?
            .queue_url
            .ok_or_else(|| CallError::permanent(GET, "the answer names no queue URL"))?;
        Ok(Queue {
            sqs,
            meter,
            name: name.to_owned(),
            url,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends the messages, up to ten and 1 MiB a call, one call after the other; the results are
    /// in the order of the messages. Entries that fail alone through no fault of theirs are sent
    /// again, with backoff and jitter, for as long as [`retry_delays`] lasts.
    ///
    /// A message whose result is an error may be in the queue all the same.
    pub async fn send(&self, messages: &[Outgoing]) -> Vec<Result<(), CallError>> {
        let mut results = Vec::with_capacity(messages.len());
        for chunk in chunks(messages) {
            results.extend(self.send_chunk(chunk).await);
        }
        results
    }

    async fn send_chunk(&self, messages: &[Outgoing]) -> Vec<Result<(), CallError>> {
        each_entry(messages.len(), SEND, async |pending| {
            let mut entries = Vec::with_capacity(pending.len());
            for at in &pending {
                entries.push(entry(*at, &messages[*at])?);
            }
            let payload = pending.iter().map(|at| messages[*at].size()).sum();
            let sent = self
                .sqs
                .send_message_batch()
                .queue_url(&self.url)
                .set_entries(Some(entries))
                .customize()
                .interceptor(self.meter.attempts(SEND, payload))
                .send()
                .await
                .map_err(|error| sort(SEND, error))?;
            Ok((
                sent.successful.into_iter().map(|entry| entry.id).collect(),
                sent.failed,
            ))
        })
        .await
    }

    /// Receives up to `max` (1 to 10) messages, waiting at most `wait` (whole seconds, 0 to 20)
    /// for the first; none in time gives an empty vector, not an error.
    ///
    /// Delivery is at least once: a message can come twice, and comes again if it is not deleted
    /// within the visibility timeout, which is the queue's own unless `visibility` is given.
    ///
    /// # Errors
    ///
    /// [`CallError::Transient`] once the SDK's retries are spent, else [`CallError::Permanent`].
    pub async fn receive(
        &self,
        max: usize,
        wait: Duration,
        visibility: Option<Duration>,
    ) -> Result<Vec<Message>, CallError> {
        let received = self
            .sqs
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(max.clamp(1, MAX_ENTRIES) as i32)
            .wait_time_seconds(wait.as_secs().min(20) as i32)
            .set_visibility_timeout(visibility.map(|timeout| timeout.as_secs() as i32))
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .customize()
            .interceptor(self.meter.attempts(RECEIVE, 0))
            .send()
            .await
            .map_err(|error| sort(RECEIVE, error))?;
        let messages: Vec<Message> = received
            .messages
            .unwrap_or_default()
            .into_iter()
            .filter_map(delivery)
            .collect();
        self.meter
            .received(RECEIVE, messages.iter().map(payload).sum());
        Ok(messages)
    }

    /// Deletes the deliveries; the results are in their order. An entry that fails leaves its
    /// message to come again.
    pub async fn delete(&self, receipt_handles: &[String]) -> Vec<Result<(), CallError>> {
        let mut results = Vec::with_capacity(receipt_handles.len());
        for chunk in receipt_handles.chunks(MAX_ENTRIES) {
            let deleted = each_entry(chunk.len(), DELETE, async |pending| {
                let mut entries = Vec::with_capacity(pending.len());
                for at in &pending {
                    let entry = DeleteMessageBatchRequestEntry::builder()
                        .id(at.to_string())
                        .receipt_handle(&chunk[*at])
                        .build();
                    entries.push(
                        entry.map_err(|error| CallError::permanent(DELETE, error.to_string()))?,
                    );
                }
                let deleted = self
                    .sqs
                    .delete_message_batch()
                    .queue_url(&self.url)
                    .set_entries(Some(entries))
                    .customize()
                    .interceptor(self.meter.attempts(DELETE, 0))
                    .send()
                    .await
                    .map_err(|error| sort(DELETE, error))?;
                Ok((
                    deleted
                        .successful
                        .into_iter()
                        .map(|entry| entry.id)
                        .collect(),
                    deleted.failed,
                ))
            })
            .await;
            results.extend(deleted);
        }
        results
    }

    /// Hides the deliveries for `timeout` (whole seconds, 0 to 12 h) from now; zero gives them
    /// back to the queue at once. The results are in their order.
    pub async fn change_visibility(
        &self,
        receipt_handles: &[String],
        timeout: Duration,
    ) -> Vec<Result<(), CallError>> {
        let mut results = Vec::with_capacity(receipt_handles.len());
        for chunk in receipt_handles.chunks(MAX_ENTRIES) {
            let changed = each_entry(chunk.len(), CHANGE, async |pending| {
                let mut entries = Vec::with_capacity(pending.len());
                for at in &pending {
                    let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                        .id(at.to_string())
                        .receipt_handle(&chunk[*at])
                        .visibility_timeout(timeout.as_secs() as i32)
                        .build();
                    entries.push(
                        entry.map_err(|error| CallError::permanent(CHANGE, error.to_string()))?,
                    );
                }
                let changed = self
                    .sqs
                    .change_message_visibility_batch()
                    .queue_url(&self.url)
                    .set_entries(Some(entries))
                    .customize()
                    .interceptor(self.meter.attempts(CHANGE, 0))
                    .send()
                    .await
                    .map_err(|error| sort(CHANGE, error))?;
                Ok((
                    changed
                        .successful
                        .into_iter()
                        .map(|entry| entry.id)
                        .collect(),
                    changed.failed,
                ))
            })
            .await;
            results.extend(changed);
        }
        results
    }

    /// How many messages it holds; SQS counts approximately, and catches up within a minute.
    ///
    /// # Errors
    ///
    /// [`CallError`] of the call.
    pub async fn depth(&self) -> Result<Depth, CallError> {
        const GET: &str = "sqs:GetQueueAttributes";
        use QueueAttributeName::{
            ApproximateNumberOfMessages as Visible, ApproximateNumberOfMessagesDelayed as Delayed,
            ApproximateNumberOfMessagesNotVisible as InFlight,
        };
        let answer = self
            .sqs
            .get_queue_attributes()
            .queue_url(&self.url)
            .set_attribute_names(Some(vec![Visible, InFlight, Delayed]))
            .customize()
            .interceptor(self.meter.attempts(GET, 0))
            .send()
            .await
            .map_err(|error| sort(GET, error))?;
        let attributes = answer.attributes.unwrap_or_default();
        let count = |name| {
            attributes
                .get(&name)
                .and_then(|text| text.parse().ok())
                .unwrap_or_default()
        };
        Ok(Depth {
            visible: count(Visible),
            in_flight: count(InFlight),
            delayed: count(Delayed),
        })
    }

    /// Deletes all of its messages. SQS allows it once a minute.
    ///
    /// # Errors
    ///
    /// [`CallError`] of the call.
    pub async fn purge(&self) -> Result<(), CallError> {
        const PURGE: &str = "sqs:PurgeQueue";
        let purged = self
            .sqs
            .purge_queue()
            .queue_url(&self.url)
            .customize()
            .interceptor(self.meter.attempts(PURGE, 0));
        purged
            .send()
            .await
            .map(|_| ())
            .map_err(|error| sort(PURGE, error))
    }
}

/// The pauses between attempts at entries that failed alone: 50 ms doubling to 2 s, each with
/// full jitter, six in all.
pub fn retry_delays() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(2))
        .with_max_times(6)
        .with_jitter()
        .build()
}

/// What a batch call says: the ids that succeeded and the entries that failed.
type BatchAnswer = (Vec<String>, Vec<BatchResultErrorEntry>);

/// Makes a batch call for entries `0..count`, and again for those that failed alone through no
/// fault of their own. An entry that the answer does not mention has failed.
///
/// The call is a function that gives a future rather than an `AsyncFn`: only of the former can the
/// compiler tell that the future is `Send`, which callers on a runtime of several threads need.
async fn each_entry<F>(
    count: usize,
    operation: &'static str,
    call: impl Fn(Vec<usize>) -> F,
) -> Vec<Result<(), CallError>>
where
    F: Future<Output = Result<BatchAnswer, CallError>>,
{
    let mut results: Vec<Result<(), CallError>> = (0..count)
        .map(|_| {
            Err(CallError::transient(
                operation,
                "the answer does not mention the entry",
            ))
        })
        .collect();
    let mut pending: Vec<usize> = (0..count).collect();
    let mut delays = retry_delays();
    loop {
        match call(pending.clone()).await {
            Ok((successful, failed)) => {
                for id in successful {
                    if let Some(result) = id.parse().ok().and_then(|at: usize| results.get_mut(at))
                    {
                        *result = Ok(());
                    }
                }
                for entry in failed {
                    let reason = format!("{}: {}", entry.code, entry.message.unwrap_or_default());
                    if let Some(result) = entry
                        .id
                        .parse()
                        .ok()
                        .and_then(|at: usize| results.get_mut(at))
                    {
                        if planted::has(Defect::IgnoreFailedEntries) {
                            *result = Ok(());
                            continue;
                        }
                        *result = Err(match entry.sender_fault {
                            true => CallError::permanent(operation, reason),
                            false => CallError::transient(operation, reason),
                        });
                    }
                }
            }
            Err(error) => {
                // The SDK has retried the call as a whole already.
                for at in &pending {
                    results[*at] = Err(match error.is_transient() {
                        true => CallError::transient(operation, error.to_string()),
                        false => CallError::permanent(operation, error.to_string()),
                    });
                }
                return results;
            }
        }
        pending.retain(|at| results[*at].as_ref().is_err_and(CallError::is_transient));
        match delays.next() {
            Some(delay) if !pending.is_empty() => tokio::time::sleep(delay).await,
            _ => return results,
        }
    }
}

/// Cuts the messages into calls of at most ten entries and 1 MiB.
fn chunks(messages: &[Outgoing]) -> Vec<&[Outgoing]> {
    let mut chunks = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, message) in messages.iter().enumerate() {
        let size = message.size();
        if at > start && (at - start == MAX_ENTRIES || bytes + size > MAX_BATCH_BYTES) {
            chunks.push(&messages[start..at]);
            (start, bytes) = (at, 0);
        }
        bytes += size;
    }
    if start < messages.len() {
        chunks.push(&messages[start..]);
    }
    chunks
}

fn entry(at: usize, message: &Outgoing) -> Result<SendMessageBatchRequestEntry, CallError> {
    let refuse = |error: aws_smithy_types::error::operation::BuildError| {
        CallError::permanent(SEND, error.to_string())
    };
    let mut entry = SendMessageBatchRequestEntry::builder()
        .id(at.to_string())
        .message_body(&message.body);
    for (name, value) in &message.attributes {
        let value = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(value)
            .build()
            .map_err(refuse)?;
        entry = entry.message_attributes(name, value);
    }
    entry.build().map_err(refuse)
}

fn delivery(message: aws_sdk_sqs::types::Message) -> Option<Message> {
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

fn payload(message: &Message) -> usize {
    let attributes: usize = message
        .attributes
        .iter()
        .map(|(name, value)| name.len() + "String".len() + value.len())
        .sum();
    message.body.len() + attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: usize) -> Outgoing {
        Outgoing {
            body: "x".repeat(bytes),
            attributes: BTreeMap::new(),
        }
    }

    #[test]
    fn calls_hold_at_most_ten_entries_and_one_mebibyte() {
        let many: Vec<_> = (0..25).map(|_| message(10)).collect();
        assert_eq!(
            chunks(&many)
                .iter()
                .map(|chunk| chunk.len())
                .collect::<Vec<_>>(),
            [10, 10, 5]
        );
        let large: Vec<_> = (0..3).map(|_| message(600 * 1024)).collect();
        assert_eq!(chunks(&large).len(), 3);
        assert!(chunks(&[]).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn entries_that_fail_alone_are_tried_again_and_their_neighbours_are_not() {
        let calls = std::sync::Mutex::new(Vec::new());
        let failed = |id: usize, sender_fault| {
            BatchResultErrorEntry::builder()
                .id(id.to_string())
                .code("X")
                .sender_fault(sender_fault)
                .build()
                .unwrap()
        };
        let results = each_entry(4, SEND, async |pending| {
            let mut calls = calls.lock().unwrap();
            calls.push(pending.clone());
            Ok(match calls.len() {
                1 => (vec!["0".into()], vec![failed(1, false), failed(2, true)]),
                _ => (pending.iter().map(ToString::to_string).collect(), vec![]),
            })
        })
        .await;
        assert_eq!(*calls.lock().unwrap(), [vec![0, 1, 2, 3], vec![1, 3]]);
        assert!(results[0].is_ok() && results[1].is_ok() && results[3].is_ok());
        assert!(matches!(results[2], Err(CallError::Permanent { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn entries_that_go_on_failing_are_given_up() {
        let results = each_entry(1, SEND, async |_| Ok((vec![], vec![]))).await;
        assert!(results[0].as_ref().is_err_and(CallError::is_transient));
    }
}
