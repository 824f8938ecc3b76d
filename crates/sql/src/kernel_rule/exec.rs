//! Lets the kernels compute groups.

use std::fmt;
use std::sync::Arc;

use chrono::DateTime;
use datafusion::arrow::array::{
    ArrayRef, RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics, assert_or_internal_err};
use datafusion::execution::memory_pool::MemoryLimit;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use engine::kernels::{EntityFilter, Group, Groups, Stat};
use futures::stream::{self, StreamExt};

use super::table::GroupsTable;

/// Bytes that a group takes, about, for each of its columns.
const GROUP_BYTES: usize = 256;

/// Groups that are reckoned with when a statement is planned: fewer than there are events.
const GROUPS: usize = 1_000;

/// Reads the events of a kind and gives their groups, in no order.
#[derive(Debug)]
pub(super) struct KernelExec {
    table: GroupsTable,
    projection: Option<Vec<usize>>,
    properties: Arc<PlanProperties>,
}

impl KernelExec {
    pub(super) fn new(table: GroupsTable, projection: Option<Vec<usize>>) -> Result<KernelExec> {
        let schema = match &projection {
            Some(columns) => Arc::new(table.schema.project(columns)?),
            None => table.schema.clone(),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Ok(KernelExec {
            table,
            projection,
            properties: Arc::new(properties),
        })
    }
}

impl DisplayAs for KernelExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ask, grouping) = (&self.table.ask, self.table.grouping);
        write!(f, "KernelExec: kind={}", self.table.events.kind)?;
        write!(f, ", columns=[{}]", ask.signals.join(", "))?;
        if let Some(step) = grouping.step {
            write!(f, ", step={}s", step as f64 / 1e6)?;
        }
        write!(f, ", by_entity={}", grouping.by_entity)?;
        for (name, time) in [("from", ask.times.start), ("until", ask.times.end)] {
            // A bound that is not asked for is no time.
            if let Some(time) = DateTime::from_timestamp_micros(time) {
                write!(f, ", {name}={}", time.to_rfc3339())?;
            }
        }
        match &ask.entities {
            EntityFilter::All => Ok(()),
            EntityFilter::One(id) => write!(f, ", entity={id}"),
            EntityFilter::Prefix(prefix) => write!(f, ", entity={prefix}*"),
        }
    }
}

impl ExecutionPlan for KernelExec {
    fn name(&self) -> &str {
        "KernelExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
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
        assert_or_internal_err!(partition == 0, "there is one partition of groups");
        let (table, projection) = (self.table.clone(), self.projection.clone());
        // Each thread has groups of its own.
        let threads = table.events.engine.scanner.threads().max(1);
        let most = match context.memory_pool().memory_limit() {
            MemoryLimit::Finite(bytes) => bytes / GROUP_BYTES / threads,
            MemoryLimit::Infinite | MemoryLimit::Unknown => usize::MAX,
        };
        let schema = self.schema();
        let of_stream = schema.clone();
        let batch = async move {
            let (ask, grouping, wanted) = (&table.ask, table.grouping, table.wanted);
            let groups = table.events.groups(ask, grouping, wanted, most).await?;
            rows(&table, &groups, projection.as_deref(), of_stream)
        };
        let stream = stream::once(batch).boxed();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
    }

    fn statistics_from_inputs(
        &self,
        _: &[Arc<Statistics>],
        _: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let groups = if self.table.is_one { 1 } else { GROUPS };
        let mut statistics = Statistics::new_unknown(&self.schema());
        statistics.num_rows = Precision::Inexact(groups);
        Ok(Arc::new(statistics))
    }
}

/// The groups as rows, of the columns that are asked for.
fn rows(
    table: &GroupsTable,
    groups: &Groups,
    projection: Option<&[usize]>,
    schema: SchemaRef,
) -> Result<RecordBatch> {
    let nothing = vec![Stat::default(); table.ask.signals.len()];
    let of_none = Group {
        bucket: table.ask.times.start,
        entity: None,
    };
    let of_none = (table.is_one && groups.is_empty()).then_some((of_none, 0, &nothing[..]));
    let all: Vec<(Group<'_>, u64, &[Stat])> = groups.iter().chain(of_none).collect();
    let column = |at: usize| -> Result<ArrayRef> {
        let array: ArrayRef = match at {
            0 => {
                let starts = all.iter().map(|(group, ..)| group.bucket);
                let starts = TimestampMicrosecondArray::from_iter_values(starts);
                Arc::new(starts.with_timezone("UTC"))
            }
            1 => {
                let ids = all.iter().map(|(group, ..)| group.entity);
                let ids = ids.map(|id| id.map_or("", |id| &**id));
                Arc::new(StringArray::from_iter_values(ids))
            }
            _ => {
                let of_groups = all.iter().map(|(_, events, stats)| (*events, *stats));
                table.measures[at - 2].values(of_groups)
            }
        };
        Ok(cast(&array, table.schema.field(at).data_type())?)
    };
    let columns = match projection {
        Some(places) => places.iter().map(|at| column(*at)).collect::<Result<_>>()?,
        None => (0..table.schema.fields().len())
            .map(column)
            .collect::<Result<_>>()?,
    };
    let options = RecordBatchOptions::new().with_row_count(Some(all.len()));
    let rows = RecordBatch::try_new_with_options(schema, columns, &options)?;
    Ok(rows)
}
