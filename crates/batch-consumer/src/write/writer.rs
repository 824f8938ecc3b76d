//! Writes a batch: letters, objects, deletion.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use aws::{CallError, Condition, Lake, MAX_ENTRIES, Queue};
use chrono::Utc;
use contract::Hour;
use metrics::{counter, histogram};
use planted::Defect;
use service::metrics::Ready;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::batch::batcher::Batch;
use crate::batch::buffers::Buffers;
use crate::batch::objects::{CONTENT_TYPE, RawObject, objects};
use crate::metrics::{
    BATCH_MESSAGES, DEAD_LETTER_FAILURES, DEAD_LETTERS, DELETE_FAILURES, DUPLICATES, MESSAGES,
    WRITE_FAILURES, WRITE_RETRIES,
};
use crate::receive::dead_letter::DeadLetter;
use crate::receive::delivery::Delivery;
use crate::receive::give_back::give_back;
use crate::receive::held::Hold;
use crate::receive::outage::Outage;
use crate::write::report::report;

/// Calls to the dead-letter queue at once.
const LETTER_CALLS_AT_ONCE: usize = 4;

/// What the readiness of the consumer depends on here.
const PUT: &str = "s3:PutObject";
const SEND: &str = "sqs:SendMessageBatch";

/// How long a failure of theirs counts: messages that could not be written come again within minutes, and where none
/// comes, nothing would ever show that all is well again.
const FAILURE_LASTS: Duration = Duration::from_secs(300);

/// Writes batches.
#[derive(Debug)]
pub(crate) struct BatchWriter {
    /// The queue that the messages came from.
    pub(crate) queue: Queue,
    pub(crate) dead_letters: Queue,
    pub(crate) lake: Lake,
    /// For the bodies of objects.
    pub(crate) buffers: Buffers,
    /// Told how writes go.
    pub(crate) outage: Arc<Outage>,
    /// Told how the last write and the last letters went.
    pub(crate) ready: Ready,
    /// Once cancelled, messages that cannot be written are given back to the queue.
    pub(crate) halt: CancellationToken,
}

impl BatchWriter {
    /// Writes the batch and deletes its messages. A message with a letter or a line that could not
    /// be kept is left to come again.
    pub(crate) async fn write(&self, mut batch: Batch) {
        counter!(DUPLICATES).increment(batch.duplicates as u64);
        histogram!(BATCH_MESSAGES).record(batch.messages.len() as f64);
        let unsent = self.send_letters(&mut batch).await;
        let objects = objects(&mut batch, &self.buffers);
        if planted::has(Defect::DeleteBeforePut) {
            self.delete(&batch.messages.values().collect::<Vec<_>>())
                .await;
        }
        let unwritten = self.put_all(&objects).await;
        if objects.len() > unwritten.len() {
            report(&batch, &objects, &unwritten, Utc::now());
        }
        if !objects.is_empty() {
            self.outage.note(unwritten.is_empty());
            self.note(PUT, "write_failed", unwritten.is_empty());
        }
        let (kept, left): (Vec<&Delivery>, Vec<&Delivery>) =
            batch.messages.values().partition(|delivery| {
                let mut events = delivery.contents.events.iter();
                !unsent.contains(&delivery.id)
                    && (unwritten.is_empty()
                        || events.all(|mark| !unwritten.contains(&mark.hour())))
            });
        self.delete(&kept).await;
        if self.halt.is_cancelled() {
            give_back(&self.queue, &receipt_handles(&left)).await;
        } else {
            left.iter()
                .flat_map(|delivery| &delivery.holds)
                .for_each(Hold::leave);
        }
    }

    /// Sends the batch's dead letters, which move out of it; gives the ids of the messages with a
    /// letter that could not be sent.
    async fn send_letters(&self, batch: &mut Batch) -> HashSet<String> {
        let (mut sources, mut letters) = (Vec::new(), Vec::new());
        let mut unsent = HashSet::new();
        for delivery in batch.messages.values_mut() {
            for letter in std::mem::take(&mut delivery.contents.letters) {
                if self.put_aside(&letter).await {
                    sources.push((&delivery.id, letter.reason));
                    letters.push(letter.outgoing);
                } else {
                    unsent.insert(delivery.id.clone());
                }
            }
        }
        if letters.is_empty() || planted::has(Defect::ForgetLetters) {
            return unsent;
        }
        let share = letters.len().div_ceil(LETTER_CALLS_AT_ONCE);
        let calls = letters
            .chunks(share.next_multiple_of(MAX_ENTRIES))
            .map(|letters| self.dead_letters.send(letters));
        let results = futures::future::join_all(calls).await;
        let mut sent: BTreeMap<&'static str, u64> = BTreeMap::new();
        let mut failure = None;
        for ((id, reason), result) in sources.into_iter().zip(results.into_iter().flatten()) {
            if let Err(error) = result {
                counter!(DEAD_LETTER_FAILURES).increment(1);
                unsent.insert(id.clone());
                failure = Some(error);
            } else {
                *sent.entry(reason).or_default() += 1;
            }
        }
        for (reason, count) in sent {
            counter!(DEAD_LETTERS, "reason" => reason).increment(count);
            warn!(
                event = "dead_letters",
                reason,
                count,
                queue = self.dead_letters.name(),
                "sent what cannot be processed to the dead-letter queue"
            );
        }
        let passing = failure.as_ref().is_some_and(CallError::is_transient);
        self.note(SEND, "dead_letters_failed", !passing);
        if let Some(failure) = failure {
            error!(
                event = "dead_letters_failed", messages = unsent.len(), error = %failure,
                "their messages are left to come again"
            );
        }
        unsent
    }

    /// Notes how the last call went that the readiness of the consumer depends on.
    fn note(&self, call: &'static str, code: &'static str, went_well: bool) {
        if went_well {
            self.ready.succeeded(call);
        } else {
            self.ready.failed(call, code, FAILURE_LASTS);
        }
    }

    /// Puts the whole body of a letter that holds only its beginning; false if that fails.
    async fn put_aside(&self, letter: &DeadLetter) -> bool {
        let Some(whole) = &letter.whole else {
            return true;
        };
        let put = self.lake.put(
            &whole.key,
            whole.content.clone().into(),
            "application/json",
            HashMap::new(),
            Condition::Always,
        );
        let put = put.await;
        if let Err(failure) = &put {
            counter!(DEAD_LETTER_FAILURES).increment(1);
            error!(
                event = "dead_letters_failed", key = whole.key, error = %failure,
                "the body of a dead letter cannot be kept; its message is left to come again"
            );
        }
        put.is_ok()
    }

    /// Puts the objects; gives the hours of those that could not be put.
    async fn put_all(&self, objects: &[RawObject]) -> HashSet<Hour> {
        let mut unwritten = HashSet::new();
        for object in objects {
            if let Err(failure) = self.put(object).await {
                counter!(WRITE_FAILURES).increment(1);
                error!(
                    event = "write_failed", key = object.key, events = object.events, error = %failure,
                    "its messages are left to come again"
                );
                unwritten.insert(object.hour);
            }
        }
        unwritten
    }

    /// Puts an object, and once more if that fails: the answer to the first put may have been lost.
    async fn put(&self, object: &RawObject) -> Result<(), CallError> {
        let put = || {
            self.lake.put(
                &object.key,
                object.body.clone(),
                CONTENT_TYPE,
                object.metadata.clone(),
                Condition::Always,
            )
        };
        if let Err(failure) = put().await {
            counter!(WRITE_RETRIES).increment(1);
            warn!(event = "write_retried", key = object.key, error = %failure, "putting the object once more");
            put().await?;
        }
        Ok(())
    }

    async fn delete(&self, kept: &[&Delivery]) {
        let mut results = self.queue.delete(&receipt_handles(kept)).await.into_iter();
        let mut failures = Vec::new();
        let mut deleted = 0;
        for delivery in kept {
            let failed_before = failures.len();
            let results = results.by_ref().take(delivery.holds.len());
            failures.extend(results.filter_map(Result::err));
            deleted += u64::from(failures.len() == failed_before);
        }
        counter!(MESSAGES).increment(deleted);
        counter!(DELETE_FAILURES).increment(failures.len() as u64);
        if let Some(failure) = failures.last() {
            warn!(
                event = "delete_failed", deliveries = failures.len(), error = %failure,
                "their messages come again, and their events stand twice in the lake's raw part"
            );
        }
    }
}

fn receipt_handles(deliveries: &[&Delivery]) -> Vec<String> {
    deliveries
        .iter()
        .flat_map(|delivery| &delivery.holds)
        .map(|hold| hold.receipt_handle.clone())
        .collect()
}
