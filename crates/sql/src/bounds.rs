//! The event times and the entity that a filter leaves.

use std::ops::Range;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::Between;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use engine::kernels::EntityFilter;

/// Name of the column of event times.
pub(crate) const TIME: &str = "event_time";
/// Name of the column of entities.
pub(crate) const ENTITY: &str = "entity_id";

/// What rows a filter can leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Event times in microseconds since 1970; the end is left out.
    pub(crate) times: Range<i64>,
    pub(crate) entities: EntityFilter,
}

impl Bounds {
    /// What is left by all of these filters; one that says nothing of event times or entities counts as none.
    pub(crate) fn of(filters: &[Expr]) -> Bounds {
        let mut bounds = Bounds {
            times: i64::MIN..i64::MAX,
            entities: EntityFilter::All,
        };
        filters.iter().for_each(|filter| bounds.narrow(filter));
        bounds
    }

    fn narrow(&mut self, filter: &Expr) {
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
                Operator::And => {
                    self.narrow(left);
                    self.narrow(right);
                }
                op => match (left.as_ref(), right.as_ref()) {
                    (Expr::Column(column), Expr::Literal(value, _)) => {
                        self.compare(&column.name, *op, value);
                    }
                    (Expr::Literal(value, _), Expr::Column(column)) => {
                        if let Some(op) = op.swap() {
                            self.compare(&column.name, op, value);
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
                if let (Expr::Column(column), Expr::Literal(low, _), Expr::Literal(high, _)) =
                    (expr.as_ref(), low.as_ref(), high.as_ref())
                {
                    self.compare(&column.name, Operator::GtEq, low);
                    self.compare(&column.name, Operator::LtEq, high);
                }
            }
            _ => {}
        }
    }

    fn compare(&mut self, column: &str, op: Operator, value: &ScalarValue) {
        if column == ENTITY {
            if let (Operator::Eq, Some(Some(id))) = (op, value.try_as_str()) {
                self.entities = EntityFilter::One(id.to_owned());
            }
            return;
        }
        let ScalarValue::TimestampMicrosecond(Some(micros), _) = value else {
            return;
        };
        if column != TIME {
            return;
        }
        let (after, next) = (*micros, micros.saturating_add(1));
        let times = &mut self.times;
        match op {
            Operator::GtEq => times.start = times.start.max(after),
            Operator::Gt => times.start = times.start.max(next),
            Operator::Lt => times.end = times.end.min(after),
            Operator::LtEq => times.end = times.end.min(next),
            Operator::Eq => {
                *times = times.start.max(after)..times.end.min(next);
            }
            _ => {}
        }
    }
}
