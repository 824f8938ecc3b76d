//! `StartMessageMoveTask`: messages go from a dead-letter queue back to where they came from.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::SqsError;
use super::journal::Change;
use super::{Sqs, parse};
use crate::clock::Moment;

/// One task and how far it has come.
#[derive(Debug)]
pub(crate) struct MoveTask {
    id: u64,
    source_arn: String,
    destination_arn: Option<String>,
    per_second: Option<usize>,
    to_move: usize,
    started: Moment,
    moved: AtomicU64,
    cancelled: AtomicBool,
    done: AtomicBool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StartRequest {
    #[serde(default)]
    source_arn: String,
    destination_arn: Option<String>,
    max_number_of_messages_per_second: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListRequest {
    #[serde(default)]
    source_arn: String,
    max_results: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CancelRequest {
    #[serde(default)]
    task_handle: String,
}

impl MoveTask {
    fn handle(&self) -> String {
        STANDARD.encode(json!({"taskId": self.id, "sourceArn": self.source_arn}).to_string())
    }

    fn status(&self) -> &'static str {
        let cancelled = self.cancelled.load(Ordering::Relaxed);
        match (self.done.load(Ordering::Relaxed), cancelled) {
            (true, false) => "COMPLETED",
            (true, true) => "CANCELLED",
            (false, true) => "CANCELLING",
            (false, false) => "RUNNING",
        }
    }

    fn describe(&self) -> Value {
        let mut task = json!({
            "Status": self.status(),
            "SourceArn": self.source_arn,
            "ApproximateNumberOfMessagesMoved": self.moved.load(Ordering::Relaxed),
            "ApproximateNumberOfMessagesToMove": self.to_move,
            "StartedTimestamp": u64::try_from(self.started.as_millis()).unwrap_or(u64::MAX),
        });
        if self.status() == "RUNNING" {
            task["TaskHandle"] = json!(self.handle());
        }
        if let Some(arn) = &self.destination_arn {
            task["DestinationArn"] = json!(arn);
        }
        if let Some(rate) = self.per_second {
            task["MaxNumberOfMessagesPerSecond"] = json!(rate);
        }
        task
    }
}

impl Sqs {
    /// Without a rate all visible messages are moved before the answer, else
    /// a task of its own moves that many a second.
    pub(super) fn start_message_move_task(
        self: &Arc<Self>,
        body: &[u8],
    ) -> Result<Value, SqsError> {
        let request: StartRequest = parse(body)?;
        let now = self.clock.now();
        let mut state = self.state();
        let source = state
            .by_arn(&request.source_arn)
            .ok_or_else(not_found)?
            .name
            .clone();
        let is_target = state.queues().any(|queue| {
            let redrive = queue.settings.redrive.as_ref();
            redrive.is_some_and(|redrive| redrive.target_arn == request.source_arn)
        });
        if !is_target {
            return Err(SqsError::invalid_value(
                "Source queue must be configured as a Dead Letter Queue.",
            ));
        }
        if let Some(arn) = &request.destination_arn {
            state.by_arn(arn).ok_or_else(not_found)?;
        }
        let running = |task: &&Arc<MoveTask>| {
            task.source_arn == request.source_arn && !task.done.load(Ordering::Relaxed)
        };
        if state.move_tasks.iter().any(|task| running(&task)) {
            return Err(SqsError::new(
                "UnsupportedOperation",
                "There is already a task running. Only one active task is allowed for a source \
                 queue at a given time.",
            ));
        }
        if request
            .max_number_of_messages_per_second
            .is_some_and(|rate| !(1..=500).contains(&rate))
        {
            return Err(SqsError::invalid_value(
                "MaxNumberOfMessagesPerSecond must be between 1 and 500.",
            ));
        }
        let task = Arc::new(MoveTask {
            id: state.move_tasks.len() as u64 + 1,
            to_move: state.queue(&source, now)?.counts().visible,
            source_arn: request.source_arn,
            destination_arn: request.destination_arn,
            per_second: request.max_number_of_messages_per_second,
            started: now,
            moved: AtomicU64::new(0),
            cancelled: AtomicBool::new(false),
            done: AtomicBool::new(false),
        });
        state.move_tasks.push(Arc::clone(&task));
        drop(state);
        match task.per_second {
            None => {
                self.move_some(&task, usize::MAX)?;
            }
            Some(rate) => {
                let (sqs, task) = (Arc::clone(self), Arc::clone(&task));
                tokio::spawn(async move { sqs.move_slowly(&task, rate).await });
            }
        }
        Ok(json!({"TaskHandle": task.handle()}))
    }

    async fn move_slowly(&self, task: &MoveTask, rate: usize) {
        while !task.done.load(Ordering::Relaxed) {
            if let Err(error) = self.move_some(task, rate) {
                tracing::warn!(event = "move_task_failed", error = error.message);
                task.done.store(true, Ordering::Relaxed);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Moves up to `most` messages as new ones: AWS gives a moved message a new
    /// id, a new sent time and a receive count of zero.
    fn move_some(&self, task: &MoveTask, most: usize) -> Result<(), SqsError> {
        let now = self.clock.now();
        let mut state = self.state();
        let name = super::name_in_arn(&task.source_arn).unwrap_or_default();
        let source = state.queue(name, now)?;
        let left = task.to_move as u64 - task.moved.load(Ordering::Relaxed);
        let most = most.min(usize::try_from(left).unwrap_or(usize::MAX));
        let messages: Vec<_> = source.visible().take(most).cloned().collect();
        let mut changes = Vec::new();
        for message in &messages {
            if task.cancelled.load(Ordering::Relaxed) {
                break;
            }
            let origin = task
                .destination_arn
                .as_ref()
                .or(message.dead_letter_source.as_ref());
            let Some(target) = origin.and_then(|arn| state.by_arn(arn)) else {
                continue;
            };
            let target = target.name.clone();
            let (arrival, _) =
                state.arrival(&target, Arc::clone(&message.content), Duration::ZERO, now);
            changes.push(arrival);
            changes.push(Change::Removed {
                queue: name.to_owned(),
                seq: message.seq,
            });
        }
        let moved = changes.len() as u64 / 2;
        state.commit(changes)?;
        let total = task.moved.fetch_add(moved, Ordering::Relaxed) + moved;
        let finished = total >= task.to_move as u64 || moved == 0;
        task.done.store(finished, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn list_message_move_tasks(&self, body: &[u8]) -> Result<Value, SqsError> {
        let request: ListRequest = parse(body)?;
        let state = self.state();
        state.by_arn(&request.source_arn).ok_or_else(not_found)?;
        let tasks = state.move_tasks.iter().rev();
        let tasks = tasks.filter(|task| task.source_arn == request.source_arn);
        let most = request.max_results.unwrap_or(1).clamp(1, 10);
        let results: Vec<_> = tasks.take(most).map(|task| task.describe()).collect();
        Ok(json!({"Results": results}))
    }

    pub(super) fn cancel_message_move_task(&self, body: &[u8]) -> Result<Value, SqsError> {
        let request: CancelRequest = parse(body)?;
        let state = self.state();
        let task = state
            .move_tasks
            .iter()
            .find(|task| task.handle() == request.task_handle);
        let running = task.filter(|task| !task.done.load(Ordering::Relaxed));
        let task = running.ok_or_else(|| {
            SqsError::new(
                "ResourceNotFoundException",
                "Task does not exist or is not running.",
            )
        })?;
        task.cancelled.store(true, Ordering::Relaxed);
        Ok(json!({
            "ApproximateNumberOfMessagesMoved": task.moved.load(Ordering::Relaxed),
        }))
    }
}

fn not_found() -> SqsError {
    SqsError::new(
        "ResourceNotFoundException",
        "The resource that you specified for the SourceArn parameter doesn't exist.",
    )
}
