//! Batch operations: up to ten entries, each of which succeeds or fails by itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::attributes::MAX_MESSAGE_BYTES;
use super::error::SqsError;
use super::message::Attributes;
use super::messages::Outgoing;
use super::{Sqs, parse, queue_name};

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

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendEntry {
    #[serde(default)]
    id: String,
    #[serde(default)]
    message_body: String,
    delay_seconds: Option<i64>,
    #[serde(default)]
    message_attributes: Attributes,
    #[serde(default)]
    message_system_attributes: Attributes,
}

/// An entry about a message that was received.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HandleEntry {
    #[serde(default)]
    id: String,
    #[serde(default)]
    receipt_handle: String,
    visibility_timeout: Option<i64>,
}

/// The answer to a batch as it comes together.
#[derive(Default)]
struct Outcome {
    successful: Vec<Value>,
    failed: Vec<Value>,
}

impl Outcome {
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

    fn into_answer(self) -> String {
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
            let result = Outgoing::checked(
                entry.message_body,
                entry.delay_seconds,
                entry.message_attributes,
                entry.message_system_attributes,
            );
            (entry.id, result)
        });
        let checked: Vec<_> = checked.collect();
        let sizes = checked
            .iter()
            .filter_map(|(_, result)| result.as_ref().ok());
        let total: usize = sizes.map(|outgoing| outgoing.content.size()).sum();
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
        let (mut outcome, mut changes) = (Outcome::default(), Vec::new());
        let mut state = self.state();
        for (id, outgoing) in checked {
            let send = || {
                let outgoing = outgoing?;
                self.spare("SendMessageBatch")?;
                let settings = &state.queue(name, now)?.settings;
                outgoing.check_size(settings)?;
                let delay = outgoing.delay(settings);
                let (change, message_id) =
                    state.arrival(name, Arc::clone(&outgoing.content), delay, now);
                changes.push(change);
                let mut entry = json!({"MessageId": message_id});
                for (member, md5) in outgoing.md5s() {
                    entry[member] = json!(md5);
                }
                Ok(entry)
            };
            outcome.note(&id, send());
        }
        state.commit(changes)?;
        Ok(outcome.into_answer())
    }

    pub(super) fn delete_message_batch(&self, body: &[u8]) -> Result<String, SqsError> {
        let request: BatchRequest<HandleEntry> = parse(body)?;
        let name = queue_name(&request.queue_url)?;
        let now = self.clock.now();
        let mut state = self.state();
        state.queue(name, now)?;
        check_ids(request.entries.iter().map(|entry| entry.id.as_str()))?;
        let (mut outcome, mut changes) = (Outcome::default(), Vec::new());
        for entry in &request.entries {
            let mut delete = || {
                self.spare("DeleteMessageBatch")?;
                changes.extend(state.deletion(name, &entry.receipt_handle, now)?);
                Ok(json!({}))
            };
            outcome.note(&entry.id, delete());
        }
        state.commit(changes)?;
        Ok(outcome.into_answer())
    }

    pub(super) fn change_message_visibility_batch(&self, body: &[u8]) -> Result<String, SqsError> {
        let request: BatchRequest<HandleEntry> = parse(body)?;
        let name = queue_name(&request.queue_url)?;
        let now = self.clock.now();
        let mut state = self.state();
        state.queue(name, now)?;
        check_ids(request.entries.iter().map(|entry| entry.id.as_str()))?;
        let (mut outcome, mut changes) = (Outcome::default(), Vec::new());
        for entry in &request.entries {
            let mut hide = || {
                self.spare("ChangeMessageVisibilityBatch")?;
                let visibility = entry.visibility_timeout;
                let visibility =
                    visibility.ok_or_else(|| SqsError::missing("VisibilityTimeout"))?;
                changes.push(state.hiding(name, &entry.receipt_handle, visibility, now)?);
                Ok(json!({}))
            };
            outcome.note(&entry.id, hide());
        }
        state.commit(changes)?;
        Ok(outcome.into_answer())
    }

    /// Fails an entry when the fault plan says so.
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
