//! Batch operations: up to ten entries, each of which succeeds or fails by itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::attributes::MAX_MESSAGE_BYTES;
use super::error::SqsError;
use super::message::Attributes;
use super::messages::CheckedMessage;
use super::names::queue_name;
use super::{Sqs, parse};

/// Entries a batch may hold (SQS quotas).
const MAX_ENTRIES: usize = 10;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", bound = "E: DeserializeOwned")]
struct BatchRequest<E> {
    #[serde(default)]
    queue_url: String,
    #[serde(default = "Vec::new")]
    entries: Vec<E>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct SendEntry {
    id: String,
    message_body: String,
    delay_seconds: Option<i64>,
    message_attributes: Attributes,
    message_system_attributes: Attributes,
}

/// An entry of `DeleteMessageBatch` or `ChangeMessageVisibilityBatch`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HandleEntry {
    id: String,
    receipt_handle: String,
    visibility_timeout: Option<i64>,
}

#[derive(Default)]
struct BatchAnswer {
    successful: Vec<Value>,
    failed: Vec<Value>,
}

impl BatchAnswer {
    fn note(&mut self, id: &str, result: Result<Value, SqsError>) {
        match result {
            Ok(mut entry) => {
                entry["Id"] = json!(id);
                self.successful.push(entry);
            }
            Err(error) => self.failed.push(json!({
                "Id": id,
                "SenderFault": error.is_senders_fault(),
                "Code": error.code,
                "Message": error.message,
            })),
        }
    }

    fn into_json(self) -> String {
        json!({"Successful": self.successful, "Failed": self.failed}).to_string()
    }
}

impl Sqs {
    pub(super) fn send_message_batch(&self, body: &[u8]) -> Result<String, SqsError> {
        let request: BatchRequest<SendEntry> = parse(body)?;
        let name = queue_name(&request.queue_url)?;
        self.state().queue(name, self.clock.now())?;
        check_ids(request.entries.iter().map(|entry| entry.id.as_str()))?;
        let checked = request.entries.into_iter().map(|entry| {
            let result = CheckedMessage::checked(
                entry.message_body,
                entry.delay_seconds,
                entry.message_attributes,
                &entry.message_system_attributes,
            );
            (entry.id, result)
        });
        let checked: Vec<_> = checked.collect();
        let sizes = checked
            .iter()
            .filter_map(|(_, result)| result.as_ref().ok());
        let total: usize = sizes.map(|message| message.content.size()).sum();
        if total > MAX_MESSAGE_BYTES {
            return Err(SqsError::new(
                "BatchRequestTooLong",
                format!(
                    "Batch requests cannot be longer than {MAX_MESSAGE_BYTES} bytes. You have \
                     sent {total} bytes."
                ),
            ));
        }
        let now = self.clock.now();
        let (mut answer, mut changes) = (BatchAnswer::default(), Vec::new());
        let mut state = self.state();
        for (id, message) in checked {
            let send = || {
                let message = message?;
                self.spare("SendMessageBatch")?;
                let settings = &state.queue(name, now)?.settings;
                message.check_size(settings)?;
                let delay = message.delay(settings);
                let (change, message_id) =
                    state.arrival(name, Arc::clone(&message.content), delay, now);
                changes.push(change);
                let mut entry = json!({"MessageId": message_id});
                for (member, md5) in message.md5s() {
                    entry[member] = json!(md5);
                }
                Ok(entry)
            };
            answer.note(&id, send());
        }
        state.commit(changes)?;
        Ok(answer.into_json())
    }

    pub(super) fn delete_message_batch(&self, body: &[u8]) -> Result<String, SqsError> {
        let request: BatchRequest<HandleEntry> = parse(body)?;
        let name = queue_name(&request.queue_url)?;
        let now = self.clock.now();
        let mut state = self.state();
        state.queue(name, now)?;
        check_ids(request.entries.iter().map(|entry| entry.id.as_str()))?;
        let (mut answer, mut changes) = (BatchAnswer::default(), Vec::new());
        for entry in &request.entries {
            let mut delete = || {
                self.spare("DeleteMessageBatch")?;
                changes.extend(state.deletion(name, &entry.receipt_handle, now)?);
                Ok(json!({}))
            };
            answer.note(&entry.id, delete());
        }
        state.commit(changes)?;
        Ok(answer.into_json())
    }

    pub(super) fn change_message_visibility_batch(&self, body: &[u8]) -> Result<String, SqsError> {
        let request: BatchRequest<HandleEntry> = parse(body)?;
        let name = queue_name(&request.queue_url)?;
        let now = self.clock.now();
        let mut state = self.state();
        state.queue(name, now)?;
        check_ids(request.entries.iter().map(|entry| entry.id.as_str()))?;
        let (mut answer, mut changes) = (BatchAnswer::default(), Vec::new());
        for entry in &request.entries {
            let mut hide = || {
                self.spare("ChangeMessageVisibilityBatch")?;
                let visibility = entry.visibility_timeout;
                let visibility =
                    visibility.ok_or_else(|| SqsError::missing("VisibilityTimeout"))?;
                changes.push(state.hiding(name, &entry.receipt_handle, visibility, now)?);
                Ok(json!({}))
            };
            answer.note(&entry.id, hide());
        }
        state.commit(changes)?;
        Ok(answer.into_json())
    }

    /// Fails if the fault plan fails this entry.
    fn spare(&self, operation: &str) -> Result<(), SqsError> {
        if self.faults().entry_fails(operation) {
            return Err(SqsError::internal("This entry failed, by the fault plan."));
        }
        Ok(())
    }
}

fn check_ids<'a>(ids: impl ExactSizeIterator<Item = &'a str>) -> Result<(), SqsError> {
    if ids.len() == 0 {
        return Err(SqsError::new(
            "EmptyBatchRequest",
            "There should be at least one entry in the request.",
        ));
    }
    if ids.len() > MAX_ENTRIES {
        return Err(SqsError::new(
            "TooManyEntriesInBatchRequest",
            format!(
                "Maximum number of entries per request are {MAX_ENTRIES}. You have sent {}.",
                ids.len()
            ),
        ));
    }
    let mut seen = BTreeSet::new();
    for id in ids {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if id.is_empty() || id.len() > 80 || !id.chars().all(allowed) {
            return Err(SqsError::new(
                "InvalidBatchEntryId",
                "A batch entry id can only contain alphanumeric characters, hyphens and \
                 underscores. It can be at most 80 letters long.",
            ));
        }
        if !seen.insert(id) {
            return Err(SqsError::new(
                "BatchEntryIdsNotDistinct",
                format!("Id {id} repeated."),
            ));
        }
    }
    Ok(())
}
