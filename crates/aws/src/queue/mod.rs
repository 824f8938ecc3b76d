//! An SQS standard queue. Messages go in and come out in batches within SQS's limits; each entry of a batch has a
//! result of its own. Delivery is at least once and in no order: callers must bear repeats.

pub(crate) mod batch;
pub(crate) mod message;

use std::time::Duration;

use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
    MessageSystemAttributeName, QueueAttributeName,
};

use crate::error::{CallError, sort, unbuilt};
use crate::meter::Meter;
use crate::queue::batch::{MAX_ENTRIES, chunks, each_entry, each_handle};
use crate::queue::message::{Depth, Message, Outgoing};

const SEND: &str = "sqs:SendMessageBatch";
const RECEIVE: &str = "sqs:ReceiveMessage";
const DELETE: &str = "sqs:DeleteMessageBatch";
const CHANGE: &str = "sqs:ChangeMessageVisibilityBatch";

/// A queue that was there when it was looked for; clones share client and meter.
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

    /// The name by which the queue was found.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL that SQS gave for the name; calls name the queue by it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends the messages, up to ten and 1 MiB a call, one call after the other; the results are in the order of the
    /// messages. Entries that fail alone through no fault of their own are sent again, with backoff and jitter, for as
    /// long as [`retry_delays`](crate::retry_delays) lasts.
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
            let entries = pending
                .iter()
                .map(|at| messages[*at].entry(at.to_string()))
                .collect::<Result<_, _>>()
                .map_err(unbuilt(SEND))?;
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
            let ids = sent.successful.into_iter().map(|entry| entry.id);
            Ok((ids.collect(), sent.failed))
        })
        .await
    }

    /// Receives up to `max` (1 to 10) messages, waiting at most `wait` (whole seconds, 0 to 20)
    /// for the first; none in time gives an empty vector, not an error.
    ///
    /// Delivery is at least once: a message can come twice, and comes again if it is not deleted within the visibility
    /// timeout, which is the queue's own unless `visibility` (whole seconds, 0 to 12 h) is given. Past about 120,000
    /// messages in flight a long poll gives nothing rather than an error.
    ///
    /// # Errors
    ///
    /// [`CallError::Transient`] once the SDK's retries are spent, [`CallError::NotFound`] if the queue is gone, else
    /// [`CallError::Permanent`].
    ///
    /// Limits: SQS API reference, `ReceiveMessage`, and developer guide, queue quotas (read 2026-11-26).
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

    /// Deletes the deliveries; the results are in the order of the handles. A message whose entry fails comes again;
    /// one whose entry succeeds comes again in rare cases.
    pub async fn delete(&self, receipt_handles: &[String]) -> Vec<Result<(), CallError>> {
        each_handle(receipt_handles, DELETE, async |handles| {
            let entries = handles.into_iter().map(|(id, handle)| {
                DeleteMessageBatchRequestEntry::builder()
                    .id(id)
                    .receipt_handle(handle)
                    .build()
            });
            let entries = entries.collect::<Result<_, _>>();
            let deleted = self
                .sqs
                .delete_message_batch()
                .queue_url(&self.url)
                .set_entries(Some(entries.map_err(unbuilt(DELETE))?))
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

    /// Hides the deliveries for `timeout` (whole seconds, 0 to 12 h) from now; zero gives them back to the queue at
    /// once. The results are in the order of the handles. SQS refuses a timeout that would end more than 12 h after
    /// the receipt.
    ///
    /// Limits: SQS API reference, `ChangeMessageVisibility` (read 2026-11-26).
    pub async fn change_visibility(
        &self,
        receipt_handles: &[String],
        timeout: Duration,
    ) -> Vec<Result<(), CallError>> {
        each_handle(receipt_handles, CHANGE, async |handles| {
            let entries = handles.into_iter().map(|(id, handle)| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(id)
                    .receipt_handle(handle)
                    .visibility_timeout(timeout.as_secs() as i32)
                    .build()
            });
            let entries = entries.collect::<Result<_, _>>();
            let changed = self
                .sqs
                .change_message_visibility_batch()
                .queue_url(&self.url)
                .set_entries(Some(entries.map_err(unbuilt(CHANGE))?))
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

    /// Counts the messages of the queue, approximately: see [`Depth`].
    ///
    /// # Errors
    ///
    /// [`CallError::NotFound`] if the queue is gone, else as [`Queue::receive`].
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

    /// Deletes all messages of the queue, in flight or not. It takes SQS up to a minute, in which also messages that
    /// are sent may be deleted.
    ///
    /// # Errors
    ///
    /// [`CallError::Permanent`] if the queue was purged less than a minute ago, else as [`Queue::receive`].
    ///
    /// Limits: SQS API reference, `PurgeQueue` (read 2026-11-26).
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
