//! Deliveries of messages: receive, delete, hide, and the receipt handles that name a delivery.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::error::SqsError;
use super::journal::Change;
use super::message::Message;
use super::state::State;
use crate::wall_clock::Moment;

/// Messages that may be in flight at a time (SQS quotas, standard queues).
const MAX_IN_FLIGHT: usize = 120_000;

#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) message: Message,
    pub(crate) receipt_handle: String,
}

impl State {
    /// Delivers up to `max` visible messages and hides them for `visibility`. Messages that were received
    /// too often go to the dead-letter queue instead. `again` is a message in flight to deliver once
    /// more.
    pub(crate) fn receive(
        &mut self,
        name: &str,
        max: usize,
        visibility: Option<Duration>,
        again: Option<u64>,
        now: Moment,
    ) -> Result<Vec<Delivery>, SqsError> {
        let queue = self.queue(name, now)?;
        let visible_at = now + visibility.unwrap_or(queue.visibility());
        let counts_limit = queue.counts_hidden() >= MAX_IN_FLIGHT;
        if counts_limit && queue.counts().in_flight >= MAX_IN_FLIGHT {
            return Err(SqsError::new("OverLimit", "Too many messages in flight."));
        }
        let redrive = queue.settings.redrive.clone();
        let arn = queue.arn();
        let dead_letters = redrive.as_ref().and_then(|redrive| {
            let target = self.by_arn(&redrive.target_arn)?;
            Some((target.name.clone(), redrive.max_receive_count))
        });
        let queue = self.queue(name, now)?;
        let (mut changes, mut delivered) = (Vec::new(), Vec::new());
        // A duplicate is a delivery, not a reason to call the message a dead letter.
        let most = dead_letters.as_ref().map_or(u32::MAX, |(_, most)| *most);
        let again = again
            .and_then(|seq| queue.get(seq))
            .filter(|message| message.receive_count < most);
        for message in again.into_iter().chain(queue.visible()) {
            if delivered.len() == max {
                break;
            }
            if let Some((target, most)) = &dead_letters
                && message.receive_count >= *most
            {
                // In this order a journal cut off in between repeats the message.
                changes.push(Change::Arrived {
                    queue: target.clone(),
                    message: Message {
                        visible_at: now,
                        dead_letter_source: Some(arn.clone()),
                        ..message.clone()
                    },
                });
                changes.push(Change::Removed {
                    queue: name.to_owned(),
                    seq: message.seq,
                });
                continue;
            }
            delivered.push(message.seq);
            changes.push(Change::Received {
                queue: name.to_owned(),
                seq: message.seq,
                count: message.receive_count + 1,
                at: now,
                visible_at,
            });
        }
        self.commit(changes)?;
        let Some(queue) = self.find(name) else {
            return Ok(Vec::new());
        };
        let messages = delivered.iter().filter_map(|seq| queue.get(*seq));
        Ok(messages
            .map(|message| Delivery {
                receipt_handle: receipt_handle(name, message),
                message: message.clone(),
            })
            .collect())
    }

    /// The change that deletes a message. None if the message is gone or was received again since: AWS
    /// answers such a delete with success too.
    pub(crate) fn deletion(
        &mut self,
        name: &str,
        receipt_handle: &str,
        now: Moment,
    ) -> Result<Option<Change>, SqsError> {
        let queue = self.queue(name, now)?;
        let receipt = Receipt::parse(name, receipt_handle)?;
        let message = queue.get(receipt.seq);
        let latest = message.is_some_and(|message| message.receive_count == receipt.count);
        Ok(latest.then(|| Change::Removed {
            queue: name.to_owned(),
            seq: receipt.seq,
        }))
    }

    /// The change that hides a message in flight for `visibility` from now.
    pub(crate) fn hiding(
        &mut self,
        name: &str,
        receipt_handle: &str,
        visibility: i64,
        now: Moment,
    ) -> Result<Change, SqsError> {
        let queue = self.queue(name, now)?;
        let receipt = Receipt::parse(name, receipt_handle)?;
        let seconds = u64::try_from(visibility)
            .ok()
            .filter(|seconds| *seconds <= 43_200);
        let Some(seconds) = seconds else {
            return Err(SqsError::invalid_parameter(
                "VisibilityTimeout",
                visibility,
                "VisibilityTimeout must be an integer between 0 and 43200.",
            ));
        };
        let unavailable =
            "Message does not exist or is not available for visibility timeout change.";
        let message = queue
            .get(receipt.seq)
            .filter(|message| message.receive_count == receipt.count);
        let Some(message) = message else {
            return Err(SqsError::invalid_parameter(
                "ReceiptHandle",
                receipt_handle,
                unavailable,
            ));
        };
        if !queue.is_in_flight(message) {
            return Err(SqsError::new("MessageNotInflight", unavailable));
        }
        Ok(Change::Hidden {
            queue: name.to_owned(),
            seq: receipt.seq,
            visible_at: now + Duration::from_secs(seconds),
        })
    }
}

/// A receipt handle, read: the message, and the number of the delivery.
struct Receipt {
    seq: u64,
    count: u32,
}

fn receipt_handle(queue: &str, message: &Message) -> String {
    let (seq, count, id) = (message.seq, message.receive_count, &message.id);
    STANDARD.encode(format!("{queue} {seq} {count} {id}"))
}

impl Receipt {
    fn parse(queue: &str, handle: &str) -> Result<Self, SqsError> {
        let read = || {
            let text = String::from_utf8(STANDARD.decode(handle).ok()?).ok()?;
            let mut parts = text.split(' ');
            let of_this_queue = parts.next()? == queue;
            let seq = parts.next()?.parse().ok()?;
            let count = parts.next()?.parse().ok()?;
            of_this_queue.then_some(Self { seq, count })
        };
        read().ok_or_else(|| {
            SqsError::new(
                "ReceiptHandleIsInvalid",
                format!("The input receipt handle \"{handle}\" is not a valid receipt handle."),
            )
        })
    }
}
