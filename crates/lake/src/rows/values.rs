//! Columns that grow value by value.

use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder,
};
use contract::Scalar;

use crate::rows::columns::ColumnType;

/// A column under construction. Rows without a value become nulls when the next value comes.
pub(crate) enum Values {
    Number(Float64Builder),
    Integer(Int64Builder),
    Boolean(BooleanBuilder),
    Text(StringBuilder),
}

impl Values {
    pub(crate) fn new(r#type: ColumnType) -> Values {
        match r#type {
            // Without reserve: a year of late hours has many thousands of columns with few values each.
            ColumnType::Number => Values::Number(Float64Builder::with_capacity(0)),
            ColumnType::Integer => Values::Integer(Int64Builder::with_capacity(0)),
            ColumnType::Boolean => Values::Boolean(BooleanBuilder::with_capacity(0)),
            ColumnType::Text => Values::Text(StringBuilder::with_capacity(0, 0)),
        }
    }

    /// Whether the column can hold this sort of value.
    pub(crate) fn takes(&self, value: &Scalar<'_>) -> bool {
        matches!(
            (self, value),
            (Values::Number(_) | Values::Integer(_), Scalar::Number(_))
                | (Values::Boolean(_), Scalar::Bool(_))
                | (Values::Text(_), Scalar::Text(_))
        )
    }

    /// Puts the value at `row`; a value of another type than the column's is left out.
    pub(crate) fn put(&mut self, row: usize, value: &Scalar<'_>) {
        self.fill(row);
        match (self, value) {
            (Values::Number(column), Scalar::Number(value)) => column.append_value(*value),
            (Values::Integer(column), Scalar::Number(value)) => column.append_value(*value as i64),
            (Values::Boolean(column), Scalar::Bool(value)) => column.append_value(*value),
            (Values::Text(column), Scalar::Text(value)) => column.append_value(value),
            (column, _) => column.fill(row + 1),
        }
    }

    /// The value at `row`; none where the row has no value, or is past the end.
    pub(crate) fn at(&self, row: usize) -> Option<Scalar<'_>> {
        if row >= self.len() {
            return None;
        }
        let set = |bits: &[u8]| bits[row / 8] >> (row % 8) & 1 == 1;
        let valid = match self {
            Values::Number(column) => column.validity_slice(),
            Values::Integer(column) => column.validity_slice(),
            Values::Boolean(column) => column.validity_slice(),
            Values::Text(column) => column.validity_slice(),
        };
        if !valid.is_none_or(set) {
            return None;
        }
        Some(match self {
            Values::Number(column) => Scalar::Number(column.values_slice()[row]),
            Values::Integer(column) => Scalar::Number(column.values_slice()[row] as f64),
            Values::Boolean(column) => Scalar::Bool(set(column.values_slice())),
            Values::Text(column) => {
                let ends = column.offsets_slice();
                let text = &column.values_slice()[ends[row] as usize..ends[row + 1] as usize];
                Scalar::Text(std::str::from_utf8(text).unwrap_or_default().into())
            }
        })
    }

    /// Appends nulls until the column has `rows` rows.
    fn fill(&mut self, rows: usize) {
        if self.len() >= rows {
            return;
        }
        match self {
            Values::Number(column) => column.append_nulls(rows - column.len()),
            Values::Integer(column) => column.append_nulls(rows - column.len()),
            Values::Boolean(column) => column.append_nulls(rows - column.len()),
            Values::Text(column) => (column.len()..rows).for_each(|_| column.append_null()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Values::Number(column) => column.len(),
            Values::Integer(column) => column.len(),
            Values::Boolean(column) => column.len(),
            Values::Text(column) => column.len(),
        }
    }

    pub(crate) fn finish(mut self, rows: usize) -> ArrayRef {
        self.fill(rows);
        match self {
            Values::Number(mut column) => Arc::new(column.finish()),
            Values::Integer(mut column) => Arc::new(column.finish()),
            Values::Boolean(mut column) => Arc::new(column.finish()),
            Values::Text(mut column) => Arc::new(column.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_in_the_rows_where_they_were_put() {
        let of = |r#type, value: Scalar<'static>| {
            let mut column = Values::new(r#type);
            assert_eq!(column.at(0), None);
            column.put(0, &value);
            assert_eq!((column.at(0), column.at(1)), (Some(value.clone()), None));
            column.put(9, &value);
            assert_eq!((column.at(8), column.at(9)), (None, Some(value.clone())));
            assert_eq!(column.at(0), Some(value));
            assert_eq!(column.finish(12).null_count(), 10);
        };
        of(ColumnType::Number, Scalar::Number(1.5));
        of(ColumnType::Integer, Scalar::Number(3.0));
        of(ColumnType::Boolean, Scalar::Bool(true));
        of(ColumnType::Boolean, Scalar::Bool(false));
        of(ColumnType::Text, Scalar::Text("on".into()));
    }
}
