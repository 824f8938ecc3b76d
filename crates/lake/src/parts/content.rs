//! Whether a row of a part says the same as an event.

use arrow::array::{Array, AsArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use contract::Scalar;

use crate::parquet_file::column;
use crate::rows::columns::signal_of;
use crate::rows::hour_rows::Content;

/// Columns before the contract fields: ids and times.
const BUILT_IN: usize = 4;

/// Whether the part's row has this content: entity, time to the microsecond, fields and signals.
pub fn has_content(part: &RecordBatch, row: usize, content: &Content<'_>) -> bool {
    let entity = column::<StringArray>(part, "entity_id").map(|column| column.value(row));
    let time = column::<TimestampMicrosecondArray>(part, "event_time");
    let micros = time.map(|column| column.value(row));
    if entity.ok() != Some(content.entity) || micros.ok() != Some(content.micros) {
        return false;
    }
    let schema = part.schema();
    let columns = schema.fields().iter().zip(part.columns()).skip(BUILT_IN);
    let stored: Vec<_> = columns
        .filter(|(_, column)| column.is_valid(row))
        .map(|(field, column)| {
            let name = signal_of(field).unwrap_or(field.name());
            (name, value_at(column, row))
        })
        .collect();
    let same = |(name, value): &(&str, Scalar<'_>),
                (column, stored): &(&str, Option<Scalar<'_>>)| {
        name.eq_ignore_ascii_case(column)
            && stored.as_ref().is_some_and(|stored| is_same(value, stored))
    };
    let sent = &content.values;
    sent.iter().all(|a| stored.iter().any(|b| same(a, b)))
        && stored.iter().all(|b| sent.iter().any(|a| same(a, b)))
}

/// Equal, and numbers to the bit: 0 and −0 differ.
fn is_same(a: &Scalar<'_>, b: &Scalar<'_>) -> bool {
    match (a, b) {
        (Scalar::Number(a), Scalar::Number(b)) => a.to_bits() == b.to_bits(),
        _ => a == b,
    }
}

/// The value in the row; none for a type that no field or signal has.
fn value_at(column: &dyn Array, row: usize) -> Option<Scalar<'_>> {
    Some(match column.data_type() {
        DataType::Float64 => Scalar::Number(column.as_primitive::<Float64Type>().value(row)),
        DataType::Int64 => Scalar::Number(column.as_primitive::<Int64Type>().value(row) as f64),
        DataType::Boolean => Scalar::Bool(column.as_boolean().value(row)),
        DataType::Utf8 => Scalar::Text(column.as_string::<i32>().value(row).into()),
        _ => return None,
    })
}
