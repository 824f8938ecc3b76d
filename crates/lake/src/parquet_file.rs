//! Parquet as all files of the lake are written and read: zstd, statistics for each page; of few rows the values alone.

use arrow::array::{Array, RecordBatch, RecordBatchReader};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, SchemaRef};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{KeyValue, PageIndexPolicy, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

/// Most rows of a file whose values are stored as they are. A codec of zstd takes longer to make than so few values take
/// to be written, and each column has one; and few values hardly get smaller.
pub(crate) const FEW: usize = 32;

/// How rows become a file.
#[derive(Default)]
pub(crate) struct Layout<'a> {
    /// Indexes of the columns that the rows of a row group are sorted by.
    pub(crate) sorted_by: &'a [i32],
    /// Columns that hardly repeat a value: a dictionary of them would be built and thrown away.
    pub(crate) distinct: &'a [&'a str],
    /// Go into the file's own metadata.
    pub(crate) notes: Vec<KeyValue>,
    /// Whether the file has [`FEW`] rows at most: it gets no compression, dictionaries and page indexes, of which each
    /// column would have its own.
    pub(crate) is_small: bool,
}

/// The batch as a Parquet file.
pub(crate) fn to_parquet(batch: &RecordBatch, layout: Layout<'_>) -> Result<Bytes> {
    let mut writer = writer(batch.schema(), layout)?;
    writer.write(batch)?;
    Ok(writer.into_inner()?.into())
}

/// A writer of a Parquet file, for rows of that schema.
pub(crate) fn writer(schema: SchemaRef, layout: Layout<'_>) -> Result<ArrowWriter<Vec<u8>>> {
    let Layout {
        sorted_by,
        distinct,
        notes,
        is_small,
    } = layout;
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
    if is_small {
        properties = properties
            .set_compression(Compression::UNCOMPRESSED)
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true);
    }
    for field in schema.fields() {
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
    ArrowWriter::try_new(Vec::new(), schema, Some(properties.build()))
}

/// The columns of a Parquet file.
pub(crate) fn schema(file: Bytes) -> Result<SchemaRef> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
    Ok(builder.schema().clone())
}

/// What the file's own metadata says.
pub(crate) fn notes(file: &Bytes) -> Result<Vec<KeyValue>> {
    let metadata = ArrowReaderMetadata::load(file, ArrowReaderOptions::new())?;
    let notes = metadata.metadata().file_metadata().key_value_metadata();
    Ok(notes.cloned().unwrap_or_default())
}

/// The rows of each row group of a Parquet file, in order.
pub(crate) fn row_groups(file: Bytes) -> Result<impl Iterator<Item = Result<RecordBatch>>> {
    let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())?;
    let groups = 0..metadata.metadata().num_row_groups();
    Ok(groups.map(move |group| {
        let (file, metadata) = (file.clone(), metadata.clone());
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
        let rows = builder.metadata().row_group(group).num_rows() as usize;
        read(builder.with_row_groups(vec![group]).with_batch_size(rows))
    }))
}

/// All rows of a Parquet file, in order; `columns` names the only ones to read.
pub(crate) fn from_parquet(file: Bytes, columns: Option<&[&str]>) -> Result<RecordBatch> {
    let mut builder = ParquetRecordBatchReaderBuilder::try_new(file)?.with_batch_size(64 * 1024);
    if let Some(columns) = columns {
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
        builder = builder.with_projection(mask);
    }
    read(builder)
}

fn read(builder: ParquetRecordBatchReaderBuilder<Bytes>) -> Result<RecordBatch> {
    let reader = builder.build()?;
    let schema = reader.schema();
    let batches = reader.collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(concat_batches(&schema, &batches)?)
}

/// The rows of a Parquet file at these ascending indexes; pages without any of them are not decompressed.
pub fn some_rows(file: Bytes, rows: &[u32]) -> Result<RecordBatch> {
    let options = ArrowReaderOptions::new().with_offset_index_policy(PageIndexPolicy::Optional);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)?;
    let all = builder.metadata().file_metadata().num_rows() as usize;
    let wanted = rows.iter().map(|row| *row as usize..*row as usize + 1);
    let selection = RowSelection::from_consecutive_ranges(wanted, all);
    read(builder.with_row_selection(selection))
}

/// The named column, which must be an array of type `A`.
pub(crate) fn column<'a, A: Array + 'static>(batch: &'a RecordBatch, name: &str) -> Result<&'a A> {
    let column = batch.column_by_name(name);
    let column = column.and_then(|column| column.as_any().downcast_ref());
    column.ok_or_else(|| ParquetError::General(format!("no column `{name}` of the right type")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::StringArray;

    use super::*;

    #[test]
    fn some_rows_of_many_pages_are_those_of_the_whole() {
        let ids: StringArray = (0..70_000).map(|row| Some(format!("id-{row}"))).collect();
        let batch = RecordBatch::try_from_iter([("event_id", Arc::new(ids) as _)]).unwrap();
        let file = to_parquet(&batch, Layout::default()).unwrap();
        let some = some_rows(file, &[0, 1, 20_000, 69_999]).unwrap();
        let some = column::<StringArray>(&some, "event_id").unwrap();
        let some: Vec<_> = some.iter().flatten().collect();
        assert_eq!(some, ["id-0", "id-1", "id-20000", "id-69999"]);
    }
}
