//! Rebuilds hours from `raw/`: after a defect was mended, a declaration changed, or objects of `curated/` or
//! `aggregates/` were lost.
//!
//! Each commit is carried out again, in order, for these hours only, and overwrites its own parts: a reader sees each
//! part as it was or as it will be. A part whose raw objects have expired is kept; a part that has no events any more
//! is overwritten by one without rows. Then the aggregates of the hours are recounted from all parts.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Mutex;

use anyhow::{Context, bail};
use aws::{Aws, Lake};
use chrono::TimeDelta;
use contract::{CURATED, Hour, Kind, Kinds, curated_key, raw_hour_of};
use futures::{StreamExt, TryStreamExt, stream};
use lake::aggregates::Aggregates;
use lake::key::curated_hour_of;
use lake::log::{Intent, Log, Summary, intents};
use lake::parts;
use service::terminal::Progress;

use crate::commit::{Commit, Mode};
use crate::config::Config;
use crate::fold;
use crate::log::writer;
use crate::parts::seen_ids::SeenIds;

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
    let kinds = config.kinds()?;
    let lake = aws.lake(&config.lake.lake_bucket);
    let mut rebuild = Rebuild {
        lake: &lake,
        kinds: &kinds,
        hours: from..to,
        earliest: earliest_arrival(&kinds, from),
        seen: Mutex::default(),
        progress,
        total: Summary::default(),
    };
    let mut through = 0;
    loop {
        let mut log = Log::read(&lake).await?;
        if let Some(intent) = log.unfinished.clone() {
            let commit = rebuild.commit(&intent, Mode::Finish, &|_| {});
            let summary = commit.finish().await?;
            writer::finish(&lake, &mut log, &intent, &summary, aws.clock().now()).await?;
        }
        if log.done == through {
            break;
        }
        let intents = intents(&lake, through + 1..=log.done).await?;
        rebuild.commits(intents).await?;
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
    kinds: &'a Kinds,
    hours: Range<Hour>,
    earliest: Hour,
    seen: Mutex<SeenIds>,
    progress: &'a dyn Progress,
    total: Summary,
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
            seen: &self.seen,
            progress,
            mode,
            taken_over: true,
        }
    }

    /// Rebuilds the parts of these commits, in order.
    async fn commits(&mut self, mut intents: Vec<Intent>) -> anyhow::Result<()> {
        let may_hold = |key: &String| raw_hour_of(key).is_none_or(|hour| hour >= self.earliest);
        intents.retain(|intent| intent.inputs.iter().any(may_hold));
        let inputs: usize = intents.iter().map(|intent| intent.inputs.len()).sum();
        let all = self.total.objects + inputs as u64;
        let existing = self.parts().await?;
        for intent in &intents {
            let mut missing = 0;
            for key in &intent.inputs {
                missing += u64::from(self.lake.head(key).await?.is_none());
            }
            if missing > 0 {
                self.total.missing_objects += missing;
                tracing::warn!(
                    event = "commit_kept",
                    commit = intent.commit,
                    "its raw objects have expired: its parts stay as they are"
                );
                continue;
            }
            let summary = self.rebuild_parts(intent, &existing, all).await?;
            self.total.add(&summary);
        }
        Ok(())
    }

    /// Rebuilds the commit's parts; `existing` are the parts of the hours, of this commit and of others.
    async fn rebuild_parts(
        &self,
        intent: &Intent,
        existing: &[(String, Hour, String)],
        all: u64,
    ) -> anyhow::Result<Summary> {
        let mut summary = Summary {
            commits: 1,
            ..Summary::default()
        };
        let before = self.total.objects;
        let read = move |objects: u64| self.progress.objects(before + objects, all);
        let commit = self.commit(intent, Mode::Rebuild(self.hours.clone()), &read);
        let written = commit.write_parts(&mut summary).await?;
        for (kind, hour, key) in existing {
            let own = *key == curated_key(kind, *hour, intent.commit);
            if own && !written.contains(&(kind.as_str(), *hour)) {
                commit.store().empty(key).await?;
            }
        }
        Ok(summary)
    }

    /// Kind, hour and key of all parts of the hours.
    async fn parts(&self) -> anyhow::Result<Vec<(String, Hour, String)>> {
        let listed = self.lake.list(CURATED, None).await?;
        let parts = listed.into_iter().filter_map(|object| {
            let (kind, hour) = curated_hour_of(&object.key)?;
            let wanted = self.hours.contains(&hour);
            wanted.then(|| (kind.to_owned(), hour, object.key.clone()))
        });
        Ok(parts.collect())
    }

    /// Recounts the aggregates of the hours, also of those whose parts were kept.
    async fn aggregates(&mut self, done: u64) -> anyhow::Result<()> {
        let parts = self.parts().await?.into_iter();
        let hours: BTreeSet<_> = parts.map(|(kind, hour, _)| (kind, hour)).collect();
        for (name, hour) in &hours {
            let kind = self.kinds.get(name);
            let undeclared = || format!("kind `{name}` is not declared: set CONTRACTS");
            let kind = kind.with_context(undeclared)?;
            let recount = async |upto: u64| self.recount(kind, *hour, upto).await;
            fold::replace(self.lake, kind, *hour, done, recount).await?;
        }
        self.total.hours = hours.len() as u64;
        Ok(())
    }

    /// Statistics of the hour's parts up to a commit.
    async fn recount(&self, kind: &Kind, hour: Hour, upto: u64) -> anyhow::Result<Aggregates> {
        let mut reads = Vec::new();
        for part in parts::before(self.lake, &kind.name, hour, upto + 1).await? {
            reads.push(async move {
                let rows = parts::read(self.lake, &part.key).await?;
                anyhow::Ok(Aggregates::of(&rows, kind)?)
            });
        }
        let mut reads = stream::iter(reads).buffered(4);
        let mut sum = Aggregates::default();
        while let Some(part) = reads.try_next().await? {
            sum.merge(&part);
        }
        Ok(sum)
    }
}
