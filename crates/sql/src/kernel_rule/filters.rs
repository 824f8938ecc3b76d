//! Which filters the kernels know: bounds on the event time, and one on the entity.

use std::ops::Range;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Between, BinaryExpr, Cast, Expr, Like, Operator};
use engine::kernels::EntityFilter;

use super::buckets::is_time;
use super::rule::{ENTITY, is_column};

/// What all of the filters let through.
#[derive(Debug, Clone)]
pub(super) struct Filters {
    /// Event times in microseconds.
    pub(super) times: Range<i64>,
    pub(super) entities: EntityFilter,
}

impl Filters {
    /// None if the kernels do not know one of the filters.
    pub(super) fn of<'e>(filters: impl IntoIterator<Item = &'e Expr>) -> Option<Filters> {
        let mut all = Filters {
            times: i64::MIN..i64::MAX,
            entities: EntityFilter::All,
        };
        filters.into_iter().try_for_each(|filter| all.add(filter))?;
        all.times.end = all.times.end.max(all.times.start);
        Some(all)
    }

    fn add(&mut self, filter: &Expr) -> Option<()> {
        match filter {
            Expr::Alias(alias) => self.add(&alias.expr),
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if *op == Operator::And => {
                self.add(left)?;
                self.add(right)
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (&**left, &**right) {
                (column, Expr::Literal(value, _)) => self.compare(column, *op, value),
                (Expr::Literal(value, _), column) => self.compare(column, op.swap()?, value),
                _ => None,
            },
            Expr::Between(Between {
                expr,
                negated: false,
                low,
                high,
            }) => match (&**low, &**high) {
                (Expr::Literal(low, _), Expr::Literal(high, _)) => {
                    self.compare(expr, Operator::GtEq, low)?;
                    self.compare(expr, Operator::LtEq, high)
                }
                _ => None,
            },
            Expr::Like(like) => self.like(like),
            _ => None,
        }
    }

    fn compare(&mut self, column: &Expr, op: Operator, value: &ScalarValue) -> Option<()> {
        if is_entity(column) {
            let id = text(value)?.to_owned();
            return (op == Operator::Eq).then(|| self.only(EntityFilter::One(id)))?;
        }
        if !is_time(column) {
            return None;
        }
        // The least whole microsecond that is not before the value, and the first that is after it.
        let (from, after) = micros(value)?;
        let times = &mut self.times;
        match op {
            Operator::GtEq => times.start = times.start.max(from),
            Operator::Gt => times.start = times.start.max(after),
            Operator::Lt => times.end = times.end.min(from),
            Operator::LtEq => times.end = times.end.min(after),
            Operator::Eq => {
                times.start = times.start.max(from);
                times.end = times.end.min(after);
            }
            _ => return None,
        }
        Some(())
    }

    /// `entity_id LIKE 'prefix%'`.
    fn like(&mut self, like: &Like) -> Option<()> {
        let is_plain = !like.negated && !like.case_insensitive && like.escape_char.is_none();
        let Expr::Literal(pattern, _) = &*like.pattern else {
            return None;
        };
        let prefix = text(pattern)?.strip_suffix('%')?;
        let is_prefix = is_plain && !prefix.contains(['%', '_', '\\']);
        (is_prefix && is_entity(&like.expr))
            .then(|| self.only(EntityFilter::Prefix(prefix.to_owned())))?
    }

    /// Of two filters of entities the kernels know one.
    fn only(&mut self, entities: EntityFilter) -> Option<()> {
        let is_new = self.entities == EntityFilter::All;
        if is_new {
            self.entities = entities;
        } else if self.entities != entities {
            return None;
        }
        Some(())
    }
}

/// The entity as it is, or as another type of texts.
fn is_entity(expr: &Expr) -> bool {
    match expr {
        Expr::Cast(Cast { expr, field }) => {
            let is_text = field.data_type().is_string();
            is_text && is_column(expr, ENTITY)
        }
        _ => is_column(expr, ENTITY),
    }
}

fn text(value: &ScalarValue) -> Option<&str> {
    match value {
        ScalarValue::Dictionary(_, value) => text(value),
        other => other.try_as_str().flatten(),
    }
}

/// The least whole microsecond that is not before this time, and the first that is after it.
fn micros(value: &ScalarValue) -> Option<(i64, i64)> {
    let whole = |micros: i64| Some((micros, micros.checked_add(1)?));
    match value {
        ScalarValue::TimestampSecond(time, _) => whole((*time)?.checked_mul(1_000_000)?),
        ScalarValue::TimestampMillisecond(time, _) => whole((*time)?.checked_mul(1000)?),
        ScalarValue::TimestampMicrosecond(time, _) => whole((*time)?),
        ScalarValue::TimestampNanosecond(time, _) => {
            let floor = (*time)?.div_euclid(1000);
            let is_whole = (*time)?.rem_euclid(1000) == 0;
            Some((floor + i64::from(!is_whole), floor + 1))
        }
        _ => None,
    }
}
