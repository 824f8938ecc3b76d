//! Rebuilds hours from `raw/`: after a defect was mended, a declaration changed, or objects of `curated/` or
//! `aggregates/` were lost.
//!
//! Each commit is carried out again, in order, for these hours only, and overwrites its own parts: a reader sees each
//! part as it was or as it will be. A part whose raw objects have expired is kept; a part that has no events any more
//! is overwritten by one without rows. Then the aggregates of the hours are recounted from all parts.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use anyhow::bail;
use aws::{Aws, Lake, ObjectInfo};
use chrono::TimeDelta;
use contract::{CURATED, Hour, Kinds, RAW, raw_hour_of};
use futures::{StreamExt, TryStreamExt, stream};
use lake::key::{commit_of, curated_hour_of};
use lake::log::{ByHour, Done, Intent, Log, Summary, intents, read_done, read_plan};
use service::terminal::Progress;

use crate::budget::Budget;
use crate::commit::{Commit, Mode};
use crate::config::Config;
use crate::fold::Fold;
use crate::log::writer;
use crate::workers::Workers;

/// Rebuilds the event hours from `from` up to, but not including, `to`.
///
/// Other processes may go on with their runs: a commit that appears meanwhile is finished and carried out again too,
/// because it may have dropped or kept events according to the old parts.
///
/// # Errors
///
/// As for [`once`](crate::once), and if a raw object is deleted meanwhile. A second call rebuilds all of the hours
/// again.
pub async fn rebuild(
    config: &Config,
    aws: &Aws,
    from: Hour,
    to: Hour,
    progress: &dyn Progress,
) -> anyhow::Result<Summary> {
    if from >= to {
        bail!("--from must be before --to: no hour lies between");
    }
    let kinds = Arc::new(config.kinds()?);
    let lake = aws.lake(&config.lake.lake_bucket);
    let mut rebuild = Rebuild {
        lake: &lake,
        kinds: &kinds,
        hours: from..to,
        earliest: earliest_arrival(&kinds, from),
        budget: config.budget(),
        workers: config.workers(),
        most_hours: config.commit_max_hours.get(),
        progress,
        total: Summary::default(),
    };
    let mut through = 0;
    loop {
        let mut log = Log::read(&lake).await?;
        if let Some(intent) = log.unfinished.clone() {
            let commit = rebuild.commit(&intent, Mode::Finish, &|_| {});
            let (summary, written) = commit.finish().await?;
            let now = aws.clock().now();
            writer::finish(&lake, &mut log, &intent, &summary, &written, now).await?;
        }
        if log.done == through {
            break;
        }
        if rebuild.was_changed(through + 1, log.done).await? {
            // Raw objects and parts that were read before may be written back as they were.
            through = 0;
        }
        let commits = rebuild.may_hold(through + 1, log.done).await?;
        rebuild.commits(&commits).await?;
        through = log.done;
    }
    rebuild.aggregates(through).await?;
    Ok(rebuild.total)
}

/// The first arrival hour whose raw objects can hold events of the hour: an event arrives before its time only as far
/// as its kind allows for wrong clocks.
fn earliest_arrival(kinds: &Kinds, hour: Hour) -> Hour {
    let ahead = kinds.iter().map(|kind| kind.time.max_future).max();
    Hour::of(hour.start() - ahead.unwrap_or_default() - TimeDelta::hours(1))
}

/// A rebuild under way.
struct Rebuild<'a> {
    lake: &'a Lake,
    kinds: &'a Arc<Kinds>,
    hours: Range<Hour>,
    earliest: Hour,
    budget: Budget,
    workers: Workers,
    /// Most hours with few events of a commit that is finished.
    most_hours: usize,
    progress: &'a dyn Progress,
    total: Summary,
}

/// Commits whose marks are read at the same time.
const READ_AHEAD: usize = 8;

/// A part of the hours.
struct ExistingPart {
    kind: String,
    hour: Hour,
    key: String,
}

impl Rebuild<'_> {
    fn commit<'c>(
        &'c self,
        intent: &'c Intent,
        mode: Mode,
        progress: &'c (dyn Fn(u64) + Send + Sync),
    ) -> Commit<'c> {
        Commit {
            lake: self.lake,
            kinds: self.kinds,
            intent,
            budget: &self.budget,
            workers: &self.workers,
            progress,
            mode,
            taken_over: true,
            most_hours: self.most_hours,
        }
    }

    /// Whether one of these commits, which were done while the rebuild went on, says that an entity was forgotten.
    async fn was_changed(&self, first: u64, last: u64) -> anyhow::Result<bool> {
        if first == 1 {
            return Ok(false);
        }
        let new = intents(self.lake, first..=last).await?;
        Ok(new.iter().any(|intent| intent.inputs.is_empty()))
    }

    /// The commits from `first` to `last` that may have events of the hours, by the marks that they are done. A mark of
    /// an older release names no hours.
    async fn may_hold(&self, first: u64, last: u64) -> anyhow::Result<Vec<u64>> {
        // A commit that was done before the first object of the hours could arrive has none of them. Marks are in order
        // of time, up to the clocks of different machines.
        let arrived = self.earliest.start() - TimeDelta::hours(1);
        let (mut low, mut high) = (first, last + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let done = read_done(self.lake, middle).await?;
            if done.is_some_and(|done: Done| done.finished_at < arrived) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let marks = (low..=last).map(async |commit| {
            let done = read_done(self.lake, commit).await?;
            let hours = done.and_then(|done: Done| done.hours);
            anyhow::Ok((commit, hours.is_none_or(|hours| self.meets(&hours))))
        });
        let marks = stream::iter(marks).buffered(READ_AHEAD);
        let wanted = marks.try_filter_map(async |(commit, meets)| Ok(meets.then_some(commit)));
        wanted.try_collect().await
    }

    fn meets(&self, by_hour: &ByHour) -> bool {
        let mut hours = by_hour.values().flat_map(|hours| hours.keys());
        hours.any(|hour| Hour::parse(hour).is_none_or(|hour| self.hours.contains(&hour)))
    }

    /// Rebuilds the parts of these commits, in order.
    async fn commits(&mut self, commits: &[u64]) -> anyhow::Result<()> {
        let may_hold = |key: &String| raw_hour_of(key).is_none_or(|hour| hour >= self.earliest);
        let mut wanted: Vec<Intent> = Vec::new();
        for commit in commits {
            wanted.extend(intents(self.lake, *commit..=*commit).await?);
        }
        wanted.retain(|intent| intent.inputs.iter().any(may_hold));
        let inputs: usize = wanted.iter().map(|intent| intent.inputs.len()).sum();
        let all = self.total.objects + inputs as u64;
        let raw = self.raw_objects(&wanted).await?;
        let existing = self.parts().await?;
        for intent in &wanted {
            let missing = intent
                .inputs
                .iter()
                .filter(|key| !raw.contains(*key))
                .count();
            if missing > 0 {
                self.total.missing_objects += missing as u64;
                tracing::warn!(
                    event = "commit_kept",
                    commit = intent.commit,
                    "the raw objects of the commit have expired: its parts stay as they are"
                );
                continue;
            }
            let summary = self.rebuild_parts(intent, &existing, all).await?;
            self.total.add(&summary);
        }
        Ok(())
    }

    /// Which inputs of the commits exist, by one listing.
    async fn raw_objects(&self, commits: &[Intent]) -> anyhow::Result<BTreeSet<String>> {
        let inputs: BTreeSet<&String> = commits.iter().flat_map(|i| &i.inputs).collect();
        let mut found = BTreeSet::new();
        let Some(first) = inputs.first() else {
            return Ok(found);
        };
        // A listing begins after its start.
        let before = first.get(..first.len() - 1).unwrap_or(RAW);
        let each = |object: ObjectInfo| {
            if inputs.contains(&object.key) {
                found.insert(object.key);
            }
        };
        self.lake.list_each(RAW, Some(before), each).await?;
        Ok(found)
    }

    /// Rebuilds the commit's parts; `existing` are the parts of the hours, of this commit and of others.
    async fn rebuild_parts(
        &self,
        intent: &Intent,
        existing: &[ExistingPart],
        all: u64,
    ) -> anyhow::Result<Summary> {
        let mut summary = Summary {
            commits: 1,
            ..Summary::default()
        };
        let before = self.total.objects;
        let read = move |objects: u64| self.progress.objects(before + objects, all);
        let commit = self.commit(intent, Mode::Rebuild(self.hours.clone()), &read);
        let plan = read_plan(self.lake, intent.commit).await?;
        let written = commit.write_parts(&mut summary, plan).await?;
        for part in existing {
            let own = commit_of(&part.key) == Some(intent.commit);
            let is_written = written.parts.contains(&part.key);
            if own && !is_written {
                commit.store().empty(&part.key).await?;
            }
        }
        Ok(summary)
    }

    /// All parts of the hours.
    async fn parts(&self) -> anyhow::Result<Vec<ExistingPart>> {
        let mut parts = Vec::new();
        let each = |object: ObjectInfo| {
            let found = curated_hour_of(&object.key).filter(|(_, hour)| self.hours.contains(hour));
            let found = found.filter(|_| commit_of(&object.key).is_some());
            if let Some((kind, hour)) = found.map(|(kind, hour)| (kind.to_owned(), hour)) {
                parts.push(ExistingPart {
                    kind,
                    hour,
                    key: object.key,
                });
            }
        };
        self.lake.list_each(CURATED, None, each).await?;
        Ok(parts)
    }

    /// Recounts the aggregates of the hours, also of those whose parts were kept.
    async fn aggregates(&mut self, done: u64) -> anyhow::Result<()> {
        let parts = self.parts().await?.into_iter();
        let hours: BTreeSet<_> = parts.map(|part| (part.kind, part.hour)).collect();
        for (name, hour) in &hours {
            let Some(kind) = self.kinds.get(name) else {
                bail!("kind `{name}` is not declared: set CONTRACTS");
            };
            let fold = Fold {
                lake: self.lake,
                workers: &self.workers,
                kinds: self.kinds,
                kind,
                hour: *hour,
            };
            fold.replace(done).await?;
        }
        self.total.hours = hours.len() as u64;
        Ok(())
    }
}
