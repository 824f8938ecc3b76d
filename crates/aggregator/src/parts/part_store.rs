//! Reads the parts of earlier commits, and writes those of one commit.

use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use arrow::array::RecordBatch;
use aws::{Condition, Lake, Object, PutOutcome};
use contract::{Hour, Kind, curated_key};
use futures::{StreamExt, TryStreamExt, stream};
use lake::log::Summary;
use lake::parts;
use lake::rows::{Columns, HourRows, RowsByHour, id_hash};

use crate::parts::aside::Aside;
use crate::parts::seen_ids::SeenIds;
use crate::planted_defects;
use crate::put::put;

/// Parts that are listed or read ahead.
const READ_AHEAD: usize = 4;

/// The parts as one commit sees and writes them.
pub(crate) struct PartStore<'a> {
    pub(crate) lake: &'a Lake,
    pub(crate) seen: &'a Mutex<SeenIds>,
    /// Number of the commit.
    pub(crate) commit: u64,
    /// Whether a part of this commit that exists is overwritten, or kept as it is.
    pub(crate) overwrite: bool,
}

impl PartStore<'_> {
    /// Drops the rows whose ids stand in parts of earlier commits, and counts them in `summary`. A row with other
    /// content than the part's goes to `aside`.
    pub(crate) async fn drop_earlier(
        &self,
        rows: &mut RowsByHour<'_>,
        summary: &mut Summary,
        aside: &mut Aside,
    ) -> anyhow::Result<()> {
        if planted_defects::skip_id_check() {
            return Ok(());
        }
        let mut listings = Vec::new();
        for (kind, hour) in rows.keys().copied() {
            listings.push(async move {
                let parts = parts::before(self.lake, kind, hour, self.commit).await?;
                let parts = parts.into_iter().map(|part| (part.key, part.etag));
                anyhow::Ok(((kind, hour), parts.collect::<Vec<_>>()))
            });
        }
        let listings = stream::iter(listings).buffered(READ_AHEAD);
        let listings: Vec<_> = listings.try_collect().await?;
        let mut reads = Vec::new();
        for (at, parts) in listings {
            let Some(own) = rows.get(&at) else {
                continue;
            };
            let found = self.seen(|seen| seen.parts_to_read(at.0, at.1, &parts, own.hashes()));
            let unseen = found.unseen.into_iter().map(|(key, _)| (key, true));
            let common = found.common.into_iter().map(|key| (key, false));
            for (key, unseen) in unseen.chain(common) {
                reads.push(async move {
                    let object = self.lake.get(&key).await?;
                    let object =
                        object.with_context(|| format!("`{key}` was listed and is gone"))?;
                    anyhow::Ok((at, key, object, unseen))
                });
            }
        }
        let mut reads = stream::iter(reads).buffered(READ_AHEAD);
        while let Some((at, key, Object { body, etag, .. }, unseen)) = reads.try_next().await? {
            let Some(own) = rows.get_mut(&at) else {
                continue;
            };
            let unreadable = || format!("cannot read `{key}`");
            let ids = parts::ids(body.clone()).with_context(unreadable)?;
            let hashes: Vec<u64> = ids.iter().flatten().map(id_hash).collect();
            if unseen {
                let hashes = hashes.iter().copied();
                self.seen(|seen| seen.add(at.0, at.1, (&key, &etag), hashes));
            }
            let earlier = hashes.iter().enumerate();
            let repeated: Vec<(u32, u32)> = earlier
                .filter_map(|(row, hash)| Some((row as u32, own.find(ids.value(row), *hash)?)))
                .collect();
            if repeated.is_empty() {
                continue;
            }
            let in_part: Vec<u32> = repeated.iter().map(|(row, _)| *row).collect();
            let part = parts::some_rows(body, &in_part).with_context(unreadable)?;
            for (at, (row, repeat)) in repeated.into_iter().enumerate() {
                let id = ids.value(row as usize);
                if parts::has_content(&part, at, &own.content(repeat)) {
                    summary.duplicates += 1;
                } else {
                    summary.conflicts += 1;
                    aside.keep_conflict(id, &key, own.span(repeat));
                }
                own.drop_id(id);
            }
        }
        Ok(())
    }

    /// Writes the part of these rows and returns its rows: those of the part that exists if that is kept.
    pub(crate) async fn write(
        &self,
        kind: &Kind,
        hour: Hour,
        rows: HourRows<'_>,
        columns: &Columns,
    ) -> anyhow::Result<RecordBatch> {
        let key = curated_key(&kind.name, hour, self.commit);
        let key = planted_defects::name_part(self.lake, key).await?;
        let hashes: Vec<u64> = rows.hashes().collect();
        let rows = rows.into_batch(columns)?;
        let PutOutcome::Written(etag) = self.put(&key, &rows).await? else {
            return Ok(parts::read(self.lake, &key).await?);
        };
        let hashes = hashes.into_iter();
        self.seen(|seen| seen.add(&kind.name, hour, (&key, &etag), hashes));
        Ok(rows)
    }

    /// Overwrites a part of this commit by one without rows: its events stand in other parts now.
    pub(crate) async fn empty(&self, key: &str) -> anyhow::Result<()> {
        let rows = parts::read(self.lake, key).await?;
        self.put(key, &rows.slice(0, 0)).await?;
        Ok(())
    }

    async fn put(&self, key: &str, rows: &RecordBatch) -> anyhow::Result<PutOutcome> {
        let file = parts::to_parquet(rows).with_context(|| format!("cannot write `{key}`"))?;
        let condition = if self.overwrite {
            Condition::Always
        } else {
            Condition::IfAbsent
        };
        let events = Some(("events", rows.num_rows() as u64));
        Ok(put(self.lake, key, file, events, condition).await?)
    }

    fn seen<T>(&self, with: impl FnOnce(&mut SeenIds) -> T) -> T {
        with(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
