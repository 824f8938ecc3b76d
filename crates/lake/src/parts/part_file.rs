//! A part as a Parquet object, and the list of parts.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use aws::{Lake, ObjectInfo};
use bytes::Bytes;
use contract::{CURATED, Hour, curated_prefix};
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaDataReader;

use crate::error::ReadError;
use crate::key::{commit_of, curated_hour_of};
use crate::parquet_file::{self, Layout};
use crate::parts::digest::{self, IdHashes};
use crate::parts::names::PartNames;
use crate::rows::{LongColumns, stable_hash};

/// Rows from which on a part has a digest of its ids: a smaller part is as quickly read whole.
pub const DIGEST_ROWS: usize = 10_000;

/// Keys that are asked for in one listing, for each hour that is looked for.
const KEYS_PER_HOUR: usize = 16;

/// Writes a part, row group by row group, so that its rows need not be in memory at the same time. The file itself
/// is.
pub struct PartWriter {
    file: ArrowWriter<Vec<u8>>,
    /// The hash of each id.
    ids: Vec<u64>,
    /// Of a long kind alone.
    names: Option<PartNames>,
}

impl PartWriter {
    /// A part without rows; all that come have this schema, and there are `most_rows` of them at most. A part of few
    /// rows has its values as they are: 24 signals of one event are written in a third of the time.
    ///
    /// # Errors
    ///
    /// None that could be caused by data: Parquet's own.
    pub fn new(schema: SchemaRef, most_rows: usize) -> Result<PartWriter, ParquetError> {
        let layout = Layout {
            // Entity and time: the second and third column.
            sorted_by: &[1, 2],
            distinct: &["event_id"],
            notes: Vec::new(),
            is_small: most_rows <= parquet_file::FEW,
        };
        let names = LongColumns::of(&schema).map(PartNames::new);
        Ok(PartWriter {
            file: parquet_file::writer(schema, layout)?,
            ids: Vec::new(),
            names,
        })
    }

    /// Appends the batch of an [`HourRows`](crate::rows::HourRows) as a row group.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), ParquetError> {
        let ids: &StringArray = parquet_file::column(rows, "event_id")?;
        self.ids.extend(ids.iter().flatten().map(stable_hash));
        if let Some(names) = &mut self.names {
            names.add(rows)?;
        }
        self.file.write(rows)?;
        self.file.flush()
    }

    /// The file.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn finish(mut self) -> Result<Bytes, ParquetError> {
        if self.ids.len() >= DIGEST_ROWS {
            let (digest, bits) = IdHashes::of_hashes(self.ids).digest();
            let entry = digest::entry(self.file.bytes_written(), &digest, bits);
            self.file.write_all(&digest)?;
            self.file.append_key_value_metadata(entry);
        }
        if let Some(entry) = self.names.and_then(|names| names.entry()) {
            self.file.append_key_value_metadata(entry);
        }
        Ok(self.file.into_inner()?.into())
    }
}

/// The batch of [`HourRows::into_batch`](crate::rows::HourRows::into_batch) as a part of one row group.
///
/// # Errors
///
/// None that could be caused by data: Parquet's own.
pub fn to_parquet(rows: &RecordBatch) -> Result<Bytes, ParquetError> {
    let mut part = PartWriter::new(rows.schema(), rows.num_rows())?;
    part.write(rows)?;
    part.finish()
}

/// The ids of a part, in the order of its rows.
///
/// # Errors
///
/// If the file is no part.
pub fn ids(file: Bytes) -> Result<StringArray, ParquetError> {
    let batch = parquet_file::from_parquet(file, Some(&["event_id"]))?;
    parquet_file::column(&batch, "event_id").cloned()
}

/// All rows of the part of this key, which must exist.
///
/// # Errors
///
/// [`ReadError::Missing`] if it does not.
pub async fn read(lake: &Lake, key: &str) -> Result<RecordBatch, ReadError> {
    let file = get(lake, key).await?;
    parquet_file::from_parquet(file, None).map_err(|error| broken(key, error))
}

/// Gives the rows of each row group of the part of this key, which must exist, to `take`, so that beside the file the
/// rows of one row group are in memory.
///
/// # Errors
///
/// [`ReadError::Missing`] if the part does not exist; [`ReadError::Content`] for an error of `take` too.
pub async fn each_row_group(
    lake: &Lake,
    key: &str,
    mut take: impl FnMut(&RecordBatch) -> Result<(), ParquetError>,
) -> Result<(), ReadError> {
    let groups = parquet_file::row_groups(get(lake, key).await?);
    let taken = groups.and_then(|mut groups| groups.try_for_each(|rows| take(&rows?)));
    taken.map_err(|error| broken(key, error))
}

/// A part without rows, in the columns of the part of this key, which must exist.
///
/// # Errors
///
/// [`ReadError::Missing`] if it does not.
pub async fn emptied(lake: &Lake, key: &str) -> Result<Bytes, ReadError> {
    let schema = parquet_file::schema(get(lake, key).await?);
    let empty = schema.and_then(|schema| to_parquet(&RecordBatch::new_empty(schema)));
    empty.map_err(|error| broken(key, error))
}

/// The part with those of its rows alone for which `stays` says so.
///
/// # Errors
///
/// If the file is no part.
pub fn filtered(file: Bytes, stays: &BooleanArray) -> Result<Bytes, ParquetError> {
    // What an earlier file says of itself must not stand in this one.
    let schema = parquet_file::schema(file.clone())?;
    let schema = Arc::new(Schema::new(schema.fields().clone()));
    let mut part = PartWriter::new(schema.clone(), stays.true_count())?;
    let mut start = 0;
    for rows in parquet_file::row_groups(file)? {
        let rows = rows?;
        let of_group = stays.slice(start, rows.num_rows());
        start += rows.num_rows();
        if of_group.true_count() > 0 {
            let rows = filter_record_batch(&rows, &of_group)?;
            part.write(&RecordBatch::try_new(
                schema.clone(),
                rows.columns().to_vec(),
            )?)?;
        }
    }
    if stays.true_count() == 0 {
        part.write(&RecordBatch::new_empty(schema))?;
    }
    part.finish()
}

/// Whether a part whose file ends with these bytes may have rows of the entity: not if its footer, which must be among
/// them, says of each row group that its entities are other ones.
pub fn may_have_entity(end: &[u8], entity: &str) -> bool {
    let footer = || {
        let (before, tail) = end.split_last_chunk::<8>()?;
        let length = u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]) as usize;
        let footer = &before[before.len().checked_sub(length)?..];
        ParquetMetaDataReader::decode_metadata(footer).ok()
    };
    let Some(metadata) = footer() else {
        return true;
    };
    let mut groups = metadata.row_groups().iter();
    groups.any(|group| {
        let mut columns = group.columns().iter();
        let column = columns.find(|column| column.column_path().string() == "entity_id");
        let bounds = column.and_then(|column| {
            let statistics = column.statistics()?;
            Some((statistics.min_bytes_opt()?, statistics.max_bytes_opt()?))
        });
        bounds.is_none_or(|(least, most)| least <= entity.as_bytes() && entity.as_bytes() <= most)
    })
}

async fn get(lake: &Lake, key: &str) -> Result<Bytes, ReadError> {
    let object = lake.get(key).await?;
    let missing = || ReadError::Missing(format!("`{key}` is there and cannot be read"));
    Ok(object.ok_or_else(missing)?.body)
}

fn broken(key: &str, error: ParquetError) -> ReadError {
    ReadError::Content(format!("`{key}`"), error.into())
}

/// The parts of these hours of a kind by commits before `commit`, in the order of commits; hours without one are left
/// out. One request finds the parts of neighbouring hours: there are as many as a listing of these hours needs, and
/// at most one for each hour and thousand parts.
///
/// # Errors
///
/// If the lake cannot be listed.
pub async fn before(
    lake: &Lake,
    kind: &str,
    hours: impl IntoIterator<Item = Hour>,
    commit: u64,
) -> Result<BTreeMap<Hour, Vec<ObjectInfo>>, ReadError> {
    let mut found: BTreeMap<Hour, Vec<ObjectInfo>> = BTreeMap::new();
    let mut wanted: Vec<Hour> = hours.into_iter().collect();
    wanted.sort_unstable();
    wanted.dedup();
    let prefix = format!("{CURATED}kind={kind}/");
    let mut at = 0;
    let mut after: Option<String> = None;
    while let Some(hour) = wanted.get(at) {
        // `/` ends the prefix of the hour, and every key of the hour sorts after it.
        let start = after.take().unwrap_or_else(|| curated_prefix(kind, *hour));
        let most = (wanted.len() - at) * KEYS_PER_HOUR;
        let (listed, more) = lake.list_some(&prefix, Some(&start), most).await?;
        let last = listed.last().map(|object| object.key.clone());
        for object in listed {
            let Some((_, hour)) = curated_hour_of(&object.key) else {
                continue;
            };
            while wanted.get(at).is_some_and(|wanted| *wanted < hour) {
                at += 1;
            }
            let is_earlier = commit_of(&object.key).is_some_and(|other| other < commit);
            if wanted.get(at) == Some(&hour) && is_earlier {
                found.entry(hour).or_default().push(object);
            }
        }
        let Some(last) = last.filter(|_| more) else {
            break;
        };
        // The next listing begins where this one ended, or at the next hour if that is further.
        let next = wanted.get(at).map(|hour| curated_prefix(kind, *hour));
        after = next.map(|next| next.max(last));
    }
    for parts in found.values_mut() {
        parts.sort_by_key(|part| commit_of(&part.key));
    }
    Ok(found)
}

/// The parts of a kind's hours from `first` to `last`, this one included, by whatever commit, in the order of commits;
/// hours without one are left out. One request for each thousand keys that lie there.
///
/// # Errors
///
/// If the lake cannot be listed.
pub async fn between(
    lake: &Lake,
    kind: &str,
    first: Hour,
    last: Hour,
) -> Result<BTreeMap<Hour, Vec<ObjectInfo>>, ReadError> {
    let mut found: BTreeMap<Hour, Vec<ObjectInfo>> = BTreeMap::new();
    let prefix = format!("{CURATED}kind={kind}/");
    // `/` ends the prefix of the hour, and every key of the hour sorts after it.
    let mut after = curated_prefix(kind, first);
    let hours = (last.start() - first.start()).num_hours() + 1;
    let most = usize::try_from(hours).map_or(1, |hours| hours.saturating_mul(KEYS_PER_HOUR));
    loop {
        let (listed, more) = lake.list_some(&prefix, Some(&after), most).await?;
        let end = listed.last().map(|object| object.key.clone());
        for object in listed {
            let Some((_, hour)) = curated_hour_of(&object.key) else {
                continue;
            };
            if hour > last {
                return Ok(found);
            }
            if commit_of(&object.key).is_some() {
                found.entry(hour).or_default().push(object);
            }
        }
        match end {
            Some(end) if more => after = end,
            _ => return Ok(found),
        }
    }
}

/// The first hour after `hour` of which the kind has a part, by whatever commit; without `hour`, the first of all. One
/// request.
///
/// # Errors
///
/// If the lake cannot be listed.
pub async fn first_after(
    lake: &Lake,
    kind: &str,
    hour: Option<Hour>,
) -> Result<Option<Hour>, ReadError> {
    let prefix = format!("{CURATED}kind={kind}/");
    // `0` sorts after `/`: the keys of the hour itself are passed over.
    let mut after = hour.map(|hour| format!("{prefix}{hour}0"));
    loop {
        let (listed, more) = lake.list_some(&prefix, after.as_deref(), 1).await?;
        let Some(object) = listed.into_iter().next() else {
            return Ok(None);
        };
        let part = curated_hour_of(&object.key).filter(|_| commit_of(&object.key).is_some());
        match part {
            Some((_, hour)) => return Ok(Some(hour)),
            None if more => after = Some(object.key),
            None => return Ok(None),
        }
    }
}
