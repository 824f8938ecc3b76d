//! Columns that grow value by value.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayBuilder, ArrayRef, AsArray, BooleanBuilder, Float64Builder, Int64Builder,
    NullArray, StringBuilder,
};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use contract::Scalar;

use crate::rows::column_type::ColumnType;

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

    /// The column; of the type `Null` if no value was put.
    pub(crate) fn finish_or_none(self, rows: usize) -> ArrayRef {
        if self.len() == 0 {
            Arc::new(NullArray::new(rows))
        } else {
            self.finish(rows)
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

/// The value of a column in a row; none if it is null, and of a type that no field or signal has.
pub(crate) fn value_at(column: &dyn Array, row: usize) -> Option<Scalar<'_>> {
    if column.is_null(row) {
        return None;
    }
    Some(match column.data_type() {
        DataType::Float64 => Scalar::Number(column.as_primitive::<Float64Type>().value(row)),
        DataType::Int64 => Scalar::Number(column.as_primitive::<Int64Type>().value(row) as f64),
        DataType::Boolean => Scalar::Bool(column.as_boolean().value(row)),
        DataType::Utf8 => Scalar::Text(column.as_string::<i32>().value(row).into()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_in_the_rows_where_they_were_put() {
        let of = |r#type, value: Scalar<'static>| {
            let mut column = Values::new(r#type);
            column.put(0, &value);
            column.put(9, &value);
            let column = column.finish(12);
            assert_eq!((column.len(), column.null_count()), (12, 10));
            for row in 0..12 {
                let expected = [0, 9].contains(&row).then(|| value.clone());
                assert_eq!(value_at(&column, row), expected);
            }
        };
        of(ColumnType::Number, Scalar::Number(1.5));
        of(ColumnType::Integer, Scalar::Number(3.0));
        of(ColumnType::Boolean, Scalar::Bool(true));
        of(ColumnType::Boolean, Scalar::Bool(false));
        of(ColumnType::Text, Scalar::Text("on".into()));
    }
}
