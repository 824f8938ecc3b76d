//! A part as a Parquet object, and the list of an hour's parts.

use arrow::array::{RecordBatch, StringArray};
use aws::{Lake, ObjectInfo};
use bytes::Bytes;
use contract::{Hour, curated_key, curated_prefix};
use parquet::errors::ParquetError;

use crate::error::ReadError;
use crate::parquet_file;

/// The batch of [`HourRows::into_batch`](crate::rows::HourRows::into_batch) as a Parquet file.
pub fn to_parquet(rows: &RecordBatch) -> Result<Bytes, ParquetError> {
    // Sorted by entity and time: the second and third column.
    parquet_file::to_parquet(rows, &[1, 2], &["event_id"], Vec::new())
}

/// The ids of a part, in the order of its rows.
pub fn ids(file: Bytes) -> Result<StringArray, ParquetError> {
    let batch = parquet_file::from_parquet(file, Some(&["event_id"]))?;
    parquet_file::column(&batch, "event_id").cloned()
}

/// All rows of the part of this key, which must exist.
pub async fn read(lake: &Lake, key: &str) -> Result<RecordBatch, ReadError> {
    let object = lake.get(key).await?;
    let missing = || ReadError::Missing(format!("`{key}` is there and cannot be read"));
    let body = object.ok_or_else(missing)?.body;
    parquet_file::from_parquet(body, None)
        .map_err(|error| ReadError::Content(format!("`{key}`"), error.into()))
}

/// The hour's parts by commits before `commit`, in the order of commits.
pub async fn before(
    lake: &Lake,
    kind: &str,
    hour: Hour,
    commit: u64,
) -> Result<Vec<ObjectInfo>, ReadError> {
    let end = curated_key(kind, hour, commit);
    let mut parts = lake.list(&curated_prefix(kind, hour), None).await?;
    parts.retain(|part| part.key.ends_with(".parquet") && part.key < end);
    Ok(parts)
}
