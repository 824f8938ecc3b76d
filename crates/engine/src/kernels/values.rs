//! The values of a signal in some rows, whatever the type of their column.

use std::ops::Range;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Float64Builder, Int64Array, StringArray,
    StringBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use arrow::error::ArrowError;
use serde_json::{Map, Value as Json};

/// A column of a signal, or of a contract field.
#[derive(Debug)]
pub(crate) enum Values {
    Number(Float64Array),
    Integer(Int64Array),
    Boolean(BooleanArray),
    Text(StringArray),
}

impl Values {
    /// # Errors
    ///
    /// If the column is of a type that no signal can be read from.
    pub(crate) fn of(column: &ArrayRef) -> Result<Values, ArrowError> {
        Ok(match column.data_type() {
            DataType::Float64 => Values::Number(column.as_primitive::<Float64Type>().clone()),
            DataType::Int64 => Values::Integer(column.as_primitive::<Int64Type>().clone()),
            DataType::Boolean => Values::Boolean(column.as_boolean().clone()),
            DataType::Utf8 => Values::Text(column.as_string().clone()),
            // Not by this pipeline: other programs may write parts too.
            other if other.is_numeric() => {
                let numbers = cast(column, &DataType::Float64)?;
                Values::Number(numbers.as_primitive::<Float64Type>().clone())
            }
            _ => Values::Text(cast(column, &DataType::Utf8)?.as_string().clone()),
        })
    }

    /// The numbers and the texts of a signal in rows of the column `_more`, a JSON object each.
    pub(crate) fn of_more(more: &StringArray, signal: &str) -> [Values; 2] {
        let mut numbers = Float64Builder::with_capacity(more.len());
        let mut texts = StringBuilder::new();
        for text in more {
            let object = text.and_then(|text| serde_json::from_str::<Map<String, Json>>(text).ok());
            let fields = object.into_iter().flatten();
            let mut values = fields.filter(|(name, _)| name.eq_ignore_ascii_case(signal));
            let value = values.next().map(|(_, value)| value);
            numbers.append_option(match &value {
                Some(Json::Bool(value)) => Some(f64::from(u8::from(*value))),
                Some(Json::Number(number)) => number.as_f64(),
                _ => None,
            });
            texts.append_option(value.as_ref().and_then(Json::as_str));
        }
        [
            Values::Number(numbers.finish()),
            Values::Text(texts.finish()),
        ]
    }

    pub(crate) fn array(&self) -> &dyn Array {
        match self {
            Values::Number(column) => column,
            Values::Integer(column) => column,
            Values::Boolean(column) => column,
            Values::Text(column) => column,
        }
    }

    /// Calls `each` with every stretch of these rows in which each row has a value.
    pub(crate) fn filled(&self, rows: Range<usize>, mut each: impl FnMut(Range<usize>)) {
        match self.array().nulls().filter(|nulls| nulls.null_count() > 0) {
            None => each(rows),
            Some(nulls) => {
                let here = nulls.slice(rows.start, rows.len());
                for (from, until) in here.valid_slices() {
                    each(rows.start + from..rows.start + until);
                }
            }
        }
    }

    /// The numbers of these rows, each of which has a value, booleans as 0 and 1; `space` is where they are put if
    /// they do not stand side by side. None of a column of texts.
    pub(crate) fn numbers<'a>(
        &'a self,
        rows: Range<usize>,
        space: &'a mut Vec<f64>,
    ) -> Option<&'a [f64]> {
        space.clear();
        match self {
            Values::Number(column) => return column.values().get(rows),
            Values::Integer(column) => {
                let integers = column.values().get(rows)?;
                space.extend(integers.iter().map(|value| *value as f64));
            }
            Values::Boolean(column) => {
                space.extend(rows.map(|row| f64::from(u8::from(column.value(row)))));
            }
            Values::Text(_) => return None,
        }
        Some(space)
    }
}
