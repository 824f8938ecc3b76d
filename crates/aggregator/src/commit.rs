//! Finishes a commit: raw objects in, curated parts and aggregates out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, bail};
use arrow::array::RecordBatch;
use aws::{Condition, Lake, Object, Outcome};
use contract::{CURATED, Hour, Kind, Kinds, curated_key, curated_prefix};
use futures::stream::{self, FuturesOrdered};
use futures::{StreamExt, TryStreamExt};
use planted::Defect;

use crate::aggregates::fold::{self, Aggregates};
use crate::parts::aside::Aside;
use crate::parts::seen_ids::KnownIds;
use crate::rows::gather::{Gathering, Groups};
use lake::log::summary::Summary;
use lake::parts::part_file;
use lake::rows::columns::{ColumnType, Columns};
use lake::rows::group::Group;
use lake::rows::ids::hash;

/// Raw objects that are read ahead, and hours that are written at once.
const READ_AHEAD: usize = 4;
const HOURS_AT_ONCE: usize = 4;

/// A commit's work: which hours of it to make, and whether parts that are there are kept.
pub(crate) struct Work<'a> {
    pub(crate) lake: &'a Lake,
    pub(crate) kinds: &'a Kinds,
    pub(crate) commit: u64,
    pub(crate) inputs: &'a [String],
    /// Ids that need not be read.
    pub(crate) known: &'a Mutex<KnownIds>,
    /// Called with the number of objects read so far.
    pub(crate) progress: &'a (dyn Fn(u64) + Send + Sync),
    /// The hours to make anew; none where the commit is finished, which leaves parts that are there.
    pub(crate) anew: Option<Range<Hour>>,
    /// Whether another run, perhaps of another release, may have begun the commit.
    pub(crate) taken_over: bool,
}

/// A part that stands in `curated/`.
pub(crate) struct Part<'k> {
    pub(crate) kind: &'k Kind,
    pub(crate) hour: Hour,
    events: u64,
}

impl<'a> Work<'a> {
    /// Finishes the commit. Doing so again, or at the same time as another process, gives the
    /// same objects: a part that is there is left as it is, and counted as it stands.
    pub(crate) async fn finish(&self) -> anyhow::Result<Summary> {
        let mut summary = Summary {
            commits: 1,
            ..Summary::default()
        };
        let parts = self.write_parts(&mut summary).await?;
        summary.hours = parts.len() as u64;
        if self.taken_over {
            self.count_others(&parts).await?;
        }
        Ok(summary)
    }

    /// Writes the parts of the commit's hours. Those that are made anew are overwritten; else a part
    /// that is there stays and is read back, and each is counted in its hour's aggregates as soon as
    /// it is there: a commit of many hours is not held whole.
    pub(crate) async fn write_parts(&self, summary: &mut Summary) -> anyhow::Result<Vec<Part<'a>>> {
        let (mut groups, mut aside) = self.gather(summary).await?;
        self.drop_earlier(&mut groups, summary, &mut aside).await?;
        aside.write(self.lake, self.commit, self.inputs).await?;

        let mut signals: BTreeMap<&str, BTreeSet<(String, ColumnType)>> = BTreeMap::new();
        for ((kind, _), group) in &groups {
            signals.entry(kind).or_default().extend(group.signals());
        }
        let mut columns: HashMap<&str, Arc<Columns>> = HashMap::new();
        for (name, signals) in signals {
            let kind = self.kind(name)?;
            let signals: Vec<_> = signals.into_iter().collect();
            columns.insert(
                name,
                Arc::new(Columns::with(self.lake, kind, &signals).await?),
            );
        }
        let (mut parts, mut writes) = (Vec::new(), FuturesOrdered::new());
        for ((name, hour), group) in groups {
            if group.len() == 0 {
                continue;
            }
            if writes.len() == HOURS_AT_ONCE {
                parts.extend(writes.try_next().await?);
            }
            let columns = columns[name].clone();
            writes.push_back(async move {
                let kind = self.kind(name)?;
                let rows = self.write_part(kind, hour, group, &columns).await?;
                let events = rows.num_rows() as u64;
                if self.anew.is_none() {
                    let aggregates = Aggregates::of(&rows)?;
                    drop(rows);
                    fold::apply(self.lake, kind, hour, self.commit, &aggregates).await?;
                }
                anyhow::Ok(Part { kind, hour, events })
            });
        }
        while let Some(part) = writes.try_next().await? {
            parts.push(part);
        }
        summary.events += parts.iter().map(|part| part.events).sum::<u64>();
        Ok(parts)
    }

    /// Counts parts of this commit that are none of `ours`: where it was begun under looser
    /// declarations, all events of an hour may be refused now, and its part stands.
    async fn count_others(&self, ours: &[Part<'_>]) -> anyhow::Result<()> {
        for object in self.lake.list(CURATED, None).await? {
            let Some((name, hour)) = kind_and_hour(&object.key) else {
                continue;
            };
            let is_it = |part: &Part<'_>| part.kind.name == name && part.hour == hour;
            if object.key != curated_key(name, hour, self.commit) || ours.iter().any(is_it) {
                continue;
            }
            let aggregates = Aggregates::of(&read_part(self.lake, &object.key).await?)?;
            fold::apply(self.lake, self.kind(name)?, hour, self.commit, &aggregates).await?;
        }
        Ok(())
    }

    fn kind(&self, name: &str) -> anyhow::Result<&'a Kind> {
        self.kinds
            .get(name)
            .with_context(|| format!("kind `{name}` is not declared"))
    }

    /// Sorts the events of all inputs into their hours, object by object: they are not held.
    async fn gather(&self, summary: &mut Summary) -> anyhow::Result<(Groups<'a>, Aside)> {
        let wanted = |hour: Hour| {
            let anew = self.anew.as_ref();
            anew.is_none_or(|hours| hours.contains(&hour))
        };
        let mut gathering = Gathering::new(self.kinds);
        let mut reads = Vec::new();
        for (at, key) in self.inputs.iter().enumerate() {
            reads.push(async move { anyhow::Ok((at as u32, key, self.lake.get(key).await?)) });
        }
        let mut reads = stream::iter(reads).buffered(READ_AHEAD);
        while let Some((at, key, object)) = reads.try_next().await? {
            match object {
                Some(object) => {
                    summary.objects += 1;
                    gathering.add((at, key), &object.body, wanted, summary)?;
                }
                // What was there a moment ago: without it the parts would lose its events.
                None if self.anew.is_some() => bail!("`{key}` was deleted meanwhile: run it again"),
                None => {
                    summary.missing_objects += 1;
                    tracing::warn!(event = "raw_missing", object.key = %key, "the object was deleted before it was taken in");
                }
            }
            (self.progress)(summary.objects + summary.missing_objects);
        }
        Ok(gathering.finish())
    }

    /// Takes out the events whose ids stand in parts of earlier commits.
    async fn drop_earlier(
        &self,
        groups: &mut Groups<'_>,
        summary: &mut Summary,
        aside: &mut Aside,
    ) -> anyhow::Result<()> {
        if planted::has(Defect::SkipIdCheck) {
            return Ok(());
        }
        let mut listings = Vec::new();
        for (kind, hour) in groups.keys().copied() {
            listings.push(async move {
                anyhow::Ok((
                    (kind, hour),
                    earlier_parts(self.lake, kind, hour, self.commit).await?,
                ))
            });
        }
        let listings: Vec<_> = stream::iter(listings)
            .buffered(READ_AHEAD)
            .try_collect()
            .await?;
        let mut reads = Vec::new();
        for (at, parts) in listings {
            let Some(group) = groups.get(&at) else {
                continue;
            };
            let found = self.known(|known| known.parts_to_read(at.0, at.1, &parts, group.hashes()));
            let unknown = found.unknown.into_iter().map(|(key, _)| (key, true));
            let common = found.common.into_iter().map(|key| (key, false));
            for (key, unknown) in unknown.chain(common) {
                reads.push(async move {
                    let object = self
                        .lake
                        .get(&key)
                        .await?
                        .with_context(|| format!("`{key}` was listed and is gone"))?;
                    anyhow::Ok((at, key, object, unknown))
                });
            }
        }
        let mut reads = stream::iter(reads).buffered(READ_AHEAD);
        while let Some((at, key, Object { body, etag, .. }, unknown)) = reads.try_next().await? {
            let Some(group) = groups.get_mut(&at) else {
                continue;
            };
            let unreadable = || format!("cannot read `{key}`");
            let ids = part_file::ids(body.clone()).with_context(unreadable)?;
            let hashes: Vec<u64> = ids.iter().flatten().map(hash).collect();
            if unknown {
                let hashes = hashes.iter().copied();
                self.known(|known| known.add(at.0, at.1, (&key, &etag), hashes));
            }
            let seen: Vec<(u32, u32)> = hashes
                .iter()
                .enumerate()
                .filter_map(|(row, hash)| {
                    let own = group.find(ids.value(row), *hash)?;
                    Some((row as u32, own))
                })
                .collect();
            if seen.is_empty() {
                continue;
            }
            let rows: Vec<u32> = seen.iter().map(|(row, _)| *row).collect();
            let part = part_file::rows(body, &rows).with_context(unreadable)?;
            for (there, (row, own)) in seen.into_iter().enumerate() {
                let id = ids.value(row as usize);
                if part_file::has_content(&part, there, &group.content(own)) {
                    summary.duplicates += 1;
                } else {
                    summary.conflicts += 1;
                    aside.keep_conflict_with_part(id, &key, group.span(own));
                }
                group.drop_id(id);
            }
        }
        Ok(())
    }

    /// Does something with what is known of ids.
    fn known<T>(&self, with: impl FnOnce(&mut KnownIds) -> T) -> T {
        with(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn write_part(
        &self,
        kind: &Kind,
        hour: Hour,
        group: Group<'_>,
        columns: &Columns,
    ) -> anyhow::Result<RecordBatch> {
        let mut key = curated_key(&kind.name, hour, self.commit);
        if planted::has(Defect::FinishUnderNewNames) && self.lake.head(&key).await?.is_some() {
            key = key.replace("part-0", "part-9");
        }
        let hashes: Vec<u64> = group.hashes().collect();
        let rows = group.finish(columns)?;
        let put = self.put_part(&key, &rows).await?;
        let Outcome::Written(etag) = put else {
            return read_part(self.lake, &key).await;
        };
        let hashes = hashes.into_iter();
        self.known(|known| known.add(&kind.name, hour, (&key, &etag), hashes));
        Ok(rows)
    }

    /// Overwrites a part whose commit has no events for its hour any more by one without rows: left
    /// as it is, it would hold events that other parts have now.
    pub(crate) async fn empty_part(&self, key: &str) -> anyhow::Result<()> {
        let rows = read_part(self.lake, key).await?;
        self.put_part(key, &rows.slice(0, 0)).await?;
        Ok(())
    }

    async fn put_part(&self, key: &str, rows: &RecordBatch) -> anyhow::Result<Outcome> {
        // Sorted by entity and time: the second and third column.
        let file = part_file::to_parquet(rows, &[1, 2], &["event_id"], Vec::new())
            .with_context(|| format!("cannot write `{key}`"))?;
        let metadata = HashMap::from([("events".to_owned(), rows.num_rows().to_string())]);
        let condition = match self.anew.is_some() {
            true => Condition::Always,
            false => Condition::IfAbsent,
        };
        let content_type = "application/vnd.apache.parquet";
        Ok(self
            .lake
            .put(key, file, content_type, metadata, condition)
            .await?)
    }
}

/// All rows of a part that is there.
pub(crate) async fn read_part(lake: &Lake, key: &str) -> anyhow::Result<RecordBatch> {
    let object = lake.get(key).await?;
    let object = object.with_context(|| format!("`{key}` is there and cannot be read"))?;
    part_file::from_parquet(object.body, None).with_context(|| format!("cannot read `{key}`"))
}

/// The kind and the event hour of a key of `curated/`.
pub(crate) fn kind_and_hour(key: &str) -> Option<(&str, Hour)> {
    let rest = key.strip_prefix(CURATED)?.strip_prefix("kind=")?;
    let (kind, rest) = rest.split_once('/')?;
    Some((kind, Hour::parse(rest)?))
}

/// Key and ETag of the hour's parts that commits before `commit` wrote.
pub(crate) async fn earlier_parts(
    lake: &Lake,
    kind: &str,
    hour: Hour,
    commit: u64,
) -> anyhow::Result<Vec<(String, String)>> {
    let end = curated_key(kind, hour, commit);
    let parts = lake.list(&curated_prefix(kind, hour), None).await?;
    Ok(parts
        .into_iter()
        .map(|object| (object.key, object.etag))
        .filter(|(key, _)| key.ends_with(".parquet") && *key < end)
        .collect())
}
