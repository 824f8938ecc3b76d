//! A lake in this process, and its events as a table with and without the rule.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use contract::Kinds;
use datafusion::arrow::array::{RecordBatch, new_null_array};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{MemTable, Session, TableProvider};
use datafusion::common::Result;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use engine::read::ReadSettings;
use engine::snapshot::{Snapshot, SnapshotSettings, Snapshots};
use engine::{Engine, Turns};
use sql::kernel_rule::{KernelRule, KindEvents};

use crate::landing::{Landing, arrival};

/// What arrived, and what answers from it.
pub(crate) struct Stage {
    landing: Landing,
}

/// All events of vehicles, as they are in memory; the rule asks whose they are.
#[derive(Debug)]
struct Events {
    rows: MemTable,
    events: KindEvents,
    /// Whether filters are handed down to the table.
    takes_filters: bool,
}

#[async_trait]
impl TableProvider for Events {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.rows.scan(state, projection, filters, limit).await
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let pushed = if self.takes_filters {
            TableProviderFilterPushDown::Inexact
        } else {
            TableProviderFilterPushDown::Unsupported
        };
        Ok(vec![pushed; filters.len()])
    }
}

impl Stage {
    pub(crate) async fn new() -> Stage {
        Stage {
            landing: Landing::new().await,
        }
    }

    pub(crate) async fn land(&mut self, events: &[String]) {
        self.landing.land(None, arrival(), events).await;
    }

    pub(crate) async fn commit(&self) {
        self.landing.aggregate().await;
    }

    /// The events of now in contexts with the rule and without it.
    pub(crate) async fn contexts(&self, takes_filters: bool) -> (SessionContext, SessionContext) {
        let kinds = Arc::new(Kinds::builtin());
        let settings = SnapshotSettings::default();
        let mut snapshots = Snapshots::new(
            self.landing.lake.clone(),
            kinds,
            self.landing.aws.clock(),
            settings,
        );
        while !snapshots.refresh().await.unwrap().is_complete {}
        let turns = Turns::new(2, 2);
        let (newest, read) = (snapshots.watch(), ReadSettings::default());
        let engine = Engine::new(self.landing.lake.clone(), newest, read, turns);
        let snapshot = engine.snapshot().unwrap();
        let batches = self.rows(&snapshot).await;
        let schema = batches[0].schema();
        let events = KindEvents {
            engine: Arc::new(engine),
            snapshot,
            kind: "vehicle".into(),
        };
        let context = |rule: bool| {
            let config = SessionConfig::new().with_target_partitions(2);
            let mut state = SessionStateBuilder::new()
                .with_config(config)
                .with_default_features();
            if rule {
                let events_of = |table: &dyn TableProvider| {
                    let events = table.downcast_ref::<Events>()?;
                    Some(events.events.clone())
                };
                state = state.with_optimizer_rule(Arc::new(KernelRule::new(events_of)));
            }
            let context = SessionContext::new_with_state(state.build());
            let rows = MemTable::try_new(schema.clone(), vec![batches.clone()]).unwrap();
            let table = Events {
                rows,
                events: events.clone(),
                takes_filters,
            };
            context.register_table("vehicle", Arc::new(table)).unwrap();
            context
        };
        (context(true), context(false))
    }

    /// All rows of vehicles, in the columns that any of them has.
    async fn rows(&self, snapshot: &Snapshot) -> Vec<RecordBatch> {
        let (from, until) = (DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC);
        let mut batches = Vec::new();
        for hour in snapshot.hours("vehicle", from, until).await.unwrap() {
            for part in &hour.parts {
                batches.push(
                    lake::parts::read(&self.landing.lake, &part.key)
                        .await
                        .unwrap(),
                );
            }
            batches.extend(hour.hot.iter().map(|rows| RecordBatch::clone(rows)));
        }
        let plain = |batch: &RecordBatch| {
            let fields = batch.schema_ref().fields().iter();
            let fields = fields.map(|field| {
                let field = field.as_ref().clone();
                let nullable = !["entity_id", "event_time"].contains(&field.name().as_str());
                field
                    .with_nullable(nullable)
                    .with_metadata(Default::default())
            });
            Schema::new(fields.collect::<Vec<_>>())
        };
        let schema = Arc::new(Schema::try_merge(batches.iter().map(plain)).unwrap());
        let in_all = |batch: &RecordBatch| {
            let columns = schema.fields().iter().map(|field| {
                let column = batch.column_by_name(field.name()).cloned();
                column.unwrap_or_else(|| new_null_array(field.data_type(), batch.num_rows()))
            });
            RecordBatch::try_new(schema.clone(), columns.collect()).unwrap()
        };
        batches.iter().map(in_all).collect()
    }
}
