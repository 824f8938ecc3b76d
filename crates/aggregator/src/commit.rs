//! Carries out a commit: raw objects come in, parts and aggregates go out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Mutex;

use anyhow::{Context, anyhow, bail};
use aws::{Lake, ObjectInfo};
use contract::{CURATED, Hour, Kind, Kinds, curated_key};
use futures::{StreamExt, TryStreamExt, stream};
use lake::aggregates::Aggregates;
use lake::key::curated_hour_of;
use lake::log::{Intent, Summary};
use lake::parts;
use lake::rows::{Columns, Gathering, LeftOut, RowsByHour};

use crate::parts::aside::Aside;
use crate::parts::part_store::PartStore;
use crate::parts::seen_ids::SeenIds;
use crate::{fold, schema};

/// Raw objects that are read ahead.
const READ_AHEAD: usize = 4;
/// Hours that are written at the same time.
const HOURS_AT_ONCE: usize = 4;

/// What to do with the hours of a commit.
pub(crate) enum Mode {
    /// Write the parts that do not exist yet, and count all parts of the commit in the aggregates.
    Finish,
    /// Overwrite the parts of these hours; the caller recounts the aggregates.
    Rebuild(Range<Hour>),
}

/// Kind and event hour of each part that a commit has written.
pub(crate) type Written<'k> = BTreeSet<(&'k str, Hour)>;

/// A commit to be carried out.
pub(crate) struct Commit<'a> {
    pub(crate) lake: &'a Lake,
    pub(crate) kinds: &'a Kinds,
    pub(crate) intent: &'a Intent,
    pub(crate) seen: &'a Mutex<SeenIds>,
    /// Told the number of objects read so far.
    pub(crate) progress: &'a (dyn Fn(u64) + Send + Sync),
    pub(crate) mode: Mode,
    /// Whether another run, perhaps of another release, may have begun the commit.
    pub(crate) taken_over: bool,
}

impl<'a> Commit<'a> {
    /// Finishes the commit. Doing so again, or in another process at the same time, gives the same objects: a part
    /// that exists is kept, and counted as it is.
    pub(crate) async fn finish(&self) -> anyhow::Result<Summary> {
        let mut summary = Summary {
            commits: 1,
            ..Summary::default()
        };
        let written = self.write_parts(&mut summary).await?;
        summary.hours = written.len() as u64;
        if self.taken_over {
            self.count_others(&written).await?;
        }
        Ok(summary)
    }

    /// Writes the parts of the commit's hours. In [`Mode::Finish`] each part is counted in its hour's aggregates as
    /// soon as it is written, so a commit of many hours is not held whole.
    pub(crate) async fn write_parts(&self, summary: &mut Summary) -> anyhow::Result<Written<'a>> {
        let (mut by_hour, mut aside) = self.gather(summary).await?;
        let (store, commit) = (self.store(), self.intent.commit);
        let dropped = store.drop_earlier(&mut by_hour, summary, &mut aside);
        dropped.await?;
        aside.write(self.lake, commit, &self.intent.inputs).await?;

        let columns = self.columns(&by_hour).await?;
        let mut writes = Vec::new();
        for ((name, hour), rows) in by_hour {
            if rows.is_empty() {
                continue;
            }
            let (store, columns) = (&store, &columns[name]);
            writes.push(async move {
                let kind = self.kind(name)?;
                let rows = store.write(kind, hour, rows, columns).await?;
                let events = rows.num_rows() as u64;
                if let Mode::Finish = self.mode {
                    let aggregates = Aggregates::of(&rows, kind)?;
                    drop(rows);
                    fold::apply(self.lake, kind, hour, commit, &aggregates).await?;
                }
                anyhow::Ok((name, hour, events))
            });
        }
        let mut written = Written::new();
        let mut writes = stream::iter(writes).buffered(HOURS_AT_ONCE);
        while let Some((name, hour, events)) = writes.try_next().await? {
            summary.events += events;
            written.insert((name, hour));
        }
        Ok(written)
    }

    /// Counts the parts of this commit that this run has not `written`: if it was begun under looser declarations, all
    /// events of an hour may be refused now, and the part exists.
    async fn count_others(&self, written: &Written<'_>) -> anyhow::Result<()> {
        let commit = self.intent.commit;
        for ObjectInfo { key, .. } in self.lake.list(CURATED, None).await? {
            let Some((name, hour)) = curated_hour_of(&key) else {
                continue;
            };
            if key == curated_key(name, hour, commit) && !written.contains(&(name, hour)) {
                let kind = self.kind(name)?;
                let aggregates = Aggregates::of(&parts::read(self.lake, &key).await?, kind)?;
                fold::apply(self.lake, kind, hour, commit, &aggregates).await?;
            }
        }
        Ok(())
    }

    pub(crate) fn store(&self) -> PartStore<'a> {
        PartStore {
            lake: self.lake,
            seen: self.seen,
            commit: self.intent.commit,
            overwrite: matches!(self.mode, Mode::Rebuild(_)),
        }
    }

    fn kind(&self, name: &str) -> anyhow::Result<&'a Kind> {
        let kind = self.kinds.get(name);
        kind.with_context(|| format!("kind `{name}` is not declared"))
    }

    /// The columns of each kind that has rows, after the types of new signals are stored.
    async fn columns(&self, by_hour: &RowsByHour<'a>) -> anyhow::Result<HashMap<&'a str, Columns>> {
        let mut signals: BTreeMap<&str, BTreeSet<_>> = BTreeMap::new();
        for ((kind, _), rows) in by_hour {
            signals.entry(kind).or_default().extend(rows.signals());
        }
        let mut columns = HashMap::new();
        for (name, signals) in signals {
            let signals: Vec<_> = signals.into_iter().collect();
            let of_kind = schema::columns(self.lake, self.kind(name)?, &signals).await?;
            columns.insert(name, of_kind);
        }
        Ok(columns)
    }

    /// Sorts the events of all inputs into their hours, object by object: the objects are not held.
    async fn gather(&self, summary: &mut Summary) -> anyhow::Result<(RowsByHour<'a>, Aside)> {
        let (mut gathering, mut aside) = (Gathering::new(self.kinds), Aside::default());
        let mut reads = Vec::new();
        for (at, key) in self.intent.inputs.iter().enumerate() {
            reads.push(async move { anyhow::Ok((at as u32, key, self.lake.get(key).await?)) });
        }
        let mut reads = stream::iter(reads).buffered(READ_AHEAD);
        while let Some((at, key, object)) = reads.try_next().await? {
            match (object, &self.mode) {
                (Some(object), _) => {
                    summary.objects += 1;
                    self.add(&mut gathering, (at, key), &object.body, summary, &mut aside)?;
                }
                // The object was there a moment ago: without it the parts would lose its events.
                (None, Mode::Rebuild(_)) => bail!("`{key}` was deleted meanwhile: run it again"),
                (None, Mode::Finish) => {
                    summary.missing_objects += 1;
                    tracing::warn!(event = "raw_missing", object.key = %key, "the object was deleted before it was taken in");
                }
            }
            (self.progress)(summary.objects + summary.missing_objects);
        }
        Ok((gathering.finish(), aside))
    }

    fn add(
        &self,
        gathering: &mut Gathering<'a>,
        (at, key): (u32, &str),
        body: &[u8],
        summary: &mut Summary,
        aside: &mut Aside,
    ) -> anyhow::Result<()> {
        let wanted = |hour: Hour| match &self.mode {
            Mode::Finish => true,
            Mode::Rebuild(hours) => hours.contains(&hour),
        };
        let added = gathering.add(at, body, wanted, |line| match line {
            LeftOut::Refused {
                reason,
                detail,
                line,
            } => {
                summary.refused += 1;
                aside.keep(reason, detail, key, line);
            }
            LeftOut::Duplicate => summary.duplicates += 1,
            LeftOut::Conflict { id, stays, goes } => {
                summary.conflicts += 1;
                aside.keep_conflict(id, &self.intent.inputs[stays.input as usize], goes);
            }
        });
        added.map_err(|error| {
            anyhow!(
                "`{key}` holds an event of a kind that is not declared here: {error}; set CONTRACTS to the folder that ingest has, and run again"
            )
        })
    }
}
