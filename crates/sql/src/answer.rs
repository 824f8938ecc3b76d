//! A statement that runs: its columns, and its rows as they come.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement;
use engine::kernels::ScanError;
use engine::read::PartError;
use engine::{Turn, TurnError};
use futures::{FutureExt, StreamExt};
use lake::key::curated_hour_of;
use tokio::time::{Instant, timeout_at};

use crate::database::{Database, SessionOptions};
use crate::error::SqlError;
use crate::large_stack::on_large_stack;
use crate::statement::parse_one;

/// The rows of a statement. The query ends when this is dropped, and its turn with it.
pub struct Answer {
    begun: Begun,
    deadline: Instant,
    limit: Duration,
    _turn: Turn,
}

/// What a statement that has been begun gives.
struct Begun {
    schema: SchemaRef,
    first: Option<RecordBatch>,
    rows: SendableRecordBatchStream,
    fresh_until: Option<DateTime<Utc>>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer")
            .field("schema", &self.begun.schema)
            .finish_non_exhaustive()
    }
}

impl Database {
    /// Runs the one statement of `text`, for at most `limit`, its wait for others and the taking of its rows included.
    /// The answer comes with its first rows; until then a part that was replaced while it was read is read again.
    ///
    /// # Errors
    ///
    /// [`SqlError`] where it cannot be begun.
    pub async fn run(
        self: &Arc<Self>,
        text: &str,
        parameters: &[serde_json::Value],
        options: &SessionOptions,
        limit: Duration,
    ) -> Result<Answer, SqlError> {
        let deadline = Instant::now() + limit;
        let begin = async {
            let statement = parse_one(text)?;
            let turn = self.engine().turns.take().await?;
            let mut begun = self.begin(statement.clone(), parameters, options).await;
            if let Err(SqlError::Scan(ScanError::Part(PartError::Gone(part)))) = &begun {
                // A rebuild has replaced the part: its hour is listed again.
                let snapshot = self.engine().newest.borrow().clone();
                if let Some((kind, hour)) = curated_hour_of(&part.key) {
                    snapshot.forget(kind, hour);
                }
                begun = self.begin(statement, parameters, options).await;
            }
            Ok(Answer {
                begun: begun?,
                deadline,
                limit,
                _turn: turn,
            })
        };
        match timeout_at(deadline, begin).await {
            Ok(begun) => begun,
            Err(_) => Err(TurnError::TimedOut(limit).into()),
        }
    }

    /// The columns, the first rows, and those after them.
    async fn begin(
        self: &Arc<Self>,
        statement: Statement,
        parameters: &[serde_json::Value],
        options: &SessionOptions,
    ) -> Result<Begun, SqlError> {
        let (database, options) = (Arc::clone(self), options.clone());
        let values: Vec<ScalarValue> = parameters.iter().map(scalar).collect();
        let planned = async move {
            let (context, snapshot) = database.context(&options).await?;
            let planned = plan(&context, statement, values).await;
            let (schema, rows) = planned.map_err(|error| SqlError::of_plan(error, &context))?;
            Ok::<_, SqlError>((schema, rows, snapshot.fresh_until()))
        };
        let (schema, mut rows, fresh_until) = on_large_stack(planned.boxed()).await?;
        let first = rows.next().await.transpose()?;
        Ok(Begun {
            schema,
            first,
            rows,
            fresh_until,
        })
    }
}

async fn plan(
    context: &SessionContext,
    statement: Statement,
    values: Vec<ScalarValue>,
) -> Result<(SchemaRef, SendableRecordBatchStream), DataFusionError> {
    let mut plan = context.state().statement_to_plan(statement).await?;
    if !values.is_empty() {
        plan = plan.with_param_values(values)?;
    }
    let frame = context.execute_logical_plan(plan).await?;
    let schema = Arc::clone(frame.schema().inner());
    Ok((schema, frame.execute_stream().await?))
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
        &self.begun.schema
    }

    /// All that landed before this time is in the answer; see [`engine::snapshot::Snapshot::fresh_until`].
    pub fn fresh_until(&self) -> Option<DateTime<Utc>> {
        self.begun.fresh_until
    }

    /// The next rows; none after the last ones.
    ///
    /// # Errors
    ///
    /// [`SqlError`] where there will be no more, though not all were given.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, SqlError> {
        if let Some(first) = self.begun.first.take() {
            return Ok(Some(first));
        }
        match timeout_at(self.deadline, self.begun.rows.next()).await {
            Ok(batch) => Ok(batch.transpose()?),
            Err(_) => Err(TurnError::TimedOut(self.limit).into()),
        }
    }
}
