//! The rule itself.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, LogicalPlanBuilder, TableScan};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use engine::kernels::{Ask, Grouping};

use super::buckets::{is_utc, step_of};
use super::events::KindEvents;
use super::measures::Measures;
use super::table::{BUCKET, GroupsTable, measure_name};
use crate::bounds::{Bounds, ENTITY, TIME, is_column};

/// Name of the table of groups in plans.
const GROUPS: &str = "groups";

/// Tells of which events a table's rows are; none if they are not all events of a kind.
type EventsOf = fn(&dyn TableProvider) -> Option<KindEvents>;

/// Replaces aggregations that the kernels compute. To be added after the rules of DataFusion.
pub struct KernelRule {
    events_of: EventsOf,
}

impl fmt::Debug for KernelRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KernelRule")
    }
}

impl KernelRule {
    /// A rule for the tables of which `events_of` tells the events.
    pub fn new(events_of: EventsOf) -> KernelRule {
        KernelRule { events_of }
    }

    /// The plan that takes the place of the aggregation; none if the kernels do not compute it.
    fn replace(&self, aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
        let Some((scan, source)) = Source::below(aggregate)? else {
            return Ok(None);
        };
        let provider = source_as_provider(&scan.source)?;
        let Some(events) = (self.events_of)(provider.as_ref()) else {
            return Ok(None);
        };
        let schema = provider.schema();
        let Some(times) = time_type(&schema) else {
            return Ok(None);
        };
        let filters = source.filters.iter().chain(&scan.filters);
        let (Some(bounds), Some(keys), Some(measures)) = (
            Bounds::exactly(filters, TIME),
            Keys::of(&source.groups),
            Measures::of(&source.functions, &schema),
        ) else {
            return Ok(None);
        };
        let grouping = Grouping {
            step: keys.step,
            by_entity: keys.by_entity,
        };
        let wanted = measures.wanted();
        let ask = Ask {
            signals: measures.columns,
            times: bounds.times,
            entities: bounds.entities,
        };
        let entity = schema.field_with_name(ENTITY)?.data_type().clone();
        let table = GroupsTable {
            events,
            ask: Arc::new(ask),
            grouping,
            wanted,
            is_one: source.groups.is_empty(),
            measures: measures.measures.into(),
            schema: GroupsTable::schema_of(times, entity, &source.functions, aggregate)?,
        };
        let group_columns = source.groups.iter().map(of_bucket);
        let group_columns = group_columns.collect::<Result<Vec<_>>>()?;
        let functions = (0..source.functions.len()).map(|at| groups_column(&measure_name(at)));
        let columns = group_columns.into_iter().chain(functions);
        // The names of the aggregation, to which what stands above refers.
        let named = columns.zip(aggregate.schema.iter());
        let named = named.map(|(expr, (qualifier, field))| {
            expr.alias_qualified(qualifier.cloned(), field.name())
        });
        let source = provider_as_source(Arc::new(table));
        let plan = LogicalPlanBuilder::scan(GROUPS, source, None)?;
        Ok(Some(plan.project(named.collect::<Vec<_>>())?.build()?))
    }
}

impl OptimizerRule for KernelRule {
    fn name(&self) -> &str {
        "kernels"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Aggregate(aggregate) = &plan else {
            return Ok(Transformed::no(plan));
        };
        match self.replace(aggregate)? {
            Some(groups) => Ok(Transformed::yes(groups)),
            None => Ok(Transformed::no(plan)),
        }
    }
}

/// What is asked of a table, in terms of its columns.
struct Source {
    groups: Vec<Expr>,
    functions: Vec<Expr>,
    filters: Vec<Expr>,
}

impl Source {
    /// What is asked of the table below the aggregation; none if there is more between them than filters and columns.
    fn below(aggregate: &Aggregate) -> Result<Option<(&TableScan, Source)>> {
        let mut source = Source {
            groups: aggregate.group_expr.clone(),
            functions: aggregate.aggr_expr.clone(),
            filters: Vec::new(),
        };
        let mut plan = aggregate.input.as_ref();
        loop {
            match plan {
                LogicalPlan::SubqueryAlias(alias) => plan = alias.input.as_ref(),
                LogicalPlan::Filter(filter) => {
                    source.filters.push(filter.predicate.clone());
                    plan = filter.input.as_ref();
                }
                LogicalPlan::Projection(projection) => {
                    let mut columns = HashMap::new();
                    for (expr, field) in projection.expr.iter().zip(projection.schema.fields()) {
                        let expr = expr.clone().unalias();
                        if columns.insert(field.name().clone(), expr).is_some() {
                            return Ok(None);
                        }
                    }
                    source.replace_columns(&columns)?;
                    plan = projection.input.as_ref();
                }
                LogicalPlan::TableScan(scan) if scan.fetch.is_none() => {
                    return Ok(Some((scan, source)));
                }
                _ => return Ok(None),
            }
        }
    }

    /// Puts what a projection computes in the place of its columns.
    fn replace_columns(&mut self, columns: &HashMap<String, Expr>) -> Result<()> {
        let all = [&mut self.groups, &mut self.functions, &mut self.filters];
        for expr in all.into_iter().flatten() {
            *expr = replaced(expr, |column| columns.get(&column.name).cloned())?;
        }
        Ok(())
    }
}

/// What groups are told apart by.
#[derive(Debug, Default)]
struct Keys {
    step: Option<i64>,
    by_entity: bool,
}

impl Keys {
    fn of(groups: &[Expr]) -> Option<Keys> {
        let mut keys = Keys::default();
        for group in groups {
            if is_column(group, ENTITY) {
                keys.by_entity = true;
            } else {
                let step = step_of(group)?;
                if keys.step.is_some_and(|other| other != step) {
                    return None;
                }
                keys.step = Some(step);
            }
        }
        Some(keys)
    }
}

/// The expression of a group, of the table of groups: its time is that of the bucket's start.
fn of_bucket(group: &Expr) -> Result<Expr> {
    replaced(&group.clone().unalias(), |column| {
        let name = if column.name == TIME {
            BUCKET
        } else {
            &column.name
        };
        Some(groups_column(name))
    })
}

fn groups_column(name: &str) -> Expr {
    Expr::Column(Column::new(Some(GROUPS), name))
}

/// The expression with other expressions in the place of its columns.
fn replaced(expr: &Expr, by: impl Fn(&Column) -> Option<Expr>) -> Result<Expr> {
    let replaced = expr.clone().transform(|expr| match &expr {
        Expr::Column(column) => match by(column) {
            Some(other) => Ok(Transformed::yes(other)),
            None => Ok(Transformed::no(expr)),
        },
        _ => Ok(Transformed::no(expr)),
    });
    replaced.data()
}

/// The type of event times, if they are UTC.
fn time_type(schema: &SchemaRef) -> Option<DataType> {
    let r#type = schema.field_with_name(TIME).ok()?.data_type();
    match r#type {
        DataType::Timestamp(_, zone) if is_utc(zone.as_deref()) => Some(r#type.clone()),
        _ => None,
    }
}
