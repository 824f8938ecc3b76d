//! Writes one kind's hour of a commit: rows come in, parts and the hour's aggregates go out.

use std::sync::Arc;

use anyhow::Context;
use arrow::array::{Array, StringArray};
use aws::{Lake, ObjectInfo};
use bytes::Bytes;
use contract::{Hour, Kind, Kinds};
use futures::{StreamExt, TryStreamExt, stream};
use lake::aggregates::Aggregates;
use lake::key::part_key;
use lake::parts::{self, IdHashes};
use lake::rows::{Bucket, Buckets, Columns, HourRows, LeftOut};
use tokio::sync::Mutex;

use crate::budget::Budget;
use crate::fold::Fold;
use crate::parts::aside::{Aside, Conflict};
use crate::parts::part_store::{PartStore, UnfinishedPart};
use crate::spill::HourBlocks;
use crate::workers::Workers;

/// Parts of an hour that are written at the same time, as far as memory allows.
const PARTS_AT_ONCE: usize = 4;

/// One kind's hour of a commit.
pub(crate) struct HourWriter<'a, 'l> {
    pub(crate) lake: &'a Lake,
    pub(crate) kinds: &'a Arc<Kinds>,
    /// Place of the kind in [`Kinds::iter`].
    pub(crate) kind: usize,
    pub(crate) declared: &'a Kind,
    pub(crate) hour: Hour,
    pub(crate) commit: u64,
    /// Keys of the commit's raw objects.
    pub(crate) inputs: &'a [String],
    /// Of every division of the commit's ids.
    pub(crate) seed: u64,
    /// How ids are divided into parts.
    pub(crate) parts: Buckets,
    /// Parts of the hour by earlier commits.
    pub(crate) earlier: Vec<ObjectInfo>,
    pub(crate) store: PartStore<'a>,
    pub(crate) aside: &'a Mutex<Aside<'l>>,
    pub(crate) budget: &'a Budget,
    pub(crate) workers: &'a Workers,
    /// Whether the parts are counted in the aggregates.
    pub(crate) fold: bool,
}

/// What was done with the events of an hour.
#[derive(Default)]
pub(crate) struct HourDone {
    /// In parts of this commit.
    pub(crate) events: u64,
    pub(crate) duplicates: u64,
    pub(crate) conflicts: u64,
    /// Values of signals without a column.
    pub(crate) more_values: u64,
    /// Keys of the parts.
    pub(crate) parts: Vec<String>,
}

/// Rows that were left out because their ids stand elsewhere.
#[derive(Default)]
struct Repeats {
    duplicates: u64,
    conflicts: Vec<Conflict>,
}

impl HourWriter<'_, '_> {
    /// Writes the hour's parts, and counts them in its aggregates.
    pub(crate) async fn write(
        &self,
        blocks: HourBlocks,
        columns: Arc<Columns>,
    ) -> anyhow::Result<HourDone> {
        let blocks = Arc::new(blocks);
        let mut done = HourDone::default();
        let mut sum: Option<Aggregates> = None;
        let writes = 0..self.parts.count();
        let writes = writes.map(|part| self.write_part(&blocks, part, columns.clone()));
        let writes: Vec<_> = writes.collect();
        let mut writes = stream::iter(writes).buffered(PARTS_AT_ONCE);
        while let Some((of_part, aggregates)) = writes.try_next().await? {
            done.events += of_part.events;
            done.duplicates += of_part.duplicates;
            done.conflicts += of_part.conflicts;
            done.more_values += of_part.more_values;
            done.parts.extend(of_part.parts);
            match (&mut sum, aggregates) {
                (Some(sum), Some(aggregates)) => sum.merge(&aggregates),
                (None, Some(aggregates)) => sum = Some(aggregates),
                (_, None) => {}
            }
        }
        drop(writes);
        drop(blocks);
        self.fold(sum).await?;
        Ok(done)
    }

    /// Counts the parts that exist: this run has no rows for the hour.
    pub(crate) async fn count_existing(&self) -> anyhow::Result<HourDone> {
        let mut done = HourDone::default();
        let mut sum: Option<Aggregates> = None;
        let (kind, parts) = (&self.declared.name, self.parts.count());
        for part in 0..parts {
            let key = part_key(kind, self.hour, self.commit, part, parts);
            if self.lake.head(&key).await?.is_some() {
                let (events, aggregates) = self.store.counted(&key, self.declared).await?;
                done.events += events;
                sum.get_or_insert_default().merge(&aggregates);
            }
        }
        self.fold(sum).await?;
        Ok(done)
    }

    async fn fold(&self, sum: Option<Aggregates>) -> anyhow::Result<()> {
        let Some(sum) = sum.filter(|_| self.fold) else {
            return Ok(());
        };
        let fold = Fold {
            lake: self.lake,
            workers: self.workers,
            kinds: self.kinds,
            kind: self.declared,
            hour: self.hour,
        };
        fold.apply(self.commit, sum, self.earlier.is_empty()).await
    }

    /// Writes one part, unless no row is left for it. Its ids are divided into row groups, of which one at a time is in
    /// memory.
    async fn write_part(
        &self,
        blocks: &Arc<HourBlocks>,
        part: u64,
        columns: Arc<Columns>,
    ) -> anyhow::Result<(HourDone, Option<Aggregates>)> {
        let parts = self.parts.count();
        let wanted = self.budget.row_groups(blocks.bytes());
        let row_groups = Buckets::new(self.seed, wanted.max(parts));
        let in_part = row_groups.count() / parts;
        let _room = self.budget.take(blocks.bytes() / parts, in_part).await;
        let mut done = HourDone::default();
        let mut written = None;
        for row_group in part * in_part..(part + 1) * in_part {
            let bucket = (row_groups.count() > 1).then(|| row_groups.bucket(row_group));
            let (rows, left_out) = self.rows(blocks, bucket).await?;
            let (rows, left_out) = self.drop_earlier(rows, left_out).await?;
            done.duplicates += left_out.duplicates;
            done.conflicts += left_out.conflicts.len() as u64;
            if !left_out.conflicts.is_empty() {
                let mut aside = self.aside.lock().await;
                aside.keep_conflicts(left_out.conflicts).await?;
            }
            if rows.is_empty() {
                continue;
            }
            let (kinds, kind, columns) = (self.kinds.clone(), self.kind, columns.clone());
            let is_only = in_part == 1;
            let signals = (!is_only).then(|| blocks.signals());
            let write = move || {
                let (batch, more_values) = match signals {
                    Some(all) => rows.into_row_group(&columns, &all)?,
                    None => rows.into_batch(&columns)?,
                };
                let kind = kinds.iter().nth(kind).context("the kind is declared")?;
                let mut part = match written {
                    Some(part) => part,
                    None => {
                        let most_rows = if is_only {
                            batch.num_rows()
                        } else {
                            usize::MAX
                        };
                        UnfinishedPart::new(&batch, most_rows)?
                    }
                };
                part.write(&batch, kind)?;
                anyhow::Ok((part, more_values))
            };
            let (part, more_values) = self.workers.run(write).await?;
            written = Some(part);
            done.more_values += more_values;
        }
        let Some(written) = written else {
            return Ok((done, None));
        };
        let finished = self.workers.run(|| written.finish()).await?;
        let key = part_key(&self.declared.name, self.hour, self.commit, part, parts);
        let (events, aggregates) = self.store.put(&key, self.declared, finished).await?;
        done.events = events;
        done.parts.push(key);
        Ok((done, Some(aggregates)))
    }

    /// The rows whose ids are in the bucket; all without one.
    async fn rows(
        &self,
        blocks: &Arc<HourBlocks>,
        bucket: Option<Bucket>,
    ) -> anyhow::Result<(HourRows, Repeats)> {
        let (kinds, kind, blocks) = (self.kinds.clone(), self.kind, blocks.clone());
        let read = move || {
            let blocks = blocks.read(bucket)?;
            let (mut duplicates, mut conflicts) = (0, Vec::new());
            let rows = HourRows::of(kinds, kind, blocks, bucket, |row| match row {
                LeftOut::Duplicate => duplicates += 1,
                LeftOut::Conflict { id, stays, goes } => {
                    conflicts.push((id.to_owned(), stays.input as usize, goes));
                }
            });
            anyhow::Ok((rows, duplicates, conflicts))
        };
        let (rows, duplicates, conflicts) = self.workers.run(read).await?;
        let conflicts = conflicts.into_iter().map(|(id, stays, goes)| Conflict {
            id,
            stays: self.inputs.get(stays).cloned().unwrap_or_default(),
            goes,
        });
        let left_out = Repeats {
            duplicates,
            conflicts: conflicts.collect(),
        };
        Ok((rows, left_out))
    }

    /// Drops the rows whose ids stand in parts of earlier commits.
    async fn drop_earlier(
        &self,
        mut rows: HourRows,
        mut left_out: Repeats,
    ) -> anyhow::Result<(HourRows, Repeats)> {
        if self.earlier.is_empty() || rows.is_empty() {
            return Ok((rows, left_out));
        }
        let hash = move || {
            let ids = IdHashes::of(rows.ids());
            (rows, ids)
        };
        let ids;
        (rows, ids) = self.workers.run(hash).await;
        for (key, file) in self.store.with_common_ids(&self.earlier, &ids).await? {
            let drop = move || {
                let dropped = drop_common(&mut rows, &mut left_out, &key, file);
                dropped.with_context(|| format!("cannot read `{key}`"))?;
                anyhow::Ok((rows, left_out))
            };
            (rows, left_out) = self.workers.run(drop).await?;
        }
        Ok((rows, left_out))
    }
}

/// Drops the rows whose ids stand in an earlier part.
fn drop_common(
    rows: &mut HourRows,
    left_out: &mut Repeats,
    key: &str,
    file: Bytes,
) -> anyhow::Result<()> {
    let ids: StringArray = parts::ids(file.clone())?;
    let common: Vec<(u32, u32)> = (0..ids.len())
        .filter_map(|at| Some((at as u32, rows.find(ids.value(at))?)))
        .collect();
    if common.is_empty() {
        return Ok(());
    }
    let in_part: Vec<u32> = common.iter().map(|(at, _)| *at).collect();
    let part = parts::some_rows(file, &in_part)?;
    for (at, (in_part, row)) in common.into_iter().enumerate() {
        if rows.has_content(row, &parts::content(&part, at)?) {
            left_out.duplicates += 1;
        } else {
            left_out.conflicts.push(Conflict {
                id: ids.value(in_part as usize).to_owned(),
                stays: key.to_owned(),
                goes: rows.span(row),
            });
        }
        rows.drop_row(row);
    }
    Ok(())
}
