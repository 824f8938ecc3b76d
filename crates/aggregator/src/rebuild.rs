//! Makes hours anew from `raw/`: after a defect was mended, a declaration changed, or objects of
//! `curated/` or `aggregates/` were lost.
//!
//! Each commit is finished again, in order, for those hours alone, and overwrites its own parts:
//! a reader sees each part as it was or as it is. A part whose raw objects have expired stays as
//! it is, and one without events any more is left without rows. Then the hours' aggregates are
//! counted anew from all their parts.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Mutex;

use anyhow::{Context, bail};
use aws::{Aws, Lake};
use chrono::TimeDelta;
use contract::{CURATED, Hour, Kinds, curated_key, raw_hour_of};
use futures::{StreamExt, TryStreamExt, stream};

use crate::aggregates::fold::{self, Aggregates};
use crate::commit::{Part, Work, earlier_parts, kind_and_hour, read_part};
use crate::config::Config;
use crate::parts::seen_ids::KnownIds;
use crate::run::Progress;
use lake::log::commits::{Intent, Log, finished_intents};
use lake::log::summary::Summary;

/// Makes the event hours from `from` on and before `to` anew.
///
/// Runs of other processes may go on meanwhile: a commit that appears is finished and made anew too,
/// for it may have dropped, or taken in, events by parts as they were before.
///
/// # Errors
///
/// As for [`once`](crate::once), and if a raw object is deleted meanwhile; running it again goes over
/// all the hours again.
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
        known: Mutex::default(),
        progress,
        total: Summary::default(),
    };
    let mut through = 0;
    loop {
        let mut log = Log::read(&lake).await?;
        if let Some(intent) = log.unfinished.clone() {
            let summary = rebuild.work(&intent, None, &|_| {}).finish().await?;
            log.finish(&lake, &intent, &summary, aws.clock().now())
                .await?;
        }
        if log.done == through {
            break;
        }
        let intents = finished_intents(&lake, through + 1..=log.done).await?;
        rebuild.commits(&intents).await?;
        through = log.done;
    }
    rebuild.aggregates(through).await?;
    Ok(rebuild.total)
}

/// The first arrival hour whose raw objects can hold events of the hour: no event arrives before it
/// happened, a wrong clock aside.
fn earliest_arrival(kinds: &Kinds, hour: Hour) -> Hour {
    let ahead = kinds.iter().map(|kind| kind.time.max_future).max();
    Hour::of(hour.start() - ahead.unwrap_or_default() - TimeDelta::hours(1))
}

/// What hours are made anew with, and what came of it so far.
struct Rebuild<'a> {
    lake: &'a Lake,
    kinds: &'a Kinds,
    hours: Range<Hour>,
    earliest: Hour,
    known: Mutex<KnownIds>,
    progress: &'a dyn Progress,
    total: Summary,
}

impl Rebuild<'_> {
    fn work<'w>(
        &'w self,
        intent: &'w Intent,
        anew: Option<Range<Hour>>,
        progress: &'w (dyn Fn(u64) + Send + Sync),
    ) -> Work<'w> {
        Work {
            lake: self.lake,
            kinds: self.kinds,
            commit: intent.commit,
            inputs: &intent.inputs,
            known: &self.known,
            progress,
            taken_over: anew.is_none(),
            anew,
        }
    }

    /// Makes the commits' parts anew, in order.
    async fn commits(&mut self, intents: &[Intent]) -> anyhow::Result<()> {
        let may_have = |key: &String| raw_hour_of(key).is_none_or(|hour| hour >= self.earliest);
        let intents: Vec<_> = intents
            .iter()
            .filter(|intent| intent.inputs.iter().any(may_have))
            .collect();
        let inputs: usize = intents.iter().map(|intent| intent.inputs.len()).sum();
        let all = self.total.objects + inputs as u64;
        let there = self.parts().await?;
        for intent in intents {
            let mut present = Vec::new();
            for key in &intent.inputs {
                present.extend(self.lake.head(key).await?.map(|_| key));
            }
            if present.len() < intent.inputs.len() {
                self.total.missing_objects += (intent.inputs.len() - present.len()) as u64;
                tracing::warn!(
                    event = "commit_kept",
                    commit = intent.commit,
                    "its raw objects have expired: its parts stay as they are"
                );
                continue;
            }
            let summary = self.commit(intent, &there, all).await?;
            self.total.add(&summary);
        }
        Ok(())
    }

    /// Makes the commit's parts anew; `there` are those of the hours, of this commit and of others.
    async fn commit(
        &self,
        intent: &Intent,
        there: &[(String, Hour, String)],
        all: u64,
    ) -> anyhow::Result<Summary> {
        let mut summary = Summary {
            commits: 1,
            ..Summary::default()
        };
        let before = self.total.objects;
        let read = move |objects: u64| self.progress.objects(before + objects, all);
        let work = self.work(intent, Some(self.hours.clone()), &read);
        let parts = work.write_parts(&mut summary).await?;
        for (kind, hour, key) in there {
            let is_it = |part: &Part<'_>| part.kind.name == *kind && part.hour == *hour;
            if *key == curated_key(kind, *hour, intent.commit) && !parts.iter().any(is_it) {
                work.empty_part(key).await?;
            }
        }
        Ok(summary)
    }

    /// Kind, hour and key of the parts that the hours have.
    async fn parts(&self) -> anyhow::Result<Vec<(String, Hour, String)>> {
        let listed = self.lake.list(CURATED, None).await?;
        let parts = listed.into_iter().filter_map(|object| {
            let (kind, hour) = kind_and_hour(&object.key)?;
            let wanted = self.hours.contains(&hour);
            wanted.then(|| (kind.to_owned(), hour, object.key.clone()))
        });
        Ok(parts.collect())
    }

    /// Counts the hours' aggregates anew, also of those whose parts have stayed as they are.
    async fn aggregates(&mut self, done: u64) -> anyhow::Result<()> {
        let parts = self.parts().await?;
        let hours: BTreeSet<_> = parts
            .into_iter()
            .map(|(kind, hour, _)| (kind, hour))
            .collect();
        for (name, hour) in &hours {
            let kind = self
                .kinds
                .get(name)
                .with_context(|| format!("kind `{name}` is not declared: set CONTRACTS"))?;
            let recount = async |upto: u64| self.recount(name, *hour, upto).await;
            fold::replace(self.lake, kind, *hour, done, recount).await?;
        }
        self.total.hours = hours.len() as u64;
        Ok(())
    }

    /// The statistics of the hour's parts up to that commit.
    async fn recount(&self, kind: &str, hour: Hour, upto: u64) -> anyhow::Result<Aggregates> {
        let mut reads = Vec::new();
        for (key, _) in earlier_parts(self.lake, kind, hour, upto + 1).await? {
            reads.push(async move { Aggregates::of(&read_part(self.lake, &key).await?) });
        }
        let mut reads = stream::iter(reads).buffered(4);
        let mut sum = Aggregates::default();
        while let Some(part) = reads.try_next().await? {
            sum.merge(&part);
        }
        Ok(sum)
    }
}
