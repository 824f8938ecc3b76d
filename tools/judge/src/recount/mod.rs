//! Recounts `aggregates/` from `curated/`.
//!
//! An aggregates object says in its metadata which commit it counts last, and a part carries the
//! number of the commit that wrote it and is there before it is counted. So at any moment an
//! object equals a recount of exactly the parts up to its commit, and that is what is asked here.

mod compare;
mod figures;
mod found;
mod part;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use aws::Lake;
use contract::{AGGREGATES, CURATED, Hour, Kind, Kinds, aggregate_key, curated_prefix};
use futures::{StreamExt, TryStreamExt, stream};

pub use compare::compare;
pub use found::{Difference, Recount};
pub use part::{PartKey, PartSignals};
pub use table::{Table, TableFormat, TableKey};

use crate::error::JudgeError;

/// Hours that are counted at once, and parts of an hour that are read ahead.
const HOURS_AT_ONCE: usize = 4;
const READ_AHEAD: usize = 8;

/// Which hours are counted, and whether the aggregator must have finished them.
#[derive(Debug, Clone, Default)]
pub struct Extent {
    /// Kinds and event hours; all of the lake unless given.
    pub hours: Option<BTreeSet<(String, Hour)>>,
    /// Whether each object must count all parts of its hour, and each hour have both objects:
    /// so it is once the aggregator has done all its work, and not before.
    pub complete: bool,
}

impl Extent {
    /// All hours, while aggregators may run.
    pub fn at_any_moment() -> Extent {
        Extent::default()
    }

    /// All hours, after the aggregator has finished.
    pub fn complete() -> Extent {
        Extent {
            complete: true,
            ..Extent::default()
        }
    }
}

/// Reads `curated/` and `aggregates/` and says where they differ. It may be asked while
/// aggregators work, but for `aggregator rebuild`, which changes parts that are there.
///
/// # Errors
///
/// [`JudgeError`] if the lake or a part in it cannot be read. An aggregates object that cannot be
/// read is a difference.
pub async fn recount(lake: &Lake, kinds: &Kinds, extent: &Extent) -> Result<Recount, JudgeError> {
    let mut hours: BTreeMap<(String, Hour), Vec<String>> = BTreeMap::new();
    for object in lake.list(AGGREGATES, None).await? {
        if let Some(place) = TableKey::parse(&object.key) {
            hours
                .entry((place.kind.to_owned(), place.hour))
                .or_default();
        }
    }
    if extent.complete {
        for object in lake.list(CURATED, None).await? {
            if let Some(place) = PartKey::parse(&object.key) {
                hours
                    .entry((place.kind.to_owned(), place.hour))
                    .or_default()
                    .push(object.key);
            }
        }
    }
    if let Some(wanted) = &extent.hours {
        hours.retain(|at, _| wanted.contains(at));
    }
    let mut counts = Vec::with_capacity(hours.len());
    for ((name, hour), parts) in hours {
        let kind = kinds
            .get(&name)
            .ok_or(JudgeError::UnknownKind { kind: name })?;
        counts.push(
            HourOf {
                lake,
                kinds,
                kind,
                hour,
            }
            .count(parts, extent.complete),
        );
    }
    let mut counts = stream::iter(counts).buffered(HOURS_AT_ONCE);
    let mut found = Recount::default();
    while let Some(count) = counts.try_next().await? {
        found.add(count);
    }
    Ok(found)
}

/// The commit of the last of the parts; 0 if there are no parts.
fn last_commit(parts: &[String]) -> u64 {
    let commits = parts.iter().filter_map(|key| PartKey::parse(key));
    commits.map(|place| place.commit).max().unwrap_or_default()
}

/// One kind and hour.
struct HourOf<'a> {
    lake: &'a Lake,
    kinds: &'a Kinds,
    kind: &'a Kind,
    hour: Hour,
}

impl HourOf<'_> {
    /// Reads the hour and counts it again; `parts` are the ones listed, where that was done.
    async fn count(self, mut parts: Vec<String>, complete: bool) -> Result<Recount, JudgeError> {
        let mut found = Recount {
            hours: 1,
            ..Recount::default()
        };
        // In this order: the JSONL follows from the Parquet, which must count as much or more.
        let jsonl = self.table("jsonl", complete, &mut found).await?;
        let parquet = self.table("parquet", complete, &mut found).await?;
        let tables = [&parquet, &jsonl].into_iter().flatten();
        let Some(counted) = tables.clone().map(Table::commit).max() else {
            return Ok(found);
        };
        if !complete || counted > last_commit(&parts) {
            // After the objects were read: what they count is there by now.
            let prefix = curated_prefix(&self.kind.name, self.hour);
            let listed = self.lake.list(&prefix, None).await?;
            parts = listed.into_iter().map(|object| object.key).collect();
        }
        let last = last_commit(&parts);
        parts.retain(|key| PartKey::parse(key).is_some_and(|place| place.commit <= counted));
        let mut reads = Vec::with_capacity(parts.len());
        for key in &parts {
            reads.push(async move {
                let object = self
                    .lake
                    .get(key)
                    .await?
                    .ok_or_else(|| JudgeError::Curated {
                        key: key.clone(),
                        reason: "it was listed and is gone".to_owned(),
                    })?;
                PartSignals::read(self.kinds, key, object.body)
            });
        }
        let parts: Vec<PartSignals> = stream::iter(reads)
            .buffered(READ_AHEAD)
            .try_collect()
            .await?;
        for table in tables {
            compare(self.kind, self.hour, &parts, table, &mut found);
            if complete && table.commit < last {
                let detail = format!("counts up to commit {} of {last}", table.commit);
                self.behind(&table.key, detail, &mut found);
            }
        }
        match (&jsonl, &parquet) {
            (Some(jsonl), Some(parquet)) if jsonl.commit > parquet.commit => {
                let detail = format!(
                    "counts up to commit {}, and the Parquet only to {}",
                    jsonl.commit, parquet.commit
                );
                found.differ(self.difference(&jsonl.key, detail));
            }
            _ => {}
        }
        Ok(found)
    }

    /// The object with that extension; `None` if it is not there, or cannot be read, which is a difference.
    async fn table(
        &self,
        extension: &str,
        complete: bool,
        found: &mut Recount,
    ) -> Result<Option<Table>, JudgeError> {
        let key = aggregate_key(self.hour, &self.kind.name, extension);
        let Some(object) = self.lake.get(&key).await? else {
            if complete {
                self.behind(&key, "is not there".to_owned(), found);
            }
            return Ok(None);
        };
        match Table::read(&key, object) {
            Ok(table) => Ok(Some(table)),
            Err(reason) => {
                found.differ(self.difference(&key, format!("cannot be read: {reason}")));
                Ok(None)
            }
        }
    }

    fn behind(&self, key: &str, detail: String, found: &mut Recount) {
        found.behind += 1;
        found.differ(self.difference(key, detail));
    }

    fn difference(&self, key: &str, detail: String) -> Difference {
        Difference {
            kind: self.kind.name.clone(),
            row: None,
            key: key.to_owned(),
            detail,
        }
    }
}
