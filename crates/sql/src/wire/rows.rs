//! A running query: its batches come from a task of their own, which ends when nobody reads on.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::encode::Column;
use super::error::{PgError, of_sql};

/// Batches that wait for the client while the query goes on.
const AHEAD: usize = 2;

/// The rows of an answer that have not been sent.
#[derive(Debug)]
pub struct Rows {
    /// The columns of the answer.
    pub columns: Arc<[Column]>,
    /// The batch being sent, and the next row of it.
    pub current: Option<(RecordBatch, usize)>,
    batches: mpsc::Receiver<Result<RecordBatch, PgError>>,
    task: Option<JoinHandle<Result<(), PgError>>>,
}

impl Rows {
    /// Runs `stream`; `held` is kept until it has ended, such as a turn among the queries. A client that takes no batch
    /// for `idle` (a cursor that was left open) loses the rest, so that it does not keep its turn.
    pub fn run(
        mut stream: SendableRecordBatchStream,
        columns: Arc<[Column]>,
        sql: Arc<str>,
        held: Box<dyn Any + Send>,
        idle: Duration,
    ) -> Rows {
        let (sender, batches) = mpsc::channel(AHEAD);
        let task = tokio::spawn(async move {
            let _held = held;
            while let Some(batch) = stream.next().await {
                let batch = batch.map_err(|error| of_sql(error.into(), &sql));
                let failed = batch.is_err();
                match timeout(idle, sender.send(batch)).await {
                    Ok(Ok(())) if !failed => {}
                    Ok(_) => return Ok(()),
                    Err(_) => {
                        let words = format!(
                            "no rows were fetched for {} ms: the query was ended",
                            idle.as_millis()
                        );
                        return Err(
                            PgError::new("57014", words).hint("raise QUERY_TIMEOUT of the service")
                        );
                    }
                }
            }
            Ok(())
        });
        Rows {
            columns,
            current: None,
            batches,
            task: Some(task),
        }
    }

    /// Rows that are there already.
    pub fn of_batch(batch: RecordBatch, columns: Arc<[Column]>) -> Rows {
        let (_, batches) = mpsc::channel(1);
        Rows {
            columns,
            current: Some((batch, 0)),
            batches,
            task: None,
        }
    }

    /// The next batch; none at the end. Safe to drop before it is there.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, PgError>> {
        match self.batches.recv().await {
            Some(batch) => Some(batch),
            None => {
                // The task says whether this is the end, or it gave up; one that panicked says nothing.
                let ended = self.task.as_mut()?.await;
                self.task = None;
                match ended {
                    Ok(ended) => ended.err().map(Err),
                    Err(_) => Some(Err(PgError::new(
                        "XX000",
                        "the query ended without an answer",
                    ))),
                }
            }
        }
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array};
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rows_that_nobody_fetches_end_and_give_their_turn_back() {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
        let batches = futures::stream::iter((0..10).map({
            let batch = batch.clone();
            move |_| Ok(batch.clone())
        }));
        let stream = Box::pin(RecordBatchStreamAdapter::new(batch.schema(), batches));
        let (held, released) = tokio::sync::oneshot::channel::<()>();
        let idle = Duration::from_secs(30);
        let mut rows = Rows::run(stream, Arc::from([]), Arc::from(""), Box::new(held), idle);
        // Paused time goes on once nothing else can.
        assert!(released.await.is_err());
        let mut fetched = 0;
        let error = loop {
            match rows.next().await {
                Some(Ok(_)) => fetched += 1,
                Some(Err(error)) => break error,
                None => panic!("the rest was lost without a word"),
            }
        };
        assert_eq!((fetched, error.code), (AHEAD, "57014"));
    }
}
