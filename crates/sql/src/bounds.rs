//! The times, entities and other names that a filter leaves.

use std::collections::BTreeSet;
use std::ops::Range;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{Between, InList};
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, Operator};
use engine::kernels::EntityFilter;

/// Name of the column of event times.
pub(crate) const TIME: &str = "event_time";
/// Name of the column of entities.
pub(crate) const ENTITY: &str = "entity_id";

/// What rows a filter can leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Times in microseconds since 1970; the end is left out.
    pub(crate) times: Range<i64>,
    pub(crate) entities: EntityFilter,
}

impl Bounds {
    /// What is left by all of these filters; one that says nothing of the column `time` or of entities counts as none.
    pub(crate) fn of(filters: &[Expr], time: &str) -> Bounds {
        let mut bounds = Bounds {
            times: i64::MIN..i64::MAX,
            entities: EntityFilter::All,
        };
        for filter in filters {
            bounds.narrow(filter, time);
        }
        bounds
    }

    fn narrow(&mut self, filter: &Expr, time: &str) {
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
                Operator::And => {
                    self.narrow(left, time);
                    self.narrow(right, time);
                }
                op => match (column_of(left), column_of(right)) {
                    (Some(column), None) => self.compare(column, *op, right, time),
                    (None, Some(column)) => {
                        if let Some(op) = op.swap() {
                            self.compare(column, op, left, time);
                        }
                    }
                    _ => {}
                },
            },
            Expr::Between(Between {
                expr,
                negated: false,
                low,
                high,
            }) => {
                if let Some(column) = column_of(expr) {
                    self.compare(column, Operator::GtEq, low, time);
                    self.compare(column, Operator::LtEq, high, time);
                }
            }
            _ => {}
        }
    }

    fn compare(&mut self, column: &str, op: Operator, value: &Expr, time: &str) {
        let Expr::Literal(value, _) = value else {
            return;
        };
        if column == ENTITY {
            if let (Operator::Eq, Some(Some(id))) = (op, value.try_as_str()) {
                self.entities = EntityFilter::One(id.to_owned());
            }
            return;
        }
        if column != time {
            return;
        }
        // Of a finer unit, the microseconds around it.
        let Some((floor, ceil)) = micros(value) else {
            return;
        };
        let times = &mut self.times;
        match op {
            Operator::GtEq => times.start = times.start.max(ceil),
            Operator::Gt => times.start = times.start.max(floor.saturating_add(1)),
            Operator::Lt => times.end = times.end.min(ceil),
            Operator::LtEq => times.end = times.end.min(floor.saturating_add(1)),
            Operator::Eq => {
                *times = times.start.max(floor)..times.end.min(floor.saturating_add(1));
            }
            _ => {}
        }
    }
}

/// The column that an expression is, a cast to a time of another unit aside.
fn column_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Column(column) => Some(&column.name),
        Expr::Cast(Cast { expr, field }) => match (field.data_type(), expr.as_ref()) {
            // A coarser unit would round the column.
            (
                DataType::Timestamp(
                    arrow::datatypes::TimeUnit::Microsecond
                    | arrow::datatypes::TimeUnit::Nanosecond,
                    Some(zone),
                ),
                Expr::Column(column),
            ) if !zone.is_empty() => Some(&column.name),
            _ => None,
        },
        _ => None,
    }
}

/// The last whole microsecond not after a time, and the first one not before it.
fn micros(value: &ScalarValue) -> Option<(i64, i64)> {
    let whole = |micros: Option<i64>| micros.map(|micros| (micros, micros));
    match value {
        ScalarValue::TimestampSecond(Some(time), Some(_)) => whole(time.checked_mul(1_000_000)),
        ScalarValue::TimestampMillisecond(Some(time), Some(_)) => whole(time.checked_mul(1000)),
        ScalarValue::TimestampMicrosecond(Some(time), Some(_)) => whole(Some(*time)),
        ScalarValue::TimestampNanosecond(Some(time), Some(_)) => {
            let floor = time.div_euclid(1000);
            Some((floor, floor + i64::from(time.rem_euclid(1000) > 0)))
        }
        _ => None,
    }
}

/// The texts that all of these filters leave of a column; none if they leave any.
pub(crate) fn texts_of(filters: &[Expr], column: &str) -> Option<BTreeSet<String>> {
    let left = filters.iter().filter_map(|filter| texts(filter, column));
    left.reduce(|a, b| &a & &b)
}

fn texts(filter: &Expr, column: &str) -> Option<BTreeSet<String>> {
    let is_it = |expr: &Expr| matches!(expr, Expr::Column(found) if found.name == column);
    let text = |expr: &Expr| match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten().map(str::to_owned),
        _ => None,
    };
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::Eq if is_it(left) => Some(BTreeSet::from([text(right)?])),
            Operator::Eq if is_it(right) => Some(BTreeSet::from([text(left)?])),
            Operator::And => match (texts(left, column), texts(right, column)) {
                (Some(a), Some(b)) => Some(&a & &b),
                (a, b) => a.or(b),
            },
            Operator::Or => Some(&texts(left, column)? | &texts(right, column)?),
            _ => None,
        },
        Expr::InList(InList {
            expr,
            list,
            negated: false,
        }) if is_it(expr) => list.iter().map(text).collect(),
        _ => None,
    }
}
