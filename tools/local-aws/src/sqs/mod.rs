//! SQS: the JSON 1.0 protocol over the queues' state.

mod attributes;
mod batches;
mod deliveries;
mod error;
mod journal;
mod message;
mod messages;
mod move_task;
mod queue;
mod queues;
mod state;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub(crate) use self::error::SqsError;
pub use self::queue::QueueCounts;
use self::state::State;
use crate::body::ResponseBody;
use crate::clock::Clock;
use crate::faults::FaultState;

/// The account all queues belong to.
const ACCOUNT: &str = "000000000000";

/// The start of every `X-Amz-Target` header of SQS.
pub(crate) const TARGET_PREFIX: &str = "AmazonSQS.";

const OPERATIONS: [&str; 21] = [
    "CancelMessageMoveTask",
    "ChangeMessageVisibility",
    "ChangeMessageVisibilityBatch",
    "CreateQueue",
    "DeleteMessage",
    "DeleteMessageBatch",
    "DeleteQueue",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "ListMessageMoveTasks",
    "ListQueueTags",
    "ListQueues",
    "PurgeQueue",
    "ReceiveMessage",
    "SendMessage",
    "SendMessageBatch",
    "SetQueueAttributes",
    "StartMessageMoveTask",
    "TagQueue",
    "UntagQueue",
];

/// The emulated SQS.
#[derive(Debug)]
pub(crate) struct Sqs {
    state: Mutex<State>,
    clock: Clock,
    faults: Arc<Mutex<FaultState>>,
    redeliveries: AtomicU64,
}

/// What a request says of its sender, apart from its body.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Where queue URLs point: scheme, host and port as the client addressed us.
    pub(crate) base_url: String,
    pub(crate) region: String,
    /// Ends long polls early when the server stops.
    pub(crate) stop: CancellationToken,
    /// The fault plan wants a message in flight to be delivered again.
    pub(crate) duplicate: bool,
}

/// A message as tests look at it, without receiving it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedMessage {
    /// Its id.
    pub message_id: String,
    /// Its body.
    pub body: String,
    /// Its string and number attributes; binary ones in base64.
    pub attributes: BTreeMap<String, String>,
    /// How often it was received.
    pub receive_count: u32,
}

/// A request that names nothing but a queue.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct QueueRequest {
    #[serde(default)]
    queue_url: String,
}

impl Sqs {
    pub(crate) fn new(
        clock: Clock,
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

    /// Deliveries so far of messages that were delivered before.
    pub(crate) fn redeliveries(&self) -> u64 {
        self.redeliveries.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Changes are applied whole; a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn faults(&self) -> MutexGuard<'_, FaultState> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out one operation; its name is one that [`operation`] knows.
    pub(crate) async fn handle(
        self: &Arc<Self>,
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
            operation => self
                .handle_queues(operation, &body, caller)
                .map(|value| value.to_string()),
        };
        match result {
            Ok(text) => json_response(StatusCode::OK, text),
            Err(error) => {
                tracing::debug!(
                    event = "refused",
                    operation,
                    code = error.code,
                    reason = error.message,
                );
                error.into_response()
            }
        }
    }

    fn handle_queues(
        self: &Arc<Self>,
        operation: &str,
        body: &[u8],
        caller: &Caller,
    ) -> Result<Value, SqsError> {
        match operation {
            "CreateQueue" => self.create_queue(body, caller),
            "GetQueueUrl" => self.get_queue_url(body, caller),
            "ListQueues" => self.list_queues(body, caller),
            "DeleteQueue" => self.delete_queue(body),
            "PurgeQueue" => self.purge_queue(body),
            "GetQueueAttributes" => self.get_queue_attributes(body),
            "SetQueueAttributes" => self.set_queue_attributes(body),
            "ListDeadLetterSourceQueues" => self.list_dead_letter_source_queues(body, caller),
            "TagQueue" => self.tag_queue(body),
            "UntagQueue" => self.untag_queue(body),
            "ListQueueTags" => self.list_queue_tags(body),
            "StartMessageMoveTask" => self.start_message_move_task(body),
            "ListMessageMoveTasks" => self.list_message_move_tasks(body),
            "CancelMessageMoveTask" => self.cancel_message_move_task(body),
            _ => Err(SqsError::unknown_operation(operation)),
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
            attributes: {
                let attributes = message.content.attributes.iter();
                attributes
                    .map(|(name, value)| (name.clone(), text(value)))
                    .collect()
            },
            receive_count: message.receive_count,
        });
        messages.collect()
    }

    pub(crate) fn counts(&self, name: &str) -> Option<QueueCounts> {
        Some(self.state().queue(name, self.clock.now()).ok()?.counts())
    }
}

/// The operation's name if it is one of the API's.
pub(crate) fn operation(name: &str) -> Option<&'static str> {
    OPERATIONS.into_iter().find(|known| *known == name)
}

/// Reads a request's JSON.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, SqsError> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body)
        .map_err(|error| SqsError::new("SerializationException", error.to_string()))
}

/// The queue's name in a queue URL: its last segment.
fn queue_name(url: &str) -> Result<&str, SqsError> {
    match url.rsplit('/').next() {
        None | Some("") => Err(SqsError::missing("QueueUrl")),
        Some(name) => Ok(name),
    }
}

/// The ARN of the queue that a request names by its URL, its name or its ARN.
pub(crate) fn arn_of_queue(body: &[u8], region: &str) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Named {
        queue_url: Option<String>,
        queue_name: Option<String>,
        source_arn: Option<String>,
    }
    let named: Named = parse(body).ok()?;
    let by_url = named.queue_url.as_deref().map(queue_name);
    let name = by_url.and_then(Result::ok).or(named.queue_name.as_deref());
    name.map(|name| arn(region, name)).or(named.source_arn)
}

fn arn(region: &str, name: &str) -> String {
    format!("arn:aws:sqs:{region}:{ACCOUNT}:{name}")
}

fn name_in_arn(arn: &str) -> Option<&str> {
    let rest = arn.strip_prefix("arn:aws:sqs:")?;
    rest.rsplit(':').next()
}

/// An answer in the JSON protocol.
fn json_response(status: StatusCode, text: String) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-amz-json-1.0"),
    );
    response
}
