//! The rows of the SQL's results become events, file after file.
//!
//! Runs on a thread of its own, a batch of rows ahead of the sending.

mod columns;
mod values;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use contract::Kind;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use tokio::runtime::Handle;
use xxhash_rust::xxh3::xxh3_64;

use self::columns::Columns;
use crate::error::ImportError;
use crate::event::RecordedEvent;
use crate::input::Input;
use crate::mapping::Plan;

/// A planned file, and what the columns of its result are.
pub(crate) struct PlannedFile {
    plan: Plan,
    columns: Arc<Columns>,
}

impl PlannedFile {
    /// Holds the columns of the result against the kind.
    pub(crate) fn new(plan: Plan, kind: &Kind) -> Result<PlannedFile, ImportError> {
        let columns = Columns::new(plan.schema(), kind);
        let columns = columns.map_err(|message| ImportError::Mapping {
            path: plan.input.path.clone(),
            message,
        })?;
        Ok(PlannedFile {
            plan,
            columns: Arc::new(columns),
        })
    }

    pub(crate) fn input(&self) -> &Arc<Input> {
        &self.plan.input
    }
}

/// Which events there are to be, and when.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bounds {
    /// The most events in all.
    pub(crate) limit: Option<u64>,
    /// Time from each event to the next.
    pub(crate) interval: Option<Duration>,
    /// Rows of the first file whose number is lower give no event.
    pub(crate) first_row: u64,
}

/// Yields the events of all files, in the order of the files and of the SQL's results.
///
/// A file whose SQL fails in the middle says so in its counts; the files behind it are read.
pub(crate) struct Events {
    runtime: Handle,
    files: VecDeque<PlannedFile>,
    current: Option<Running>,
    /// The place of the current file among the files.
    file: usize,
    bounds: Bounds,
    given: u64,
    ready: VecDeque<RecordedEvent>,
}

struct Running {
    file: PlannedFile,
    stream: SendableRecordBatchStream,
    /// Rows of the result so far.
    rows: u64,
    /// Hashes of the ids or, where there are none, of the events.
    seen: HashSet<u64>,
}

impl Events {
    /// `runtime` is the one that the SQL runs on; the events are to be taken outside its tasks.
    pub(crate) fn new(files: Vec<PlannedFile>, bounds: Bounds, runtime: Handle) -> Events {
        Events {
            runtime,
            files: files.into(),
            current: None,
            file: 0,
            bounds,
            given: 0,
            ready: VecDeque::new(),
        }
    }

    /// Makes events of the next batch; `false` if there is none.
    fn fill(&mut self) -> bool {
        let mut running = match self.current.take() {
            Some(running) => running,
            None => {
                let Some(file) = self.files.pop_front() else {
                    return false;
                };
                match self.runtime.block_on(file.plan.execute()) {
                    Ok(stream) => Running {
                        file,
                        stream,
                        rows: 0,
                        seen: HashSet::new(),
                    },
                    Err(error) => {
                        fail(&file, &error);
                        self.file += 1;
                        return true;
                    }
                }
            }
        };
        match self.runtime.block_on(running.stream.next()) {
            None => {
                running.file.input().tally.lock().ended = true;
                self.file += 1;
            }
            Some(Err(error)) => {
                let error = running.file.plan.failure(&error);
                fail(&running.file, &error);
                self.file += 1;
            }
            Some(Ok(batch)) => {
                self.add(&mut running, &batch);
                self.current = Some(running);
            }
        }
        true
    }

    fn add(&mut self, running: &mut Running, batch: &RecordBatch) {
        let rows = match running.file.columns.read(batch) {
            Ok(rows) => rows,
            Err(error) => {
                let message = format!("cannot read the result of the SQL: {error}");
                running.file.input().tally.lock().failure = Some(message);
                return;
            }
        };
        let first_row = if self.file == 0 {
            self.bounds.first_row
        } else {
            0
        };
        let mut counts = running.file.input().tally.lock();
        for at in 0..batch.num_rows() {
            running.rows += 1;
            let row = rows.row(at).unwrap_or(running.rows);
            if let Some(reason) = rows.skipped(at) {
                counts.skipped.add(reason, row, "");
                continue;
            }
            if row < first_row {
                continue;
            }
            let mut body = String::with_capacity(384);
            counts.events += 1;
            if let Err(column) = rows.write(at, &mut body) {
                counts.sent += 1;
                counts.refused.add(
                    "out_of_range",
                    row,
                    &format!("`{column}` is no finite number"),
                );
                continue;
            }
            let id = rows.event_id(at);
            if !running.seen.insert(xxh3_64(id.unwrap_or(&body).as_bytes())) {
                counts.repeats.add(
                    if id.is_some() {
                        "same_id"
                    } else {
                        "same_content"
                    },
                    row,
                    id.unwrap_or(&body),
                );
            }
            self.ready.push_back(RecordedEvent {
                body,
                file: self.file,
                row,
                due: None,
            });
        }
    }
}

impl Iterator for Events {
    type Item = RecordedEvent;

    fn next(&mut self) -> Option<RecordedEvent> {
        if self.bounds.limit.is_some_and(|limit| self.given >= limit) {
            return None;
        }
        while self.ready.is_empty() {
            if !self.fill() {
                return None;
            }
        }
        let mut event = self.ready.pop_front()?;
        // From the count, so that the steps add up exactly.
        event.due = self
            .bounds
            .interval
            .map(|interval| interval.mul_f64(self.given as f64));
        self.given += 1;
        Some(event)
    }
}

fn fail(file: &PlannedFile, error: &ImportError) {
    file.input().tally.lock().failure = Some(service::errors::chain(error));
}
