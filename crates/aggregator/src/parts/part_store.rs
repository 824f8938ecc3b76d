//! Reads the parts of earlier commits, and writes those of one commit.

use anyhow::Context;
use arrow::array::RecordBatch;
use aws::{ByteRange, Condition, Lake, ObjectInfo, PutOutcome};
use bytes::Bytes;
use contract::Kind;
use futures::{StreamExt, TryStreamExt, stream};
use lake::aggregates::Aggregates;
use lake::parts::{self, DIGEST_ROWS, IdHashes, Meeting, PartWriter};

use crate::planted_defects;
use crate::put::put;

/// Parts that are read ahead.
const READ_AHEAD: usize = 4;

/// Parts up to this size are read whole: a smaller one has no digest of its ids.
const WHOLE_BYTES: u64 = 16 * DIGEST_ROWS as u64;

/// A digest takes about a sixth of its part; what stands behind it fits here.
const FOOTER_BYTES: u64 = 128 * 1024;

/// A part ready to be put.
pub(crate) struct FinishedPart {
    pub(crate) file: Bytes,
    pub(crate) events: u64,
    pub(crate) aggregates: Aggregates,
}

/// A part that grows by row groups.
pub(crate) struct UnfinishedPart {
    file: PartWriter,
    events: u64,
    aggregates: Aggregates,
}

impl UnfinishedPart {
    /// A part with the columns of these rows, which will have `most_rows` rows at most and has none yet.
    pub(crate) fn new(rows: &RecordBatch, most_rows: usize) -> anyhow::Result<UnfinishedPart> {
        Ok(UnfinishedPart {
            file: PartWriter::new(rows.schema(), most_rows)?,
            events: 0,
            aggregates: Aggregates::default(),
        })
    }

    /// Appends the rows as a row group.
    pub(crate) fn write(&mut self, rows: &RecordBatch, kind: &Kind) -> anyhow::Result<()> {
        self.file.write(rows)?;
        add(&mut self.aggregates, Aggregates::of(rows, kind)?);
        self.events += rows.num_rows() as u64;
        Ok(())
    }

    pub(crate) fn finish(self) -> anyhow::Result<FinishedPart> {
        Ok(FinishedPart {
            file: self.file.finish()?,
            events: self.events,
            aggregates: self.aggregates,
        })
    }
}

/// The parts as one commit sees and writes them.
#[derive(Clone, Copy)]
pub(crate) struct PartStore<'a> {
    pub(crate) lake: &'a Lake,
    /// Whether a part of this commit that exists is overwritten, or kept as it is.
    pub(crate) overwrite: bool,
}

impl PartStore<'_> {
    /// Those of the `earlier` parts that may hold one of the ids, read whole, with their keys.
    pub(crate) async fn with_common_ids(
        &self,
        earlier: &[ObjectInfo],
        ids: &IdHashes,
    ) -> anyhow::Result<Vec<(String, Bytes)>> {
        if planted_defects::skip_id_check() {
            return Ok(Vec::new());
        }
        let reads = earlier.iter().map(|part| self.read_if_common(part, ids));
        let reads: Vec<_> = reads.collect();
        let read = stream::iter(reads).buffered(READ_AHEAD);
        let read: Vec<_> = read.try_collect().await?;
        Ok(read.into_iter().flatten().collect())
    }

    async fn read_if_common(
        &self,
        part: &ObjectInfo,
        ids: &IdHashes,
    ) -> anyhow::Result<Option<(String, Bytes)>> {
        let key = &part.key;
        let gone = || format!("`{key}` was listed and is gone");
        let mut length = part.size / 5 + FOOTER_BYTES;
        while part.size > WHOLE_BYTES && length < part.size {
            let end = self.lake.get_some(key, ByteRange::Last(length)).await?;
            let end = end.with_context(gone)?;
            if end.etag != part.etag {
                // A rebuild has replaced the part.
                break;
            }
            let meeting = parts::meeting(ids, &end.body, part.size);
            match meeting.with_context(|| format!("cannot read `{key}`"))? {
                Meeting::None => return Ok(None),
                Meeting::Possible => break,
                Meeting::Needs(bytes) => length = bytes,
            }
        }
        let object = self.lake.get(key).await?.with_context(gone)?;
        Ok(Some((key.clone(), object.body)))
    }

    /// Puts the part, and returns the number of its events and their statistics: those of the part that exists if that
    /// is kept.
    pub(crate) async fn put(
        &self,
        key: &str,
        kind: &Kind,
        finished: FinishedPart,
    ) -> anyhow::Result<(u64, Aggregates)> {
        let key = planted_defects::name_part(self.lake, key.to_owned()).await?;
        match self.put_file(&key, finished.file, finished.events).await? {
            PutOutcome::Written(_) => Ok((finished.events, finished.aggregates)),
            PutOutcome::ConditionFailed => self.counted(&key, kind).await,
        }
    }

    /// Number of events of a part that exists, and their statistics.
    pub(crate) async fn counted(
        &self,
        key: &str,
        kind: &Kind,
    ) -> anyhow::Result<(u64, Aggregates)> {
        let (mut events, mut aggregates) = (0, Aggregates::default());
        parts::each_row_group(self.lake, key, |rows| {
            events += rows.num_rows() as u64;
            add(&mut aggregates, Aggregates::of(rows, kind)?);
            Ok(())
        })
        .await?;
        Ok((events, aggregates))
    }

    /// Overwrites a part of this commit by one without rows: its events stand in other parts now.
    pub(crate) async fn empty(&self, key: &str) -> anyhow::Result<()> {
        let file = parts::emptied(self.lake, key).await?;
        self.put_file(key, file, 0).await?;
        Ok(())
    }

    async fn put_file(&self, key: &str, file: Bytes, events: u64) -> anyhow::Result<PutOutcome> {
        let condition = if self.overwrite {
            Condition::Always
        } else {
            Condition::IfAbsent
        };
        let events = Some(("events", events));
        Ok(put(self.lake, key, file, events, condition).await?)
    }
}

/// Adds the statistics of further rows; the first ones are not copied.
fn add(sum: &mut Aggregates, further: Aggregates) {
    if sum.entities.is_empty() {
        *sum = further;
    } else {
        sum.merge(&further);
    }
}
