//! Curated parts as Parquet: written, and read back.

use std::collections::HashSet;

use arrow::array::{
    Array, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, TimeUnit, TimestampMicrosecondType};
use bytes::Bytes;
use contract::Scalar;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{KeyValue, PageIndexPolicy, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::rows::columns::SIGNAL;
use crate::rows::group::Content;

/// The batch as a Parquet file: zstd, statistics for each page, its first columns' order noted.
/// The columns of `distinct` hardly repeat a value: a dictionary of them would be built and
/// thrown away. `notes` stand in the file's own metadata.
pub fn to_parquet(
    batch: &RecordBatch,
    sorted_by: &[i32],
    distinct: &[&str],
    notes: Vec<KeyValue>,
) -> Result<Bytes> {
    let sorting = sorted_by
        .iter()
        .map(|column| SortingColumn {
            column_idx: *column,
            descending: false,
            nulls_first: false,
        })
        .collect();
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_sorting_columns(Some(sorting))
        .set_key_value_metadata(Some(notes))
        .set_created_by(concat!("headwater ", env!("CARGO_PKG_VERSION")).to_owned());
    for field in batch.schema().fields() {
        let path = ColumnPath::from(field.name().as_str());
        match field.data_type() {
            // Times of sorted rows differ little from one to the next.
            DataType::Timestamp(..) => {
                properties = properties
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
            }
            DataType::Binary => {
                properties = properties
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_statistics_enabled(path, EnabledStatistics::None);
            }
            _ if distinct.contains(&field.name().as_str()) => {
                properties = properties.set_column_dictionary_enabled(path, false);
            }
            _ => {}
        }
    }
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties.build()))?;
    writer.write(batch)?;
    Ok(writer.into_inner()?.into())
}

/// All rows of a Parquet file; `columns` limits them to those named.
pub fn from_parquet(file: Bytes, columns: Option<&[&str]>) -> Result<RecordBatch> {
    let mut builder = ParquetRecordBatchReaderBuilder::try_new(file)?.with_batch_size(64 * 1024);
    if let Some(columns) = columns {
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
        builder = builder.with_projection(mask);
    }
    read(builder)
}

fn read(builder: ParquetRecordBatchReaderBuilder<Bytes>) -> Result<RecordBatch> {
    let reader = builder.build()?;
    let schema = arrow::array::RecordBatchReader::schema(&reader);
    let batches = reader.collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(concat_batches(&schema, &batches)?)
}

/// The ids of a part, in the order of its rows.
pub fn ids(file: Bytes) -> Result<StringArray> {
    let batch = from_parquet(file, Some(&["event_id"]))?;
    Ok(text_column(&batch, "event_id")?.clone())
}

/// These rows of a Parquet file, which ascend. Pages that hold none of them are not unpacked.
pub fn rows(file: Bytes, rows: &[u32]) -> Result<RecordBatch> {
    let options = ArrowReaderOptions::new().with_offset_index_policy(PageIndexPolicy::Optional);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)?;
    let all = builder.metadata().file_metadata().num_rows() as usize;
    let wanted = rows.iter().map(|row| *row as usize..*row as usize + 1);
    let selection = RowSelection::from_consecutive_ranges(wanted, all);
    read(builder.with_row_selection(selection))
}

/// The named column, which must hold text.
pub fn text_column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray> {
    batch
        .column_by_name(name)
        .and_then(|column| column.as_string_opt::<i32>())
        .ok_or_else(|| ParquetError::General(format!("the part has no text column `{name}`")))
}

/// Whether the row of a curated part says the same: entity, time to the microsecond, fields and
/// signals; when it was received does not count.
pub fn has_content(batch: &RecordBatch, row: usize, content: &Content<'_>) -> bool {
    let entity = text_column(batch, "entity_id").map(|column| column.value(row));
    let time = batch
        .column_by_name("event_time")
        .filter(|column| {
            *column.data_type() == DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
        })
        .map(|column| column.as_primitive::<TimestampMicrosecondType>().value(row));
    if entity.ok() != Some(content.entity) || time != Some(content.micros) {
        return false;
    }
    let expected: HashSet<String> = content
        .values
        .iter()
        .map(|(name, value)| format!("{}={}", name.to_ascii_lowercase(), shown(value)))
        .collect();
    let schema = batch.schema();
    let stored = schema
        .fields()
        .iter()
        .enumerate()
        .skip(4)
        .filter_map(|(at, field)| {
            let column = batch.column(at);
            (!column.is_null(row)).then(|| {
                format!(
                    "{}={}",
                    signal_of(field).to_ascii_lowercase(),
                    value_at(column.as_ref(), row)
                )
            })
        });
    stored.collect::<HashSet<_>>() == expected
}

/// The signal whose values the column holds, or the column's own name.
pub fn signal_of(field: &Field) -> &str {
    field
        .metadata()
        .get(SIGNAL)
        .map_or(field.name(), String::as_str)
}

fn shown(value: &Scalar<'_>) -> String {
    match value {
        Scalar::Bool(value) => value.to_string(),
        Scalar::Number(value) => value.to_string(),
        Scalar::Text(value) => format!("{value:?}"),
    }
}

fn value_at(column: &dyn Array, row: usize) -> String {
    let any = column.as_any();
    if let Some(column) = any.downcast_ref::<Float64Array>() {
        column.value(row).to_string()
    } else if let Some(column) = any.downcast_ref::<Int64Array>() {
        (column.value(row) as f64).to_string()
    } else if let Some(column) = any.downcast_ref::<BooleanArray>() {
        column.value(row).to_string()
    } else if let Some(column) = any.downcast_ref::<StringArray>() {
        format!("{:?}", column.value(row))
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn some_rows_of_many_pages_are_those_of_the_whole() {
        let ids: StringArray = (0..70_000).map(|row| Some(format!("id-{row}"))).collect();
        let batch = RecordBatch::try_from_iter([("event_id", Arc::new(ids) as _)]).unwrap();
        let file = to_parquet(&batch, &[0], &["event_id"], Vec::new()).unwrap();
        let some = rows(file, &[0, 1, 20_000, 69_999]).unwrap();
        let some = text_column(&some, "event_id").unwrap();
        let some: Vec<_> = some.iter().flatten().collect();
        assert_eq!(some, ["id-0", "id-1", "id-20000", "id-69999"]);
    }
}
