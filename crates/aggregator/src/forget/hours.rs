//! Parts, and the aggregates that count them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use aws::Condition;
use bytes::Bytes;
use contract::{AGGREGATES, Hour};
use futures::{StreamExt, TryStreamExt, stream};
use lake::key::{commit_of, curated_hour_of, part_key};
use lake::log::{of_hour, read_done, read_plan};
use lake::parts;

use crate::fold::Fold;
use crate::forget::objects::each_page;
use crate::forget::{ForgetReport, Forgetting};
use crate::put::put;

/// Marks of commits that are read at the same time.
const READ_AHEAD: usize = 8;

/// The commits that have looked at events of an hour, each with the number of those that it has written.
pub(super) type Marks = BTreeMap<Hour, Vec<(u64, u64)>>;

impl Forgetting<'_> {
    /// Takes the entity out of the parts that were `found`, and counts their hours again.
    pub(super) async fn parts(
        &self,
        found: &BTreeMap<String, u64>,
        report: &mut ForgetReport,
    ) -> anyhow::Result<()> {
        let mut firsts: BTreeMap<Hour, &String> = BTreeMap::new();
        for key in found.keys() {
            if let Some((_, hour)) = curated_hour_of(key) {
                let first = firsts.entry(hour).or_insert(key);
                *first = (*first).min(key);
            }
        }
        if firsts.is_empty() {
            return Ok(());
        }
        let marks = match report.marks.take() {
            Some(marks) => marks,
            None => self.marks().await?,
        };
        let closed = firsts
            .iter()
            .map(|(hour, first)| self.close(*hour, first, &marks));
        let closed: Vec<_> = closed.collect();
        let closed = stream::iter(closed).buffer_unordered(self.at_once());
        closed.try_collect::<()>().await?;
        report.marks = Some(marks);
        self.replace(found.keys()).await?;
        self.count_again(firsts.into_keys().collect(), report).await
    }

    /// The marks of all commits, by hour of the kind.
    async fn marks(&self) -> anyhow::Result<Marks> {
        let reads = (1..=self.log.done).map(async |commit| {
            let done = read_done(self.lake, commit).await?;
            let hours = done.and_then(|done| done.hours?.remove(&self.kind.name));
            anyhow::Ok((commit, hours.unwrap_or_default()))
        });
        let mut reads = stream::iter(reads).buffered(READ_AHEAD);
        let mut marks = Marks::new();
        while let Some((commit, hours)) = reads.try_next().await? {
            for (hour, events) in hours {
                if let Some(hour) = Hour::parse(&hour) {
                    marks.entry(hour).or_default().push((commit, events));
                }
            }
        }
        Ok(marks)
    }

    /// Puts a part without rows wherever a later commit than that of `first` found nothing to write because all events
    /// stood in earlier parts. A run of that commit that froze before it had compared them, and wakes when these parts
    /// have lost them, would write them again otherwise.
    async fn close(&self, hour: Hour, first: &str, marks: &Marks) -> anyhow::Result<()> {
        let kind = &self.kind.name;
        let since = commit_of(first).unwrap_or_default();
        let later = marks.get(&hour).into_iter().flatten();
        let later: Vec<_> = later.filter(|(commit, _)| *commit > since).collect();
        if later.is_empty() {
            return Ok(());
        }
        let there = parts::between(self.lake, kind, hour, hour).await?;
        let there: BTreeSet<_> = there.into_values().flatten().map(|part| part.key).collect();
        let mut empty: Option<Bytes> = None;
        for (commit, events) in later {
            if *events > 0 && there.contains(&part_key(kind, hour, *commit, 0, 1)) {
                continue;
            }
            let plan = read_plan(self.lake, *commit).await?;
            let parts = plan
                .and_then(|plan| of_hour(&plan.parts, kind, hour))
                .unwrap_or(1);
            for part in 0..parts {
                let key = part_key(kind, hour, *commit, part, parts);
                if there.contains(&key) {
                    continue;
                }
                let file = match &empty {
                    Some(file) => file.clone(),
                    None => empty
                        .insert(parts::emptied(self.lake, first).await?)
                        .clone(),
                };
                put(
                    self.lake,
                    &key,
                    file,
                    Some(("events", 0)),
                    Condition::IfAbsent,
                )
                .await?;
            }
        }
        Ok(())
    }

    async fn count_again(
        &self,
        hours: BTreeSet<Hour>,
        report: &mut ForgetReport,
    ) -> anyhow::Result<()> {
        report.hours.extend(&hours);
        if crate::planted_defects::forget_rows_alone() {
            return Ok(());
        }
        let counts = hours.into_iter().map(async |hour| {
            let fold = Fold {
                lake: self.lake,
                workers: &self.workers,
                kinds: self.kinds,
                kind: self.kind,
                hour,
            };
            fold.replace(self.log.done).await
        });
        let counts: Vec<_> = counts.collect();
        let counts = stream::iter(counts).buffer_unordered(self.workers.threads());
        counts.try_collect().await
    }

    /// Counts the hours again whose aggregates still have the entity: a run may have died before it came to them.
    pub(super) async fn aggregates(&self, report: &mut ForgetReport) -> anyhow::Result<()> {
        each_page(self.lake, AGGREGATES, async |page| {
            self.go_on()?;
            let asked = page.into_iter().filter_map(|object| {
                let hour = self.aggregates_hour(&object.key)?;
                Some((hour, object.key))
            });
            let looks = asked.map(async |(hour, key)| {
                let has = match self.lake.get(&key).await? {
                    Some(object) => self.is_counted(&key, object.body).await?,
                    None => false,
                };
                self.looked_at();
                anyhow::Ok(has.then_some(hour))
            });
            let looks: Vec<_> = looks.collect();
            let found = stream::iter(looks).buffer_unordered(self.at_once());
            let found: BTreeSet<Hour> = found
                .try_filter_map(async |one| Ok(one))
                .try_collect()
                .await?;
            if self.dry_run {
                report.hours.extend(&found);
                return Ok(());
            }
            // The hour of the given time keeps what came later of the entity: it may be counted again in vain.
            let is_whole = |hour: &Hour| {
                self.before
                    .is_none_or(|before| hour.next().start() <= before)
            };
            let known = report.hours.clone();
            self.count_again(found, report).await?;
            report
                .hours
                .retain(|hour| known.contains(hour) || is_whole(hour));
            Ok(())
        })
        .await
    }

    /// The hour of an object of aggregates of the kind, if events of the hour are to be forgotten.
    pub(super) fn aggregates_hour(&self, key: &str) -> Option<Hour> {
        let hour = Hour::parse(key.strip_prefix(AGGREGATES)?)?;
        let name = key.rsplit('/').next()?;
        let kind = name
            .strip_suffix(".parquet")
            .or(name.strip_suffix(".jsonl"))?;
        (kind == self.kind.name && self.is_hour(hour)).then_some(hour)
    }

    pub(super) async fn is_counted(&self, key: &str, body: Bytes) -> anyhow::Result<bool> {
        let (who, of) = (self.who.clone(), key.to_owned());
        let counts = self.workers.run(move || who.in_aggregates(&of, body)).await;
        counts.with_context(|| format!("cannot read `{key}`"))
    }
}
