//! What the service `alerts` wrote to the lake: `moments`, and `alerts`.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow_json::ReaderBuilder;
use async_trait::async_trait;
use aws::ObjectInfo;
use chrono::{DateTime, TimeDelta};
use contract::Hour;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::{StreamExt, TryStreamExt, stream};
use lake::key::{ALERTS, MOMENTS};
use serde_json::{Map, Value};

use crate::bounds::{Bounds, ENTITY};
use crate::tables::source::Source;

/// Objects that are fetched at a time.
const AT_ONCE: usize = 16;

/// Bytes of a row in memory, for each byte of its line: names and values are held apart until all lines are read.
const HELD: usize = 4;

/// What is told of an event of a clock that is ahead stands in objects that are earlier than it: by an hour, unless a
/// contract lets clocks be further ahead (`max_future_minutes`).
const AHEAD: TimeDelta = TimeDelta::hours(24);

/// What a row is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Told {
    /// An anomaly, as it was told last.
    Moments,
    /// A change of an alert's state.
    Alerts,
}

impl Told {
    pub(crate) const ALL: [(&'static str, Told); 2] =
        [("moments", Told::Moments), ("alerts", Told::Alerts)];

    fn prefix(self) -> &'static str {
        match self {
            Told::Moments => MOMENTS,
            Told::Alerts => ALERTS,
        }
    }

    /// The column of times. An object's hour is that in which its lines were told: that time or later.
    fn time(self) -> &'static str {
        match self {
            Told::Moments => "started_at",
            Told::Alerts => "at",
        }
    }

    fn schema(self) -> SchemaRef {
        let milli = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        let text = |name: &str| Field::new(name, DataType::Utf8, true);
        let time = |name: &str| Field::new(name, milli.clone(), true);
        let number = |name: &str| Field::new(name, DataType::Float64, true);
        let fields = match self {
            Told::Moments => vec![
                text("moment_id"),
                text("kind"),
                text(ENTITY),
                text("signal"),
                time("started_at"),
                time("peaked_at"),
                time("ended_at"),
                number("value"),
                number("expected"),
                number("stddev"),
                number("score"),
                number("threshold"),
                text("method"),
                Field::new("revision", DataType::Int64, true),
                text("labels"),
            ],
            Told::Alerts => vec![
                text("episode"),
                text("rule"),
                text("alertname"),
                text("severity"),
                text("kind"),
                text(ENTITY),
                text("state"),
                text("reason"),
                time("at"),
                time("active_at"),
                time("fired_at"),
                number("value"),
                text("labels"),
                text("annotations"),
            ],
        };
        Arc::new(Schema::new(fields))
    }

    /// What tells a row from others, and which of two with the same is the newer one.
    fn identity(self, line: &Map<String, Value>) -> (String, i64) {
        let text = |name: &str| line.get(name).map(Value::to_string).unwrap_or_default();
        match self {
            Told::Moments => {
                let revision = line.get("revision").and_then(Value::as_i64);
                (text("moment_id"), revision.unwrap_or_default())
            }
            // A change that is told again after a crash is the same change.
            Told::Alerts => (text("episode") + &text("to") + &text("at"), 0),
        }
    }

    /// A line as a row.
    fn row(self, mut line: Map<String, Value>) -> Value {
        if matches!(self, Told::Alerts) {
            if let Some(state) = line.remove("to") {
                line.insert("state".into(), state);
            }
            if let Some(Value::Object(labels)) = line.get("labels") {
                let names = ["alertname", "severity", "kind", ENTITY];
                let found = names.map(|name| (name, labels.get(name).cloned()));
                for (name, value) in found {
                    line.insert(name.into(), value.unwrap_or_default());
                }
            }
        }
        for name in ["labels", "annotations"] {
            if let Some(value) = line.get_mut(name) {
                *value = Value::String(value.to_string());
            }
        }
        Value::Object(line)
    }
}

/// One of these tables. It is read when it is asked for, without a snapshot.
#[derive(Debug)]
pub(crate) struct ToldTable {
    source: Source,
    told: Told,
    schema: SchemaRef,
}

impl ToldTable {
    pub(crate) fn new(source: Source, told: Told) -> ToldTable {
        let schema = told.schema();
        ToldTable {
            source,
            told,
            schema,
        }
    }
}

#[async_trait]
impl TableProvider for ToldTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let from = Bounds::of(filters, self.told.time()).times.start;
        let rows = ToldRows {
            source: self.source.clone(),
            told: self.told,
            after: first_key(self.told.prefix(), from),
            schema: self.schema.clone(),
        };
        let plan = StreamingTableExec::try_new(
            self.schema.clone(),
            vec![Arc::new(rows)],
            projection,
            None,
            false,
            limit,
        )?;
        Ok(Arc::new(plan))
    }
}

/// A key before that of all objects with what is of this time (microseconds since 1970) or later.
fn first_key(prefix: &str, from: i64) -> Option<String> {
    let told = DateTime::from_timestamp_micros(from)?.checked_sub_signed(AHEAD)?;
    Some(format!("{prefix}{}/", Hour::of(told)))
}

/// The rows of one table.
#[derive(Debug, Clone)]
struct ToldRows {
    source: Source,
    told: Told,
    after: Option<String>,
    schema: SchemaRef,
}

impl ToldRows {
    async fn read(self, context: Arc<TaskContext>) -> Result<RecordBatch> {
        let external = |error: aws::CallError| DataFusionError::External(error.into());
        let lake = &self.source.engine.lake;
        let objects = lake
            .list(self.told.prefix(), self.after.as_deref())
            .await
            .map_err(external)?;
        let bytes = objects.iter().map(|object| object.size).sum();
        self.source.budget.take_bytes(bytes)?;
        let held = usize::try_from(bytes).unwrap_or(usize::MAX);
        let pool = MemoryConsumer::new(self.told.prefix()).register(context.memory_pool());
        pool.try_grow(held.saturating_mul(HELD))?;
        let fetches = objects.into_iter().map(|object| self.fetch(object));
        let mut bodies = stream::iter(fetches).buffered(AT_ONCE);
        // In the order in which they were told; what is told again takes the place of what was.
        let mut places = HashMap::new();
        let mut rows: Vec<(i64, Value)> = Vec::new();
        while let Some(lines) = bodies.try_next().await? {
            for line in lines {
                let (identity, revision) = self.told.identity(&line);
                let row = (revision, self.told.row(line));
                match places.get(&identity) {
                    None => {
                        places.insert(identity, rows.len());
                        rows.push(row);
                    }
                    Some(&place) if revision > rows[place].0 => rows[place] = row,
                    Some(_) => {}
                }
            }
        }
        let rows: Vec<Value> = rows.into_iter().map(|(_, row)| row).collect();
        let mut decoder = ReaderBuilder::new(self.schema.clone())
            .with_batch_size(rows.len().max(1))
            .build_decoder()?;
        decoder.serialize(&rows)?;
        let batch = decoder.flush()?;
        Ok(batch.unwrap_or_else(|| RecordBatch::new_empty(self.schema.clone())))
    }

    /// The lines of one object; none of one that is gone since it was listed.
    async fn fetch(&self, object: ObjectInfo) -> Result<Vec<Map<String, Value>>> {
        let lake = &self.source.engine.lake;
        let fetched = lake.get(&object.key).await;
        let Some(object_body) = fetched.map_err(|error| DataFusionError::External(error.into()))?
        else {
            return Ok(Vec::new());
        };
        let lines = serde_json::Deserializer::from_slice(&object_body.body).into_iter();
        let lines: serde_json::Result<Vec<_>> = lines.collect();
        lines.map_err(|error| {
            DataFusionError::Execution(format!("{} is no JSON lines: {error}", object.key))
        })
    }
}

impl PartitionStream for ToldRows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = stream::once(self.clone().read(context));
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), rows))
    }
}
