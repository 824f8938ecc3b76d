//! Operations on single messages: send, receive, delete, change visibility.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::attributes::Settings;
use super::deliveries::Delivery;
use super::error::SqsError;
use super::message::{AttributeValue, Attributes, Content, Message, attributes_md5};
use super::names::{ACCOUNT, queue_name};
use super::{Caller, Sqs, parse};
use crate::faults::FaultKind;

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct SendRequest {
    queue_url: String,
    message_body: String,
    delay_seconds: Option<i64>,
    message_attributes: Attributes,
    message_system_attributes: Attributes,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ReceiveRequest {
    queue_url: String,
    max_number_of_messages: Option<i64>,
    wait_time_seconds: Option<i64>,
    visibility_timeout: Option<i64>,
    message_attribute_names: Vec<String>,
    message_system_attribute_names: Vec<String>,
    /// The older name of `message_system_attribute_names`.
    attribute_names: Vec<String>,
}

/// `DeleteMessage` and `ChangeMessageVisibility`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HandleRequest {
    queue_url: String,
    receipt_handle: String,
    visibility_timeout: Option<i64>,
}

/// A message in the answer to `ReceiveMessage`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Received<'a> {
    message_id: &'a str,
    receipt_handle: &'a str,
    #[serde(rename = "MD5OfBody")]
    md5_of_body: &'a str,
    body: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    message_attributes: BTreeMap<&'a String, &'a AttributeValue>,
    #[serde(
        rename = "MD5OfMessageAttributes",
        skip_serializing_if = "Option::is_none"
    )]
    md5_of_message_attributes: Option<String>,
}

/// A message of a sender, checked as far as its queue does not matter.
pub(super) struct CheckedMessage {
    pub(super) content: Arc<Content>,
    delay_seconds: Option<u64>,
}

impl CheckedMessage {
    pub(super) fn checked(
        body: String,
        delay_seconds: Option<i64>,
        attributes: Attributes,
        system_attributes: &Attributes,
    ) -> Result<Self, SqsError> {
        if !system_attributes.is_empty() {
            return Err(SqsError::unsupported(
                "Message system attributes are not emulated.",
            ));
        }
        let delay_seconds = delay_seconds.map(|seconds| {
            let valid = u64::try_from(seconds)
                .ok()
                .filter(|seconds| *seconds <= 900);
            valid.ok_or_else(|| {
                SqsError::invalid_parameter(
                    "DelaySeconds",
                    seconds,
                    "DelaySeconds must be >= 0 and <= 900.",
                )
            })
        });
        Ok(Self {
            delay_seconds: delay_seconds.transpose()?,
            content: Arc::new(Content::checked(body, attributes)?),
        })
    }

    pub(super) fn check_size(&self, settings: &Settings) -> Result<(), SqsError> {
        let most = settings.max_message_bytes;
        if self.content.size() > most {
            return Err(SqsError::invalid_value(format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {most} \
                 bytes."
            )));
        }
        Ok(())
    }

    pub(super) fn delay(&self, settings: &Settings) -> Duration {
        self.delay_seconds
            .map_or(settings.delay, Duration::from_secs)
    }

    /// The MD5s by their member in the answer.
    pub(super) fn md5s(&self) -> Vec<(&'static str, String)> {
        let content = &self.content;
        let mut md5s = vec![("MD5OfMessageBody", content.body_md5.clone())];
        let attributes = attributes_md5(&content.attributes);
        md5s.extend(attributes.map(|md5| ("MD5OfMessageAttributes", md5)));
        md5s
    }
}

impl Sqs {
    pub(super) fn send_message(&self, body: &[u8]) -> Result<String, SqsError> {
        let request: SendRequest = parse(body)?;
        let name = queue_name(&request.queue_url)?;
        let outgoing = CheckedMessage::checked(
            request.message_body,
            request.delay_seconds,
            request.message_attributes,
            &request.message_system_attributes,
        )?;
        let now = self.clock.now();
        let mut state = self.state();
        let settings = &state.queue(name, now)?.settings;
        outgoing.check_size(settings)?;
        let delay = outgoing.delay(settings);
        let (change, id) = state.arrival(name, Arc::clone(&outgoing.content), delay, now);
        state.commit(vec![change])?;
        drop(state);
        let mut answer = json!({"MessageId": id});
        for (member, md5) in outgoing.md5s() {
            answer[member] = json!(md5);
        }
        Ok(answer.to_string())
    }

    /// Answers once a message can be received, and at the latest when the wait is over. A caller that
    /// gives up earlier takes no message with it.
    pub(super) async fn receive_message(
        &self,
        body: &[u8],
        caller: &Caller,
    ) -> Result<String, SqsError> {
        let request: ReceiveRequest = parse(body)?;
        let name = queue_name(&request.queue_url)?;
        let max = within(
            "MaxNumberOfMessages",
            request.max_number_of_messages,
            1..=10,
            "Must be between 1 and 10, if provided.",
        )?;
        let max = usize::try_from(max.unwrap_or(1)).unwrap_or(1);
        let wait = within(
            "WaitTimeSeconds",
            request.wait_time_seconds,
            0..=20,
            "Must be >= 0 and <= 20, if provided.",
        )?;
        let visibility = within(
            "VisibilityTimeout",
            request.visibility_timeout,
            0..=43_200,
            "Must be between 0 and 43200, if provided.",
        )?;
        let visibility = visibility.map(Duration::from_secs);
        let default_wait = self.state().queue(name, self.clock.now())?.settings.wait;
        let deadline = self.clock.now() + wait.map_or(default_wait, Duration::from_secs);
        let notify = {
            let mut state = self.state();
            Arc::clone(&state.queue(name, self.clock.now())?.changed)
        };
        loop {
            // Made before looking, so that a message sent in between wakes it.
            let changed = notify.notified();
            let (delivered, next) = self.try_receive(name, max, visibility, caller.duplicate)?;
            let over = self.clock.now() >= deadline || caller.stop.is_cancelled();
            if !delivered.is_empty() || over {
                return answer(&delivered, &request);
            }
            let wake = next.map_or(deadline, |next| next.min(deadline));
            tokio::select! {
                biased;
                () = changed => {}
                () = tokio::time::sleep_until(self.clock.instant(wake)) => {}
                () = caller.stop.cancelled() => {}
            }
        }
    }

    /// The messages received now, and when the next hidden message becomes visible.
    fn try_receive(
        &self,
        name: &str,
        max: usize,
        visibility: Option<Duration>,
        duplicate: bool,
    ) -> Result<(Vec<Delivery>, Option<Duration>), SqsError> {
        let now = self.clock.now();
        let mut state = self.state();
        let queue = state.queue(name, now)?;
        let in_flight: Vec<_> = if duplicate {
            queue.in_flight().map(|message| message.seq).collect()
        } else {
            Vec::new()
        };
        let again = (!in_flight.is_empty()).then(|| in_flight[self.faults().pick(in_flight.len())]);
        let delivered = state.receive(name, max, visibility, again, now)?;
        if again.is_some_and(|seq| delivered.iter().any(|delivery| delivery.message.seq == seq)) {
            self.faults()
                .count(FaultKind::DuplicateDelivery, "ReceiveMessage");
        }
        let again = delivered
            .iter()
            .filter(|delivery| delivery.message.receive_count > 1);
        self.redeliveries
            .fetch_add(again.count() as u64, Ordering::Relaxed);
        let next = state.queue(name, now)?.next_visible();
        Ok((delivered, next))
    }

    pub(super) fn delete_message(&self, body: &[u8]) -> Result<String, SqsError> {
        let request: HandleRequest = parse(body)?;
        let name = queue_name(&request.queue_url)?;
        let mut state = self.state();
        let change = state.deletion(name, &request.receipt_handle, self.clock.now())?;
        state.commit(change.into_iter().collect())?;
        Ok("{}".to_owned())
    }

    pub(super) fn change_message_visibility(&self, body: &[u8]) -> Result<String, SqsError> {
        let request: HandleRequest = parse(body)?;
        let name = queue_name(&request.queue_url)?;
        let visibility = request.visibility_timeout;
        let visibility = visibility.ok_or_else(|| SqsError::missing("VisibilityTimeout"))?;
        let mut state = self.state();
        let now = self.clock.now();
        let change = state.hiding(name, &request.receipt_handle, visibility, now)?;
        state.commit(vec![change])?;
        Ok("{}".to_owned())
    }
}

fn within(
    name: &str,
    value: Option<i64>,
    range: std::ops::RangeInclusive<i64>,
    reason: &str,
) -> Result<Option<u64>, SqsError> {
    match value {
        Some(value) if !range.contains(&value) => {
            Err(SqsError::invalid_parameter(name, value, reason))
        }
        value => Ok(value.and_then(|value| u64::try_from(value).ok())),
    }
}

/// The answer to `ReceiveMessage`, with the attributes that the request names.
fn answer(delivered: &[Delivery], request: &ReceiveRequest) -> Result<String, SqsError> {
    if delivered.is_empty() {
        return Ok("{}".to_owned());
    }
    let system_names = [
        &request.message_system_attribute_names,
        &request.attribute_names,
    ];
    let messages = delivered.iter().map(
        |Delivery {
             message,
             receipt_handle,
         }| {
            let content = &message.content;
            let wanted = |name: &String| is_wanted(name, &request.message_attribute_names);
            let attributes = content.attributes.iter().filter(|(name, _)| wanted(name));
            let message_attributes: BTreeMap<_, _> = attributes.collect();
            let mut system = system_attributes(message);
            system.retain(|name, _| {
                let mut names = system_names.into_iter().flatten();
                names.any(|wanted| wanted == "All" || wanted == name)
            });
            Received {
                message_id: &message.id,
                receipt_handle,
                md5_of_body: &content.body_md5,
                body: &content.body,
                attributes: system,
                md5_of_message_attributes: attributes_md5(
                    message_attributes.iter().map(|(n, v)| (*n, *v)),
                ),
                message_attributes,
            }
        },
    );
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer<'a> {
        messages: Vec<Received<'a>>,
    }
    let answer = Answer {
        messages: messages.collect(),
    };
    serde_json::to_string(&answer).map_err(|error| SqsError::internal(error.to_string()))
}

/// Whether a request names an attribute: by name, by `prefix.*`, or by `All` or `.*`.
fn is_wanted(name: &str, wanted: &[String]) -> bool {
    wanted.iter().any(|wanted| match wanted.strip_suffix(".*") {
        Some(prefix) => name.starts_with(prefix),
        None => wanted == "All" || wanted == name,
    })
}

fn system_attributes(message: &Message) -> BTreeMap<&'static str, String> {
    let mut all = BTreeMap::from([
        ("SenderId", ACCOUNT.to_owned()),
        ("SentTimestamp", message.sent.as_millis().to_string()),
        ("ApproximateReceiveCount", message.receive_count.to_string()),
    ]);
    if let Some(first) = message.first_received {
        all.insert(
            "ApproximateFirstReceiveTimestamp",
            first.as_millis().to_string(),
        );
    }
    if let Some(arn) = &message.dead_letter_source {
        all.insert("DeadLetterQueueSourceArn", arn.clone());
    }
    all
}
