//! The columns of a Parquet object, read by their names alone: nothing here is shared with the code that wrote them.

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};

/// Columns that every part of `curated/` has, whatever its kind.
pub(crate) const EVENT_ID: &str = "event_id";
pub(crate) const ENTITY_ID: &str = "entity_id";
pub(crate) const EVENT_TIME: &str = "event_time";
pub(crate) const RECEIVED_AT: &str = "ingest_received_at";

/// Who sent the event: parts of older releases do not have it.
pub(crate) const SENDER: &str = "sender";

/// The column that holds, as a JSON object, the values of signals without a column of their own.
pub(crate) const MORE: &str = "_more";

/// What a column's name ends in when it holds the values of a signal that have another type than
/// the signal's own column.
const TYPE_SUFFIXES: [&str; 4] = ["__number", "__integer", "__bool", "__text"];

/// Whether the column is one that every part has.
pub(crate) fn is_built_in(name: &str) -> bool {
    [EVENT_ID, ENTITY_ID, EVENT_TIME, RECEIVED_AT, SENDER].contains(&name)
}

/// The name without the suffix of a type; `None` where it has no such suffix.
pub(crate) fn without_type(name: &str) -> Option<&str> {
    TYPE_SUFFIXES
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
}

/// Whether the column holds texts, in whichever form.
pub(crate) fn is_text(r#type: &DataType) -> bool {
    matches!(
        r#type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..)
    )
}

/// The type of times in UTC.
pub(crate) fn utc(unit: TimeUnit) -> DataType {
    DataType::Timestamp(unit, Some("UTC".into()))
}

/// The named column as that type; it may have gaps.
pub(crate) fn column(
    batch: &RecordBatch,
    name: &str,
    r#type: &DataType,
) -> Result<ArrayRef, String> {
    let column = batch
        .column_by_name(name)
        .ok_or_else(|| format!("it has no column `{name}`"))?;
    converted(name, column, r#type)
}

/// The named column as that type; a gap in it is an error.
pub(crate) fn full_column(
    batch: &RecordBatch,
    name: &str,
    r#type: &DataType,
) -> Result<ArrayRef, String> {
    let column = column(batch, name, r#type)?;
    match column.null_count() {
        0 => Ok(column),
        nulls => Err(format!("column `{name}` is empty in {nulls} rows")),
    }
}

/// The column as that type.
pub(crate) fn converted(
    name: &str,
    column: &ArrayRef,
    r#type: &DataType,
) -> Result<ArrayRef, String> {
    cast(column, r#type).map_err(|error| format!("column `{name}`: {error}"))
}
