//! A statement that runs: its columns, and its rows as they come.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;
use engine::{Turn, TurnError};
use futures::StreamExt;
use tokio::time::{Instant, timeout_at};

use crate::database::{Database, SessionOptions};
use crate::error::SqlError;
use crate::statement::parse_one;

/// The rows of a statement. The query ends when this is dropped, and its turn with it.
pub struct Answer {
    schema: SchemaRef,
    rows: SendableRecordBatchStream,
    deadline: Instant,
    limit: Duration,
    fresh_until: Option<DateTime<Utc>>,
    _turn: Turn,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

impl Database {
    /// Runs the one statement of `text`, for at most `limit`, its wait for others and the taking of its rows included.
    ///
    /// # Errors
    ///
    /// [`SqlError`] where it cannot be begun.
    pub async fn run(
        &self,
        text: &str,
        parameters: &[serde_json::Value],
        options: &SessionOptions,
        limit: Duration,
    ) -> Result<Answer, SqlError> {
        let deadline = Instant::now() + limit;
        let begin = async {
            let statement = parse_one(text)?;
            let turn = self.engine().turns.take().await?;
            let context = self.context(options).await?;
            let plan = context.state().statement_to_plan(statement).await;
            let plan = plan.map_err(|error| self.explain(error))?;
            let plan = if parameters.is_empty() {
                plan
            } else {
                let values: Vec<ScalarValue> = parameters.iter().map(scalar).collect();
                plan.with_param_values(values)?
            };
            let frame = context.execute_logical_plan(plan).await?;
            let schema = Arc::clone(frame.schema().inner());
            let rows = frame.execute_stream().await?;
            Ok(Answer {
                schema,
                rows,
                deadline,
                limit,
                fresh_until: self.engine().newest.borrow().fresh_until(),
                _turn: turn,
            })
        };
        match timeout_at(deadline, begin).await {
            Ok(begun) => begun,
            Err(_) => Err(TurnError::TimedOut(limit).into()),
        }
    }
}

/// The value of a parameter; lists and objects are texts.
fn scalar(value: &serde_json::Value) -> ScalarValue {
    use serde_json::Value;
    match value {
        Value::Null => ScalarValue::Null,
        Value::Bool(value) => ScalarValue::from(*value),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => ScalarValue::from(whole),
            None => ScalarValue::from(number.as_f64()),
        },
        Value::String(text) => ScalarValue::from(text.as_str()),
        other => ScalarValue::from(other.to_string()),
    }
}

impl Answer {
    /// Names and types of the columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// All that landed before this time is in the answer; see [`engine::snapshot::Snapshot::fresh_until`].
    pub fn fresh_until(&self) -> Option<DateTime<Utc>> {
        self.fresh_until
    }

    /// The next rows; none after the last ones.
    ///
    /// # Errors
    ///
    /// [`SqlError`] where there will be no more, though not all were given.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, SqlError> {
        match timeout_at(self.deadline, self.rows.next()).await {
            Ok(batch) => Ok(batch.transpose()?),
            Err(_) => Err(TurnError::TimedOut(self.limit).into()),
        }
    }
}
