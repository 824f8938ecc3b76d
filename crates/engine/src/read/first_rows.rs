//! The first rows of any Parquet file, read by range: whatever its size, and whoever wrote it.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use aws::{ByteRange, Lake};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use parquet::DecodeResult;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataPushDecoder};

use crate::read::part_error::PartError;
use crate::read::part_reader::coalesced;
use crate::read::sparse_file::SparseFile;
use crate::snapshot::Part;

/// Bytes at the end of the file that are read first.
const TAIL_BYTES: u64 = 64 * 1024;

/// Most bytes of a footer: that of a part with 500 columns and 100 row groups has some 5 MiB.
const MOST_FOOTER: u64 = 8 * 1024 * 1024;

/// Most bytes of a column that are read: its dictionary and first page, of at most 1 MiB each as writers make them.
const MOST_OF_COLUMN: u64 = 2 * 1024 * 1024 + 64 * 1024;

/// Most bytes of all columns together; columns past it are left out.
const MOST_BYTES: u64 = 24 * 1024 * 1024;

/// Ranges that are read at a time.
const AT_ONCE: usize = 8;

/// What the beginning of a Parquet file shows.
#[derive(Debug)]
pub struct FirstRows {
    /// Rows of the whole file, as its footer says.
    pub rows: u64,
    /// All columns.
    pub schema: SchemaRef,
    /// The first rows, of the columns that were read; the reason where they cannot be decoded.
    pub first: Result<RecordBatch, String>,
    /// Columns that were not read, because those before them take 24 MiB.
    pub left_out: usize,
}

/// Reads the footer of the Parquet file `object` and at most `most` rows from its beginning, by range: at most 8 MiB
/// of footer and 24 MiB of columns.
///
/// # Errors
///
/// If the object is gone, was replaced since it was listed, cannot be read, or has no footer of Parquet.
pub async fn first_rows(lake: &Lake, object: &Part, most: usize) -> Result<FirstRows, PartError> {
    let broken = |error: ParquetError| PartError::broken(object, error);
    let metadata = Arc::new(footer(lake, object).await?);
    let of_arrow = || ArrowReaderMetadata::try_new(metadata.clone(), ArrowReaderOptions::new());
    let plain = unbroken(of_arrow).map_err(broken)?;
    let rows = metadata.file_metadata().num_rows().max(0) as u64;
    let schema = plain.schema().clone();
    let Some(group) =
        (0..metadata.num_row_groups()).find(|at| metadata.row_group(*at).num_rows() > 0)
    else {
        return Ok(FirstRows {
            rows,
            first: Ok(RecordBatch::new_empty(schema.clone())),
            schema,
            left_out: 0,
        });
    };
    let (mut columns, mut ranges, mut bytes, mut left_out) = (Vec::new(), Vec::new(), 0, 0);
    for (at, column) in metadata.row_group(group).columns().iter().enumerate() {
        let start = column
            .dictionary_page_offset()
            .filter(|offset| *offset > 0)
            .unwrap_or(column.data_page_offset());
        let (Ok(start), Ok(length)) = (
            u64::try_from(start),
            u64::try_from(column.compressed_size()),
        ) else {
            return Err(PartError::broken(
                object,
                format!("column {at} has no place in the file"),
            ));
        };
        let length = length.min(MOST_OF_COLUMN);
        if bytes + length > MOST_BYTES {
            left_out += 1;
            continue;
        }
        bytes += length;
        columns.push(at);
        ranges.push(start..start.saturating_add(length));
    }
    let reads = coalesced(ranges).into_iter().map(async |(range, _)| {
        let body = fetch(lake, object, range.clone()).await?;
        Ok::<_, PartError>((range.start, body))
    });
    let reads: Vec<_> = reads.collect();
    let pieces: Vec<_> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
    let file = SparseFile::new(object.size, pieces);
    let decode = move || decode(file, plain, group, columns, most);
    // A file that is no sound Parquet may make the decoder panic: that ends its own task.
    let first = match tokio::task::spawn_blocking(decode).await {
        Ok(decoded) => decoded.map_err(|error| error.to_string()),
        Err(_) => Err("the decoder of Parquet broke off".to_owned()),
    };
    Ok(FirstRows {
        rows,
        schema,
        first,
        left_out,
    })
}

fn decode(
    file: SparseFile,
    metadata: ArrowReaderMetadata,
    group: usize,
    columns: Vec<usize>,
    most: usize,
) -> Result<RecordBatch, ParquetError> {
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
    let mask = ProjectionMask::leaves(builder.parquet_schema(), columns);
    let reader = builder
        .with_row_groups(vec![group])
        .with_projection(mask)
        .with_batch_size(most)
        .with_limit(most)
        .build()?;
    let schema = arrow::array::RecordBatchReader::schema(&reader);
    let batches = reader.collect::<Result<Vec<_>, _>>()?;
    Ok(concat_batches(&schema, &batches)?)
}

async fn footer(lake: &Lake, object: &Part) -> Result<ParquetMetaData, PartError> {
    let broken = |error: ParquetError| PartError::broken(object, error);
    let mut decoder = ParquetMetaDataPushDecoder::try_new(object.size)
        .map_err(broken)?
        .with_page_index_policy(PageIndexPolicy::Skip);
    let first = object.size.saturating_sub(TAIL_BYTES);
    let tail = fetch(lake, object, first..object.size).await?;
    decoder
        .push_range(first..object.size, tail)
        .map_err(broken)?;
    loop {
        match unbroken(|| decoder.try_decode()).map_err(broken)? {
            DecodeResult::Data(metadata) => return Ok(metadata),
            DecodeResult::NeedsData(ranges) => {
                let bytes: u64 = ranges
                    .iter()
                    .map(|range| range.end.saturating_sub(range.start))
                    .sum();
                if bytes > MOST_FOOTER {
                    let reason =
                        format!("its footer has {bytes} bytes: at most {MOST_FOOTER} are read");
                    return Err(PartError::broken(object, reason));
                }
                let mut bodies = Vec::new();
                for range in &ranges {
                    bodies.push(fetch(lake, object, range.clone()).await?);
                }
                decoder.push_ranges(ranges, bodies).map_err(broken)?;
            }
            DecodeResult::Finished => {
                return Err(PartError::broken(object, "its footer has no end"));
            }
        }
    }
}

/// What `work` gives; an error where it panics, as the decoder does of some footers that are none.
fn unbroken<T>(work: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(ParquetError::General(
            "the decoder of Parquet broke off".into(),
        ))
    })
}

/// These bytes of the object, as it was when it was listed.
async fn fetch(lake: &Lake, object: &Part, range: Range<u64>) -> Result<Bytes, PartError> {
    let length = range.end.saturating_sub(range.start);
    if length == 0 || range.end > object.size {
        let place = format!("bytes {} to {} are not in the file", range.start, range.end);
        return Err(PartError::broken(object, place));
    }
    let start = range.start;
    let got = lake
        .get_some(&object.key, ByteRange::From { start, length })
        .await;
    match got.map_err(|error| PartError::call(object, error))? {
        Some(got) if got.etag == object.etag && got.body.len() as u64 == length => Ok(got.body),
        Some(got) if got.etag == object.etag => Err(PartError::broken(
            object,
            "S3 gave fewer bytes than the object has",
        )),
        _ => Err(PartError::Gone(object.clone())),
    }
}
