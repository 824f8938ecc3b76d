//! A scan with the number of its rows, about: without it a join would keep its first side in memory, however large.

use std::fmt;
use std::sync::Arc;

use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use engine::snapshot::HourData;

use crate::bounds::ENTITY;

/// Bytes of a part for each of its events, about: measured on vehicles with twelve signals.
const EVENT_BYTES: u64 = 25;

/// Events of an entity within the hours of a question, about: enough to tell a list of entities from one of events.
const EVENTS_OF_ENTITY: usize = 100;

/// A scan whose rows are counted, about.
#[derive(Debug)]
pub(super) struct EstimatedExec {
    scan: Arc<dyn ExecutionPlan>,
    rows: usize,
}

impl EstimatedExec {
    /// A scan, without children, of the events of these hours.
    pub(super) fn of_events(scan: Arc<dyn ExecutionPlan>, hours: &[HourData]) -> EstimatedExec {
        let parts = hours.iter().flat_map(|hour| &hour.parts);
        let in_parts = parts.map(|part| part.size / EVENT_BYTES).sum::<u64>();
        let hot = hours.iter().flat_map(|hour| &hour.hot);
        let hot: usize = hot.map(|batch| batch.num_rows()).sum();
        EstimatedExec {
            scan,
            rows: in_parts as usize + hot,
        }
    }
}

impl DisplayAs for EstimatedExec {
    fn fmt_as(&self, form: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.scan.fmt_as(form, f)?;
        write!(f, ", about {} rows", self.rows)
    }
}

impl ExecutionPlan for EstimatedExec {
    fn name(&self) -> &str {
        self.scan.name()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.scan.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let recompute = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        self.replace_children(children, recompute)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.scan.execute(partition, context)
    }

    fn statistics_from_inputs(
        &self,
        _: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let schema = self.schema();
        let partitions = self.properties().partitioning.partition_count();
        let rows = match args.partition() {
            Some(_) => self.rows / partitions.max(1),
            None => self.rows,
        };
        let mut statistics = Statistics::new_unknown(&schema);
        statistics.num_rows = Precision::Inexact(rows);
        let columns = schema
            .fields()
            .iter()
            .zip(&mut statistics.column_statistics);
        for (field, column) in columns {
            if field.name() == ENTITY {
                column.distinct_count = Precision::Inexact(rows.div_ceil(EVENTS_OF_ENTITY));
            }
        }
        Ok(Arc::new(statistics))
    }
}
