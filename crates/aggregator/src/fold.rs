//! Counts parts in the aggregates of their hour.
//!
//! The Parquet object is the state: its metadata names the last commit that it counts. It is replaced only if it has
//! not changed since it was read, so a process that froze and wakes changes nothing. The JSONL follows the Parquet.

use std::sync::Arc;

use anyhow::Context;
use aws::{Condition, Lake, PutOutcome};
use bytes::Bytes;
use contract::{Hour, Kind, Kinds, aggregate_key};
use futures::{StreamExt, TryStreamExt, stream};
use lake::aggregates::{AggregateFile, Aggregates, COMMIT, counted_through, from_parquet};
use lake::parts;

use crate::planted_defects;
use crate::put::put;
use crate::workers::Workers;

/// The aggregates of one kind and event hour.
pub(crate) struct Fold<'a> {
    pub(crate) lake: &'a Lake,
    pub(crate) workers: &'a Workers,
    pub(crate) kinds: &'a Arc<Kinds>,
    pub(crate) kind: &'a Kind,
    pub(crate) hour: Hour,
}

/// Both objects of an hour's aggregates.
struct Files {
    parquet: Bytes,
    jsonl: Bytes,
}

impl Fold<'_> {
    /// Adds `new`, the statistics of the parts that `commit` wrote for the hour, unless the hour counts that commit
    /// already. `is_first` says that no earlier commit has a part of the hour.
    pub(crate) async fn apply(
        &self,
        commit: u64,
        new: Aggregates,
        is_first: bool,
    ) -> anyhow::Result<()> {
        let key = aggregate_key(self.hour, &self.kind.name, "parquet");
        let new = Arc::new(new);
        let mut replaced = false;
        // Without earlier parts there are no aggregates yet, as a rule: the put tells.
        let mut is_new = is_first;
        loop {
            let stored = if is_new {
                None
            } else {
                self.lake.get(&key).await?
            };
            let (mut counted, mut etag, mut sum) = (0, None, new.clone());
            if let Some(object) = stored {
                let unreadable = || {
                    format!("cannot read `{key}`; `aggregator rebuild` writes it from the parts")
                };
                counted = counted_through(&object.metadata);
                if counted >= commit && !replaced && self.jsonl_counts(counted).await? {
                    // Another run has counted the commit, in both objects.
                    return Ok(());
                }
                etag = Some(object.etag);
                let mut stored = from_parquet(object.body).with_context(unreadable)?;
                if counted < commit {
                    stored.merge(&new);
                }
                sum = Arc::new(stored);
            } else if !is_first {
                tracing::warn!(
                    event = "aggregates_missing",
                    object.key = %key,
                    "the aggregates of an hour with parts are gone: they are counted from all parts"
                );
                let parts = recount(self.lake, self.kind, self.hour, commit).await?;
                sum = Arc::new(parts);
            }
            let jsonl = if counted < commit {
                let files = self.files(sum, commit).await?;
                let unchanged = etag.map_or(Condition::IfAbsent, Condition::IfMatch);
                let condition = planted_defects::replace_if(unchanged);
                let note = Some((COMMIT, commit));
                match put(self.lake, &key, files.parquet, note, condition).await? {
                    PutOutcome::Written(written) => etag = Some(written),
                    PutOutcome::ConditionFailed => {
                        is_new = false;
                        continue;
                    }
                }
                files.jsonl
            } else {
                self.write(sum, |file| Ok(file.to_jsonl()?)).await?
            };
            self.put_jsonl(counted.max(commit), jsonl, replaced, is_new)
                .await?;
            // A rebuild may have replaced both objects meanwhile, with lines equal to those that were there before
            // ours: the ETag of the JSONL does not show then that ours are out of date. The ETag of the Parquet does.
            if self.lake.head(&key).await?.map(|head| head.etag) == etag {
                return Ok(());
            }
            (replaced, is_new) = (true, false);
        }
    }

    /// Replaces the hour's aggregates by those of all its parts up to the commit `done`, or to the last commit that
    /// another run has counted meanwhile.
    pub(crate) async fn replace(&self, done: u64) -> anyhow::Result<()> {
        let key = aggregate_key(self.hour, &self.kind.name, "parquet");
        loop {
            let (upto, condition) = match self.lake.head(&key).await? {
                Some(head) => (
                    counted_through(&head.metadata).max(done),
                    Condition::IfMatch(head.etag),
                ),
                None => (done, Condition::IfAbsent),
            };
            let sum = recount(self.lake, self.kind, self.hour, upto).await?;
            let files = self.files(Arc::new(sum), upto).await?;
            let note = Some((COMMIT, upto));
            let outcome = put(self.lake, &key, files.parquet, note, condition).await?;
            let PutOutcome::Written(etag) = outcome else {
                continue;
            };
            self.put_jsonl(upto, files.jsonl, true, false).await?;
            // As in `apply`: whoever replaced the Parquet meanwhile has written other lines.
            if self.lake.head(&key).await?.map(|head| head.etag) == Some(etag) {
                return Ok(());
            }
        }
    }

    async fn files(&self, aggregates: Arc<Aggregates>, commit: u64) -> anyhow::Result<Files> {
        let write = move |file: AggregateFile<'_>| {
            Ok(Files {
                parquet: file.to_parquet(commit)?,
                jsonl: file.to_jsonl()?,
            })
        };
        self.write(aggregates, write).await
    }

    /// Lets `write` make something of the hour's rows, on a worker.
    async fn write<T: Send + 'static>(
        &self,
        aggregates: Arc<Aggregates>,
        write: impl FnOnce(AggregateFile<'_>) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let (kinds, name, hour) = (self.kinds.clone(), self.kind.name.clone(), self.hour);
        let write = move || {
            let kind = kinds.get(&name).context("the kind is declared")?;
            write(AggregateFile::of(&aggregates, kind, hour))
        };
        self.workers.run(write).await
    }

    /// Whether the JSONL counts that commit, or a later one.
    async fn jsonl_counts(&self, commit: u64) -> anyhow::Result<bool> {
        let key = aggregate_key(self.hour, &self.kind.name, "jsonl");
        let there = self.lake.head(&key).await?;
        Ok(there.is_some_and(|head| counted_through(&head.metadata) >= commit))
    }

    /// Writes the JSONL of the aggregates through `commit`, unless a newer one is there. One of the same commit is
    /// replaced only if `replace_equal`. `is_new` says that none is there, as a rule.
    async fn put_jsonl(
        &self,
        commit: u64,
        jsonl: Bytes,
        replace_equal: bool,
        mut is_new: bool,
    ) -> anyhow::Result<()> {
        let key = aggregate_key(self.hour, &self.kind.name, "jsonl");
        loop {
            let there = if is_new {
                None
            } else {
                self.lake.head(&key).await?
            };
            let mut condition = Condition::IfAbsent;
            if let Some(head) = there {
                let counted = counted_through(&head.metadata);
                if counted > commit || counted == commit && !replace_equal {
                    return Ok(());
                }
                condition = Condition::IfMatch(head.etag);
            }
            let note = Some((COMMIT, commit));
            let outcome = put(self.lake, &key, jsonl.clone(), note, condition).await?;
            if outcome != PutOutcome::ConditionFailed {
                return Ok(());
            }
            is_new = false;
        }
    }
}

/// Statistics of the hour's parts up to a commit.
async fn recount(lake: &Lake, kind: &Kind, hour: Hour, upto: u64) -> anyhow::Result<Aggregates> {
    let mut found = parts::before(lake, &kind.name, [hour], upto + 1).await?;
    let mut reads = Vec::new();
    for part in found.remove(&hour).unwrap_or_default() {
        reads.push(async move {
            let mut of_part = Aggregates::default();
            parts::each_row_group(lake, &part.key, |rows| {
                of_part.merge(&Aggregates::of(rows, kind)?);
                Ok(())
            })
            .await?;
            anyhow::Ok(of_part)
        });
    }
    let mut reads = stream::iter(reads).buffered(4);
    let mut sum = Aggregates::default();
    while let Some(part) = reads.try_next().await? {
        sum.merge(&part);
    }
    Ok(sum)
}
