//! Which aggregate functions the kernels compute.

use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array};
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::AggregateFunction;
use engine::kernels::{Stat, Wanted};
use std::sync::Arc;

use crate::bounds::{ENTITY, TIME, column_name};

/// What is computed of a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Measure {
    /// Number of events.
    Events,
    /// Of the values of the column at this place of the question.
    Of(What, usize),
}

/// What is computed of a column's values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum What {
    Count,
    Sum,
    Avg,
    Min,
    Max,
    Stddev,
    /// Of the values themselves.
    Quantile(f64),
    /// Of a sketch.
    ApproxQuantile(f64),
}

/// Measures, and the columns that they are of.
#[derive(Debug, Default)]
pub(super) struct Measures {
    pub(super) columns: Vec<String>,
    pub(super) measures: Vec<Measure>,
}

impl Measures {
    /// None if the kernels do not compute one of the functions as DataFusion does. `schema` is that of the table.
    pub(super) fn of<'e>(
        functions: impl IntoIterator<Item = &'e Expr>,
        schema: &Schema,
    ) -> Option<Measures> {
        let mut all = Measures::default();
        for function in functions {
            let measure = all.measure(function, schema)?;
            all.measures.push(measure);
        }
        // Sketches and values are not kept side by side.
        let any = |is: fn(What) -> bool| {
            let mut measures = all.measures.iter();
            measures.any(|measure| matches!(measure, Measure::Of(what, _) if is(*what)))
        };
        let is_exact = any(|what| matches!(what, What::Quantile(_)));
        let is_sketch = any(|what| matches!(what, What::ApproxQuantile(_)));
        (!is_exact || !is_sketch).then_some(all)
    }

    fn measure(&mut self, function: &Expr, schema: &Schema) -> Option<Measure> {
        let function = match function {
            Expr::Alias(alias) => return self.measure(&alias.expr, schema),
            Expr::AggregateFunction(function) => function,
            _ => return None,
        };
        let params = &function.params;
        if params.distinct || params.filter.is_some() || params.null_treatment.is_some() {
            return None;
        }
        let (column, what) = match (function.func.name(), &params.args[..]) {
            ("count", [Expr::Literal(value, _)]) if !value.is_null() => {
                return params.order_by.is_empty().then_some(Measure::Events);
            }
            ("approx_percentile_cont", [column, q]) => {
                (column, What::ApproxQuantile(quantile(function, column, q)?))
            }
            ("percentile_cont", [column, q]) => {
                (column, What::Quantile(quantile(function, column, q)?))
            }
            (_, _) if !params.order_by.is_empty() => return None,
            ("count", [column]) => (column, What::Count),
            ("sum", [column]) => (column, What::Sum),
            ("avg", [column]) => (column, What::Avg),
            ("min", [column]) => (column, What::Min),
            ("max", [column]) => (column, What::Max),
            ("stddev", [column]) => (column, What::Stddev),
            ("median", [column]) => (column, What::Quantile(0.5)),
            _ => return None,
        };
        let name = column_name(column)?;
        let field = schema.field_with_name(name).ok()?;
        // Each event has one.
        if what == What::Count && [ENTITY, TIME].contains(&name) {
            return Some(Measure::Events);
        }
        match field.data_type() {
            DataType::Float64 => {}
            DataType::Boolean | DataType::Int64 | DataType::Utf8 | DataType::Utf8View
                if what == What::Count => {}
            DataType::Dictionary(..) if what == What::Count => {}
            _ => return None,
        }
        let known = self.columns.iter().position(|known| known == name);
        let place = known.unwrap_or_else(|| {
            self.columns.push(name.to_owned());
            self.columns.len() - 1
        });
        Some(Measure::Of(what, place))
    }

    pub(super) fn wanted(&self) -> Wanted {
        let any = |is: fn(What) -> bool| {
            let mut measures = self.measures.iter();
            measures.any(|measure| matches!(measure, Measure::Of(what, _) if is(*what)))
        };
        let exact = any(|what| matches!(what, What::Quantile(_)));
        Wanted {
            spread: any(|what| what == What::Stddev),
            quantiles: exact || any(|what| matches!(what, What::ApproxQuantile(_))),
            exact,
            ends: false,
        }
    }
}

/// The quantile of `percentile_cont(q) WITHIN GROUP (ORDER BY column)`.
fn quantile(function: &AggregateFunction, column: &Expr, q: &Expr) -> Option<f64> {
    let ascends = match &function.params.order_by[..] {
        [] => true,
        [order] => order.asc && order.expr == *column,
        _ => false,
    };
    match q {
        Expr::Literal(ScalarValue::Float64(Some(q)), _) if ascends => {
            (0.0..=1.0).contains(q).then_some(*q)
        }
        _ => None,
    }
}

impl Measure {
    /// Its values in these groups, each with its events and the states of its columns. A state of a group without
    /// values is that of an empty group.
    pub(super) fn values<'g>(self, groups: impl Iterator<Item = (u64, &'g [Stat])>) -> ArrayRef {
        match self {
            Measure::Events => {
                let counts = groups.map(|(events, _)| events as i64);
                Arc::new(Int64Array::from_iter_values(counts))
            }
            Measure::Of(What::Count, place) => {
                let counts = groups.map(|(_, stats)| stats[place].count as i64);
                Arc::new(Int64Array::from_iter_values(counts))
            }
            Measure::Of(what, place) => {
                let values = groups.map(|(_, stats)| what.value(&stats[place]));
                Arc::new(values.collect::<Float64Array>())
            }
        }
    }
}

impl What {
    fn value(self, stat: &Stat) -> Option<f64> {
        match self {
            What::Count => Some(stat.count as f64),
            What::Sum => stat.sum(),
            What::Avg => stat.avg(),
            What::Min => stat.min(),
            What::Max => stat.max(),
            What::Stddev => stat.stddev(),
            What::Quantile(q) | What::ApproxQuantile(q) => stat.quantile(q),
        }
    }
}
