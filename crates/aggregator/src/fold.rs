//! Counts parts in the aggregates of their hour.
//!
//! The Parquet object is the state: its metadata names the last commit that it counts. It is replaced only if it has
//! not changed since it was read, so a process that froze and wakes changes nothing. The JSONL follows the Parquet.

use anyhow::Context;
use aws::{Condition, Lake, PutOutcome};
use contract::{Hour, Kind, aggregate_key};
use lake::aggregates::{AggregateFile, Aggregates, COMMIT, counted_through, from_parquet};

use crate::planted_defects;
use crate::put::put;

/// Adds `part`, the statistics of the part that `commit` wrote for the hour, unless the hour counts that commit
/// already.
pub(crate) async fn apply(
    lake: &Lake,
    kind: &Kind,
    hour: Hour,
    commit: u64,
    part: &Aggregates,
) -> anyhow::Result<()> {
    let key = aggregate_key(hour, &kind.name, "parquet");
    let mut replaced = false;
    loop {
        let (mut counted, mut etag, mut stored) = (0, None, None);
        if let Some(object) = lake.get(&key).await? {
            let unreadable = || format!("cannot read `{key}`; `aggregator rebuild` makes it anew");
            counted = counted_through(&object.metadata);
            etag = Some(object.etag);
            stored = Some(from_parquet(object.body).with_context(unreadable)?);
        }
        if let Some(stored) = &mut stored
            && counted < commit
        {
            stored.merge(part);
        }
        let file = AggregateFile::of(stored.as_ref().unwrap_or(part), kind, hour);
        if counted < commit {
            let unchanged = etag.map_or(Condition::IfAbsent, Condition::IfMatch);
            let condition = planted_defects::replace_if(unchanged);
            let body = file.to_parquet(commit)?;
            match put(lake, &key, body, Some((COMMIT, commit)), condition).await? {
                PutOutcome::Written(written) => etag = Some(written),
                PutOutcome::ConditionFailed => continue,
            }
        }
        put_jsonl(lake, counted.max(commit), &file, replaced).await?;
        // A rebuild may have replaced both objects meanwhile, with lines equal to those that were there before ours:
        // the ETag of the JSONL does not show then that ours are out of date. The ETag of the Parquet does.
        if lake.head(&key).await?.map(|head| head.etag) == etag {
            return Ok(());
        }
        replaced = true;
    }
}

/// Replaces the hour's aggregates by those of all its parts. `recount` computes them from the parts up to a commit:
/// `done`, or the last commit that another run has counted meanwhile.
pub(crate) async fn replace(
    lake: &Lake,
    kind: &Kind,
    hour: Hour,
    done: u64,
    recount: impl AsyncFn(u64) -> anyhow::Result<Aggregates>,
) -> anyhow::Result<()> {
    let key = aggregate_key(hour, &kind.name, "parquet");
    loop {
        let (upto, condition) = match lake.head(&key).await? {
            Some(head) => (
                counted_through(&head.metadata).max(done),
                Condition::IfMatch(head.etag),
            ),
            None => (done, Condition::IfAbsent),
        };
        let aggregates = recount(upto).await?;
        let file = AggregateFile::of(&aggregates, kind, hour);
        let (body, note) = (file.to_parquet(upto)?, Some((COMMIT, upto)));
        if put(lake, &key, body, note, condition).await? != PutOutcome::ConditionFailed {
            return put_jsonl(lake, upto, &file, true).await;
        }
    }
}

/// Writes the JSONL of the aggregates through `commit`, unless a newer one is there. One of the same commit is
/// replaced only if `replace_equal`.
async fn put_jsonl(
    lake: &Lake,
    commit: u64,
    file: &AggregateFile<'_>,
    replace_equal: bool,
) -> anyhow::Result<()> {
    let key = aggregate_key(file.hour, &file.kind.name, "jsonl");
    loop {
        let mut condition = Condition::IfAbsent;
        if let Some(head) = lake.head(&key).await? {
            let counted = counted_through(&head.metadata);
            if counted > commit || counted == commit && !replace_equal {
                return Ok(());
            }
            condition = Condition::IfMatch(head.etag);
        }
        let note = Some((COMMIT, commit));
        let outcome = put(lake, &key, file.to_jsonl()?, note, condition).await?;
        if outcome != PutOutcome::ConditionFailed {
            return Ok(());
        }
    }
}
