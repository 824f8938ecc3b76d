//! SQS: JSON 1.0 requests in, JSON answers out, over the queues' state.
//!
//! Each operation reads the state, works out its changes, and commits them in one step (`state`), which
//! writes them to the journal first. Operations are methods of [`Sqs`] in `queues`, `messages` and
//! `batches`.

mod answer;
mod attributes;
mod batches;
mod deliveries;
mod error;
mod journal;
mod message;
mod messages;
mod names;
mod queue;
mod queues;
mod state;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use self::answer::json_response;
pub(crate) use self::error::SqsError;
use self::names::{arn, queue_name};
pub use self::queue::QueueCounts;
use self::state::State;
use crate::faults::FaultState;
use crate::http_bodies::ResponseBody;
use crate::wall_clock::WallClock;

/// Every `X-Amz-Target` header of SQS starts with this.
pub(crate) const TARGET_PREFIX: &str = "AmazonSQS.";

const OPERATIONS: [&str; 14] = [
    "ChangeMessageVisibility",
    "ChangeMessageVisibilityBatch",
    "CreateQueue",
    "DeleteMessage",
    "DeleteMessageBatch",
    "DeleteQueue",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListQueues",
    "PurgeQueue",
    "ReceiveMessage",
    "SendMessage",
    "SendMessageBatch",
    "SetQueueAttributes",
];

#[derive(Debug)]
pub(crate) struct Sqs {
    state: Mutex<State>,
    clock: WallClock,
    faults: Arc<Mutex<FaultState>>,
    redeliveries: AtomicU64,
}

/// What an operation knows of its request besides the body.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Start of queue URLs: scheme, host and port as the client addressed us.
    pub(crate) base_url: String,
    pub(crate) region: String,
    /// Ends long polls early when the server stops.
    pub(crate) stop: CancellationToken,
    /// The fault plan delivers a message that is in flight once more.
    pub(crate) duplicate: bool,
}

/// A message as tests look at it, without receiving it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedMessage {
    /// Id that SQS gave the message when it was sent.
    pub message_id: String,
    /// Body as the sender gave it.
    pub body: String,
    /// Message attributes as text; binary ones in base64.
    pub attributes: BTreeMap<String, String>,
    /// Deliveries so far, 0 before the first.
    pub receive_count: u32,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct QueueRequest {
    queue_url: String,
}

impl Sqs {
    pub(crate) fn new(
        clock: WallClock,
        faults: Arc<Mutex<FaultState>>,
        seed: Option<u64>,
        journal: Option<&Path>,
    ) -> io::Result<Self> {
        let state = match journal {
            None => State::in_memory(seed),
            Some(path) => State::open(path, seed, clock.now())?,
        };
        Ok(Self {
            state: Mutex::new(state),
            clock,
            faults,
            redeliveries: AtomicU64::new(0),
        })
    }

    pub(crate) fn redeliveries(&self) -> u64 {
        self.redeliveries.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Changes are applied whole, so a panic elsewhere leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn faults(&self) -> MutexGuard<'_, FaultState> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out an operation that [`operation`] knows.
    pub(crate) async fn handle(
        &self,
        operation: &str,
        body: Bytes,
        caller: &Caller,
    ) -> Response<ResponseBody> {
        let result = match operation {
            "ReceiveMessage" => self.receive_message(&body, caller).await,
            "SendMessage" => self.send_message(&body),
            "SendMessageBatch" => self.send_message_batch(&body),
            "DeleteMessage" => self.delete_message(&body),
            "DeleteMessageBatch" => self.delete_message_batch(&body),
            "ChangeMessageVisibility" => self.change_message_visibility(&body),
            "ChangeMessageVisibilityBatch" => self.change_message_visibility_batch(&body),
            "CreateQueue" => self.create_queue(&body, caller),
            "GetQueueUrl" => self.get_queue_url(&body, caller),
            "ListQueues" => self.list_queues(&body, caller),
            "DeleteQueue" => self.delete_queue(&body),
            "PurgeQueue" => self.purge_queue(&body),
            "GetQueueAttributes" => self.get_queue_attributes(&body),
            "SetQueueAttributes" => self.set_queue_attributes(&body),
            _ => Err(SqsError::unknown_operation(operation)),
        };
        match result {
            Ok(text) => json_response(StatusCode::OK, text),
            Err(error) => {
                tracing::debug!(
                    event = "refused",
                    operation,
                    code = error.code,
                    reason = error.message,
                    "refused {operation}"
                );
                error.into_response()
            }
        }
    }

    /// All messages of a queue, in the order of their arrival.
    pub(crate) fn messages(&self, name: &str) -> Vec<QueuedMessage> {
        let mut state = self.state();
        let Ok(queue) = state.queue(name, self.clock.now()) else {
            return Vec::new();
        };
        let text = |value: &message::AttributeValue| {
            value
                .string_value
                .clone()
                .or(value.binary_value.clone())
                .unwrap_or_default()
        };
        let messages = queue.all().map(|message| QueuedMessage {
            message_id: message.id.clone(),
            body: message.content.body.to_string(),
            attributes: (message.content.attributes.iter())
                .map(|(name, value)| (name.clone(), text(value)))
                .collect(),
            receive_count: message.receive_count,
        });
        messages.collect()
    }

    pub(crate) fn counts(&self, name: &str) -> Option<QueueCounts> {
        Some(self.state().queue(name, self.clock.now()).ok()?.counts())
    }
}

/// The operation's name, if it is emulated.
pub(crate) fn operation(name: &str) -> Option<&'static str> {
    OPERATIONS.into_iter().find(|known| *known == name)
}

/// Reads a request's JSON.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, SqsError> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body)
        .map_err(|error| SqsError::new("SerializationException", error.to_string()))
}

/// The ARN of the queue that a request names by its URL or its name.
pub(crate) fn arn_of_queue(body: &[u8], region: &str) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Named {
        queue_url: Option<String>,
        queue_name: Option<String>,
    }
    let named: Named = parse(body).ok()?;
    let by_url = named.queue_url.as_deref().map(queue_name);
    let name = by_url.and_then(Result::ok).or(named.queue_name.as_deref());
    name.map(|name| arn(region, name))
}
