//! An SQS standard queue: batches within SQS's limits, each entry's fate told apart.

pub(crate) mod message;

use std::time::Duration;

use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry,
    DeleteMessageBatchRequestEntry, MessageSystemAttributeName, QueueAttributeName,
};
use aws_smithy_types::error::operation::BuildError;
use backon::{BackoffBuilder, ExponentialBuilder};
use planted::Defect;

use crate::error::{CallError, sort};
use crate::meter::Meter;
use crate::queue::message::{Depth, Message, Outgoing};

/// Most entries of a batch call (SQS API reference, read 2026-11-21).
pub const MAX_ENTRIES: usize = 10;

/// Most bytes of a message and of a batch call, attributes included (since August 2025).
pub const MAX_BATCH_BYTES: usize = 1024 * 1024;

const SEND: &str = "sqs:SendMessageBatch";
const RECEIVE: &str = "sqs:ReceiveMessage";
const DELETE: &str = "sqs:DeleteMessageBatch";
const CHANGE: &str = "sqs:ChangeMessageVisibilityBatch";

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
                    reason: format!("there is no queue `{name}`"),
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
            let entries = built(
                SEND,
                pending.iter().map(|at| messages[*at].entry(at.to_string())),
            )?;
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
            .filter_map(Message::received)
            .collect();
        self.meter
            .received(RECEIVE, messages.iter().map(Message::size).sum());
        Ok(messages)
    }

    /// Deletes the deliveries; the results are in their order. An entry that fails leaves its
    /// message to come again.
    pub async fn delete(&self, receipt_handles: &[String]) -> Vec<Result<(), CallError>> {
        each_handle(receipt_handles, DELETE, async |handles| {
            let entry = |(id, handle)| {
                DeleteMessageBatchRequestEntry::builder()
                    .id(id)
                    .receipt_handle(handle)
                    .build()
            };
            let deleted = self
                .sqs
                .delete_message_batch()
                .queue_url(&self.url)
                .set_entries(Some(built(DELETE, handles.into_iter().map(entry))?))
                .customize()
                .interceptor(self.meter.attempts(DELETE, 0))
                .send()
                .await
                .map_err(|error| sort(DELETE, error))?;
            let ids = deleted.successful.into_iter().map(|entry| entry.id);
            Ok((ids.collect(), deleted.failed))
        })
        .await
    }

    /// Hides the deliveries for `timeout` (whole seconds, 0 to 12 h) from now; zero gives them
    /// back to the queue at once. The results are in their order.
    pub async fn change_visibility(
        &self,
        receipt_handles: &[String],
        timeout: Duration,
    ) -> Vec<Result<(), CallError>> {
        each_handle(receipt_handles, CHANGE, async |handles| {
            let entry = |(id, handle)| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(id)
                    .receipt_handle(handle)
                    .visibility_timeout(timeout.as_secs() as i32)
                    .build()
            };
            let changed = self
                .sqs
                .change_message_visibility_batch()
                .queue_url(&self.url)
                .set_entries(Some(built(CHANGE, handles.into_iter().map(entry))?))
                .customize()
                .interceptor(self.meter.attempts(CHANGE, 0))
                .send()
                .await
                .map_err(|error| sort(CHANGE, error))?;
            let ids = changed.successful.into_iter().map(|entry| entry.id);
            Ok((ids.collect(), changed.failed))
        })
        .await
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

/// Makes a batch call for each ten receipt handles, each with its id in the call.
async fn each_handle<F>(
    receipt_handles: &[String],
    operation: &'static str,
    call: impl Fn(Vec<(String, String)>) -> F,
) -> Vec<Result<(), CallError>>
where
    F: Future<Output = Result<BatchAnswer, CallError>>,
{
    let mut results = Vec::with_capacity(receipt_handles.len());
    for chunk in receipt_handles.chunks(MAX_ENTRIES) {
        let with_id = |at: usize| (at.to_string(), chunk[at].clone());
        let called = each_entry(chunk.len(), operation, |pending| {
            call(pending.into_iter().map(with_id).collect())
        });
        results.extend(called.await);
    }
    results
}

/// The entries, or why one of them cannot be one.
fn built<T>(
    operation: &'static str,
    entries: impl Iterator<Item = Result<T, BuildError>>,
) -> Result<Vec<T>, CallError> {
    let entries = entries.collect::<Result<_, _>>();
    entries.map_err(|error| CallError::permanent(operation, error.to_string()))
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

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
