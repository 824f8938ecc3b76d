//! What a row of a part says.

use arrow::array::{Array, AsArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use parquet::errors::Result;

use crate::parquet_file::column;
use crate::rows::columns::{is_derived, signal_of};
use crate::rows::{Content, MORE, More, value_at};

/// Columns before the contract fields: ids and times.
const BUILT_IN: usize = 4;

/// Content of the part's row: what its event says, without derived signals.
///
/// # Errors
///
/// If the batch is no part.
pub fn content(part: &RecordBatch, row: usize) -> Result<Content<'_>> {
    let entity = column::<StringArray>(part, "entity_id")?.value(row);
    let micros = column::<TimestampMicrosecondArray>(part, "event_time")?.value(row);
    let mut values = Vec::new();
    let columns = part.schema_ref().fields().iter().zip(part.columns());
    for (field, column) in columns.skip(BUILT_IN) {
        if field.name() == MORE && column.is_valid(row) {
            let more = column.as_string_opt::<i32>().map(|texts| texts.value(row));
            values.extend(More::of_text(more.unwrap_or_default()).into_values());
        } else if let Some(value) = value_at(column, row).filter(|_| !is_derived(field)) {
            let name = signal_of(field).unwrap_or(field.name());
            values.push((name.into(), value));
        }
    }
    Ok(Content {
        entity,
        micros,
        values,
    })
}
