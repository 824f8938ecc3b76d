//! The table of finished groups.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{Aggregate, Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use engine::kernels::{Ask, Grouping, Wanted};

use super::events::KindEvents;
use super::exec::KernelExec;
use super::measures::Measure;
use crate::bounds::ENTITY;

/// Name of the column of the buckets' starts.
pub(super) const BUCKET: &str = "bucket";

/// Groups of the events of a kind: a row for each, with the start of its time bucket, its entity, and measures.
#[derive(Debug, Clone)]
pub(super) struct GroupsTable {
    pub(super) events: KindEvents,
    /// Its signals are names of columns.
    pub(super) ask: Arc<Ask>,
    pub(super) grouping: Grouping,
    pub(super) wanted: Wanted,
    /// Whether there is one group, even of no event.
    pub(super) is_one: bool,
    pub(super) measures: Arc<[Measure]>,
    pub(super) schema: SchemaRef,
}

/// Name of the column of a measure.
pub(super) fn measure_name(at: usize) -> String {
    format!("measure_{at}")
}

impl GroupsTable {
    /// The columns: those of groups by their types, and those of the functions as the aggregation has them.
    pub(super) fn schema_of(
        times: DataType,
        entities: DataType,
        functions: &[Expr],
        aggregate: &Aggregate,
    ) -> Result<SchemaRef> {
        let of_groups = [
            Field::new(BUCKET, times, false),
            Field::new(ENTITY, entities, false),
        ];
        let fields = aggregate.schema.fields();
        let first = fields.len() - functions.len();
        let of_measures = fields[first..].iter().enumerate();
        let of_measures = of_measures.map(|(at, field)| {
            let r#type = field.data_type().clone();
            Field::new(measure_name(at), r#type, field.is_nullable())
        });
        let all: Vec<Field> = of_groups.into_iter().chain(of_measures).collect();
        Ok(Arc::new(Schema::new(all)))
    }
}

#[async_trait]
impl TableProvider for GroupsTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let exec = KernelExec::new(self.clone(), projection.cloned())?;
        Ok(Arc::new(exec))
    }
}
