//! A table for each kind: its events, a row each.

use std::sync::{Arc, Mutex};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use contract::Kind;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use engine::Engine;
use engine::kernels::{RowsAsk, Share, shares};
use engine::snapshot::Snapshot;
use futures::TryStreamExt;
use lake::rows::{Columns, SignalTypes};

use crate::bounds::{Bounds, ENTITY, TIME};
use crate::tables::estimated::EstimatedExec;
use crate::tables::source::Source;

/// The events of a kind, in one snapshot.
#[derive(Debug)]
pub struct KindTable {
    source: Source,
    kind: String,
    schema: SchemaRef,
}

impl KindTable {
    /// The table of a kind whose undeclared signals have these types.
    pub(crate) fn new(source: Source, kind: &Kind, types: SignalTypes) -> KindTable {
        let schema = Columns::new(kind, types).schema(kind);
        let fields = schema.fields().iter().map(|field| {
            if field.name() == ENTITY {
                // Entities are read as numbers into a list of texts, and a view of such a list costs no copy.
                Arc::new(Field::new(ENTITY, DataType::Utf8View, false))
            } else {
                field.clone()
            }
        });
        let mut fields: Vec<_> = fields.collect();
        // Undeclared signals whose first events no commit has taken in.
        for batch in source.snapshot.hot_rows(&kind.name) {
            let new = |field: &Field| !fields.iter().any(|known| known.name() == field.name());
            let new: Vec<_> = batch
                .schema_ref()
                .fields()
                .iter()
                .filter(|field| new(field))
                .cloned()
                .collect();
            fields.extend(new);
        }
        KindTable {
            source,
            kind: kind.name.clone(),
            schema: Arc::new(Schema::new(fields)),
        }
    }

    /// The kind of the events.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The snapshot that the table is of.
    pub fn snapshot(&self) -> &Snapshot {
        &self.source.snapshot
    }

    /// What reads it.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.source.engine
    }
}

#[async_trait]
impl TableProvider for KindTable {
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
        Ok(Bounds::support(filters, TIME))
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let bounds = Bounds::of(filters, TIME);
        let hours = self.source.hours(&self.kind, &bounds.times).await?;
        let schema = match projection {
            Some(places) => Arc::new(self.schema.project(places)?),
            None => self.schema.clone(),
        };
        let ask = RowsAsk {
            schema: schema.clone(),
            times: bounds.times,
            entities: bounds.entities,
        };
        let engine = &self.source.engine;
        let shares = shares(&hours, engine.scanner.threads());
        let streams = shares.into_iter().map(|share| {
            let partition: Arc<dyn PartitionStream> = Arc::new(KindRows {
                engine: engine.clone(),
                ask: ask.clone(),
                share: Mutex::new(Some(share)),
            });
            partition
        });
        let plan =
            StreamingTableExec::try_new(schema, streams.collect(), None, None, false, limit)?;
        Ok(Arc::new(EstimatedExec::of_events(Arc::new(plan), &hours)))
    }
}

/// One partition of a scan.
#[derive(Debug)]
struct KindRows {
    engine: Arc<Engine>,
    ask: RowsAsk,
    share: Mutex<Option<Share>>,
}

impl PartitionStream for KindRows {
    fn schema(&self) -> &SchemaRef {
        &self.ask.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let share = self.share.lock().ok().and_then(|mut share| share.take());
        let rows = self
            .engine
            .scanner
            .rows(share.unwrap_or_default(), self.ask.clone());
        let rows = rows.map_err(|error| DataFusionError::External(error.into()));
        Box::pin(RecordBatchStreamAdapter::new(self.ask.schema.clone(), rows))
    }
}
