//! The rows of a curated part.

use std::fmt::Write;

use arrow::array::{
    Array, AsArray, BooleanArray, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use contract::{CURATED, Hour, Kind, Kinds, format_millis};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::columns::{
    ENTITY_ID, EVENT_ID, EVENT_TIME, MORE, RECEIVED_AT, converted, full_column, is_built_in,
    is_text, utc,
};
use crate::content::{ContentHash, ContentHasher};
use crate::error::JudgeError;
use crate::identity::{Identity, kind_number};

/// A row of a curated part.
pub struct CuratedRow<'a> {
    /// Kind, event hour and id of the row's event.
    pub identity: Identity,
    pub(crate) content: ContentHash,
    pub(crate) received_at: Option<DateTime<Utc>>,
    /// Whether the row's event time lies outside the hour of the part.
    pub(crate) misplaced: bool,
    columns: &'a PartColumns,
    row: usize,
}

impl CuratedRow<'_> {
    /// The row for a reader: `entity veh-1, time …, engine_rpm=2150`.
    pub(crate) fn shown(&self) -> String {
        let time = DateTime::from_timestamp_micros(self.columns.times.value(self.row));
        let mut text = format!(
            "entity {}, time {}",
            self.columns.entities.value(self.row),
            time.map_or_else(|| "?".to_owned(), format_millis)
        );
        for (name, values) in &self.columns.others {
            // Writing to a `String` cannot fail.
            let _ = match values {
                ColumnValues::Text(values) if values.is_valid(self.row) => {
                    write!(text, ", {name}={:?}", values.value(self.row))
                }
                ColumnValues::Number(values) if values.is_valid(self.row) => {
                    write!(text, ", {name}={}", values.value(self.row))
                }
                ColumnValues::Boolean(values) if values.is_valid(self.row) => {
                    write!(text, ", {name}={}", values.value(self.row))
                }
                _ => Ok(()),
            };
        }
        text
    }
}

/// The columns of one batch of rows.
struct PartColumns {
    ids: StringArray,
    entities: StringArray,
    times: TimestampMicrosecondArray,
    received: TimestampMicrosecondArray,
    others: Vec<(String, ColumnValues)>,
}

enum ColumnValues {
    Text(StringArray),
    Number(Float64Array),
    Boolean(BooleanArray),
}

/// Hands each row of the part to `each`.
///
/// # Errors
///
/// [`JudgeError`] if the key names no declared kind and no hour, or the object is not Parquet with
/// the columns of `curated/`.
pub fn read(
    kinds: &Kinds,
    key: &str,
    file: Bytes,
    mut each: impl FnMut(CuratedRow<'_>),
) -> Result<(), JudgeError> {
    let failed = |reason: String| JudgeError::Curated {
        key: key.to_owned(),
        reason,
    };
    let (kind, hour) = partition(key)
        .ok_or_else(|| failed("its key does not name kind and event hour".to_owned()))?;
    let unknown = || JudgeError::UnknownKind {
        kind: kind.to_owned(),
    };
    let declared = kinds.get(kind).ok_or_else(unknown)?;
    let kind = kind_number(kinds, kind).ok_or_else(unknown)?;
    let batches = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .map_err(|error| failed(error.to_string()))?;
    let mut sum = ContentHasher::default();
    for batch in batches {
        let batch = batch.map_err(|error| failed(error.to_string()))?;
        let columns = PartColumns::of(&batch, declared).map_err(failed)?;
        for row in 0..batch.num_rows() {
            let time = DateTime::from_timestamp_micros(columns.times.value(row))
                .ok_or_else(|| failed(format!("row {row}: its event time is no time")))?;
            let own_hour = Hour::of(time);
            each(CuratedRow {
                identity: Identity::new(kind, own_hour, columns.ids.value(row)),
                content: columns.content(row, &mut sum),
                received_at: DateTime::from_timestamp_micros(columns.received.value(row)),
                misplaced: own_hour != hour,
                columns: &columns,
                row,
            });
        }
    }
    Ok(())
}

/// Kind and event hour of a part's key; `None` if it is not the key of a part.
fn partition(key: &str) -> Option<(&str, Hour)> {
    let (kind, rest) = key
        .strip_prefix(CURATED)?
        .strip_prefix("kind=")?
        .split_once('/')?;
    Some((kind, Hour::parse(rest)?))
}

impl PartColumns {
    /// Columns of derived signals are left out: they follow from the rest, and no sender says them.
    fn of(batch: &RecordBatch, kind: &Kind) -> Result<PartColumns, String> {
        let mut others = Vec::new();
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            let name = field.name().as_str();
            if is_built_in(name) || kind.derived_signal(name).is_some() {
                continue;
            }
            let values = match column.data_type() {
                DataType::Null => continue,
                DataType::Boolean => ColumnValues::Boolean(column.as_boolean().clone()),
                number if number.is_numeric() => ColumnValues::Number(
                    converted(name, column, &DataType::Float64)?
                        .as_primitive()
                        .clone(),
                ),
                text if is_text(text) => ColumnValues::Text(
                    converted(name, column, &DataType::Utf8)?
                        .as_string()
                        .clone(),
                ),
                other => return Err(format!("column `{name}` is {other}: no field or signal is")),
            };
            others.push((name.to_owned(), values));
        }
        let text =
            |name| full_column(batch, name, &DataType::Utf8).map(|c| c.as_string::<i32>().clone());
        let time = |name| {
            let column = full_column(batch, name, &utc(TimeUnit::Microsecond))?;
            Ok::<_, String>(column.as_primitive::<TimestampMicrosecondType>().clone())
        };
        Ok(PartColumns {
            ids: text(EVENT_ID)?,
            entities: text(ENTITY_ID)?,
            times: time(EVENT_TIME)?,
            received: time(RECEIVED_AT)?,
            others,
        })
    }

    fn content(&self, row: usize, sum: &mut ContentHasher) -> ContentHash {
        sum.entity(self.entities.value(row));
        sum.time(self.times.value(row));
        for (name, values) in &self.others {
            match values {
                ColumnValues::Text(values) if values.is_valid(row) && name == MORE => {
                    sum.more(values.value(row));
                }
                ColumnValues::Text(values) if values.is_valid(row) => {
                    sum.text(name, values.value(row))
                }
                ColumnValues::Number(values) if values.is_valid(row) => {
                    sum.number(name, values.value(row));
                }
                ColumnValues::Boolean(values) if values.is_valid(row) => {
                    sum.boolean(name, values.value(row));
                }
                _ => {}
            }
        }
        sum.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_read_from_the_key() {
        let hour = Hour::of("2025-10-04T12:00:00Z".parse().unwrap());
        assert_eq!(
            partition(&contract::curated_key("cell", hour, 3)),
            Some(("cell", hour))
        );
        assert_eq!(partition("curated/cell/year=2025/x.parquet"), None);
        assert_eq!(partition("raw/year=2025/month=10/day=04/hour=12/x"), None);
    }

    #[test]
    fn what_is_not_a_part_is_an_error_that_names_it() {
        let kinds = Kinds::builtin();
        let hour = Hour::of("2025-10-04T12:00:00Z".parse().unwrap());
        let key = contract::curated_key("cell", hour, 3);
        let error = read(&kinds, &key, Bytes::from_static(b"nonsense"), |_| {}).unwrap_err();
        assert!(error.to_string().contains(&key), "{error}");
        let ship = key.replace("cell", "ship");
        let error = read(&kinds, &ship, Bytes::new(), |_| {}).unwrap_err();
        assert!(
            error.to_string().contains("`ship` is not declared"),
            "{error}"
        );
    }
}
