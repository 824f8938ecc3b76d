//! Parquet of few rows: the values, and little else.

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::Result;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::parquet_file::FEW;

/// The batch as a Parquet file without statistics, page indexes and the copy of its schema in Arrow's own form, which
/// says nothing of these types that Parquet's does not. Texts have a dictionary, since they repeat. `notes` go into the
/// file's own metadata.
pub(super) fn write(batch: &RecordBatch, notes: Vec<KeyValue>) -> Result<Bytes> {
    let compression = if batch.num_rows() <= FEW {
        Compression::UNCOMPRESSED
    } else {
        Compression::ZSTD(ZstdLevel::try_new(3)?)
    };
    let mut properties = WriterProperties::builder()
        .set_compression(compression)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true)
        .set_dictionary_enabled(false)
        .set_key_value_metadata(Some(notes))
        .set_created_by(concat!("headwater ", env!("CARGO_PKG_VERSION")).to_owned());
    for field in batch.schema().fields() {
        let path = ColumnPath::from(field.name().as_str());
        properties = match field.data_type() {
            DataType::Timestamp(..) => {
                properties.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED)
            }
            DataType::Utf8 => properties.set_column_dictionary_enabled(path, true),
            _ => properties,
        };
    }
    let options = ArrowWriterOptions::new()
        .with_properties(properties.build())
        .with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), batch.schema(), options)?;
    writer.write(batch)?;
    Ok(writer.into_inner()?.into())
}
