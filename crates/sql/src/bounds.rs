//! The times, entities and other names that a filter leaves.

use std::collections::BTreeSet;
use std::ops::Range;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{Between, InList};
use datafusion::logical_expr::{
    BinaryExpr, Cast, Expr, Like, Operator, TableProviderFilterPushDown,
};
use engine::kernels::EntityFilter;

use crate::kernel_rule::step_of;

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
    /// Which filters bounds say all of: a scan that keeps to its bounds needs no second look by them.
    pub(crate) fn support(filters: &[&Expr], time: &str) -> Vec<TableProviderFilterPushDown> {
        let support = |filter: &&Expr| match Bounds::exactly([*filter], time) {
            Some(_) => TableProviderFilterPushDown::Exact,
            None => TableProviderFilterPushDown::Inexact,
        };
        filters.iter().map(support).collect()
    }

    /// What is left by all of these filters; one that says nothing of the column `time` or of entities counts as none.
    pub(crate) fn of<'e>(filters: impl IntoIterator<Item = &'e Expr>, time: &str) -> Bounds {
        Bounds::read(filters, time).0
    }

    /// The same; none if the filters say more than bounds can.
    pub(crate) fn exactly<'e>(
        filters: impl IntoIterator<Item = &'e Expr>,
        time: &str,
    ) -> Option<Bounds> {
        let (bounds, said_all) = Bounds::read(filters, time);
        said_all.then_some(bounds)
    }

    /// The bounds, and whether they say all.
    fn read<'e>(filters: impl IntoIterator<Item = &'e Expr>, time: &str) -> (Bounds, bool) {
        let mut bounds = Bounds {
            times: i64::MIN..i64::MAX,
            entities: EntityFilter::All,
        };
        let mut said_all = true;
        for filter in filters {
            said_all &= bounds.narrow(filter, time);
        }
        bounds.times.end = bounds.times.end.max(bounds.times.start);
        (bounds, said_all)
    }

    /// Takes a filter in; false if it says more than the bounds do now.
    fn narrow(&mut self, filter: &Expr, time: &str) -> bool {
        match filter {
            Expr::Alias(alias) => self.narrow(&alias.expr, time),
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if *op == Operator::And => {
                let said = self.narrow(left, time);
                self.narrow(right, time) && said
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (&**left, &**right) {
                (column, Expr::Literal(value, _)) => self.compare(column, *op, value, time),
                (Expr::Literal(value, _), column) => op
                    .swap()
                    .is_some_and(|op| self.compare(column, op, value, time)),
                _ => false,
            },
            Expr::Between(Between {
                expr,
                negated: false,
                low,
                high,
            }) => {
                let mut bound = |op, value: &Expr| match value {
                    Expr::Literal(value, _) => self.compare(expr, op, value, time),
                    _ => false,
                };
                let said = bound(Operator::GtEq, low);
                bound(Operator::LtEq, high) && said
            }
            Expr::Like(like) => self.like(like),
            _ => false,
        }
    }

    fn compare(&mut self, column: &Expr, op: Operator, value: &ScalarValue, time: &str) -> bool {
        if is_entity(column) {
            return match (op, text(value)) {
                (Operator::Eq, Some(id)) => self.only(EntityFilter::One(id.to_owned())),
                _ => false,
            };
        }
        if time == TIME
            && let Some(step) = step_of(column)
        {
            self.narrow_by_bucket(step, op, value);
            return false;
        }
        let Some((from, after)) = micros(value).filter(|_| is_time(column, time)) else {
            return false;
        };
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
            _ => return false,
        }
        true
    }

    /// The start of a time's bucket, of `step` microseconds, compares so with a time: the time itself lies at most a
    /// step behind the start.
    fn narrow_by_bucket(&mut self, step: i64, op: Operator, value: &ScalarValue) {
        let Some((from, after)) = micros(value) else {
            return;
        };
        let times = &mut self.times;
        if matches!(op, Operator::GtEq | Operator::Gt | Operator::Eq) {
            times.start = times.start.max(from);
        }
        let end = match op {
            Operator::Lt => from,
            Operator::LtEq | Operator::Eq => after,
            _ => return,
        };
        times.end = times.end.min(end.saturating_add(step));
    }

    /// `entity_id LIKE 'prefix%'`.
    fn like(&mut self, like: &Like) -> bool {
        let is_plain = !like.negated && !like.case_insensitive && like.escape_char.is_none();
        let pattern = match &*like.pattern {
            Expr::Literal(pattern, _) => text(pattern),
            _ => None,
        };
        match pattern.and_then(|pattern| pattern.strip_suffix('%')) {
            Some(prefix) if is_plain && is_entity(&like.expr) && is_literal(prefix) => {
                self.only(EntityFilter::Prefix(prefix.to_owned()))
            }
            _ => false,
        }
    }

    /// Leaves the entities that this filter and the ones before leave; always says all.
    fn only(&mut self, entities: EntityFilter) -> bool {
        match both(&self.entities, &entities) {
            Some(left) => self.entities = left,
            // Without an entity there is no event, as where there is no time.
            None => self.times = self.times.start.max(0)..0,
        }
        true
    }
}

/// The entities that both filters leave; none if they leave no entity.
fn both(a: &EntityFilter, b: &EntityFilter) -> Option<EntityFilter> {
    use EntityFilter::{All, One, Prefix};
    match (a, b) {
        (All, other) | (other, All) => Some(other.clone()),
        (One(id), other) | (other, One(id)) => other.takes(id).then(|| One(id.clone())),
        (Prefix(prefix), Prefix(longer)) if longer.starts_with(prefix) => Some(b.clone()),
        (Prefix(longer), Prefix(prefix)) => longer.starts_with(prefix).then(|| a.clone()),
    }
}

/// Whether a part of a pattern stands for itself.
fn is_literal(pattern: &str) -> bool {
    !pattern.contains(['%', '_', '\\'])
}

/// The name of the column that the expression is.
pub(crate) fn column_name(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Column(column) => Some(&column.name),
        Expr::Alias(alias) => column_name(&alias.expr),
        _ => None,
    }
}

pub(crate) fn is_column(expr: &Expr, name: &str) -> bool {
    column_name(expr) == Some(name)
}

/// The column as it is, or as another type that tells microseconds apart: a coarser unit would round it.
fn is_time(expr: &Expr, time: &str) -> bool {
    match expr {
        Expr::Cast(Cast { expr, field }) => {
            let fine = TimeUnit::Microsecond;
            let is_fine =
                matches!(field.data_type(), DataType::Timestamp(unit, _) if *unit >= fine);
            is_fine && is_column(expr, time)
        }
        _ => is_column(expr, time),
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

/// The least whole microsecond that is not before this time, and the first that is after it. A time without a zone is
/// compared with UTC's.
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

/// The texts that all of these filters leave of a column; none if they leave any.
pub(crate) fn texts_of(filters: &[Expr], column: &str) -> Option<BTreeSet<String>> {
    let left = filters.iter().filter_map(|filter| texts(filter, column));
    left.reduce(|a, b| &a & &b)
}

fn texts(filter: &Expr, column: &str) -> Option<BTreeSet<String>> {
    let is_it = |expr: &Expr| is_column(expr, column);
    let text = |expr: &Expr| match expr {
        Expr::Literal(value, _) => text(value).map(str::to_owned),
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

#[cfg(test)]
mod tests {
    use datafusion::functions::datetime::date_bin;
    use datafusion::logical_expr::{binary_expr, col, lit};

    use super::*;

    #[test]
    fn a_bound_of_a_bucket_bounds_the_times_in_it() {
        let minute = 60_000_000;
        let length = lit(ScalarValue::new_interval_mdn(0, 0, minute * 1000));
        let bucket = date_bin().call(vec![length, col(TIME)]);
        let at = |micros: i64| lit(ScalarValue::TimestampMicrosecond(Some(micros), None));
        for (op, start, end) in [
            (Operator::Gt, 7 * minute, i64::MAX),
            (Operator::GtEq, 7 * minute, i64::MAX),
            (Operator::Eq, 7 * minute, 8 * minute + 1),
            (Operator::Lt, i64::MIN, 8 * minute),
            (Operator::LtEq, i64::MIN, 8 * minute + 1),
            (Operator::NotEq, i64::MIN, i64::MAX),
        ] {
            let filter = [binary_expr(bucket.clone(), op, at(7 * minute))];
            assert_eq!(Bounds::of(&filter, TIME).times, start..end, "{op}");
            assert_eq!(Bounds::exactly(&filter, TIME), None, "{op}");
            // The column of another table has its own name.
            assert_eq!(Bounds::of(&filter, "at").times, i64::MIN..i64::MAX);
        }
        let both = [
            binary_expr(bucket, Operator::GtEq, at(0)),
            binary_expr(col(TIME), Operator::Lt, at(minute)),
        ];
        assert_eq!(Bounds::of(&both, TIME).times, 0..minute);
    }
}
