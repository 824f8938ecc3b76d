//! Makes hours anew from `raw/`: after a defect was mended, a declaration changed, or objects of
//! `curated/` or `aggregates/` were lost.
//!
//! Each commit is finished again, in order, for those hours alone, and overwrites its own parts:
//! a reader sees each part as it was or as it is. A part whose raw objects have expired stays as
//! it is. Then the hours' aggregates are counted anew from all their parts.

use std::collections::BTreeSet;
use std::sync::Mutex;

use anyhow::{Context, bail};
use aws::{Aws, Condition};
use chrono::TimeDelta;
use contract::{CURATED, Hour, raw_hour_of};
use futures::{StreamExt, TryStreamExt, stream};

use crate::aggregates::{self, Aggregates};
use crate::commits::{Log, finished_intents};
use crate::config::Config;
use crate::curate::Work;
use crate::curated;
use crate::run::Progress;
use crate::summary::Summary;

/// Makes the event hours from `from` on and before `to` anew.
///
/// # Errors
///
/// As for [`once`](crate::once); running it again goes over all the hours again.
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
    let log = Log::read(&lake).await?;
    // No event arrives before it happened, a wrong clock aside.
    let ahead = kinds
        .iter()
        .map(|kind| kind.time.max_future)
        .max()
        .unwrap_or_default()
        + TimeDelta::hours(1);
    let earliest = Hour::of(from.start() - ahead);
    let intents: Vec<_> = finished_intents(&lake, log.done)
        .await?
        .into_iter()
        .filter(|intent| {
            intent
                .inputs
                .iter()
                .any(|key| raw_hour_of(key).is_none_or(|hour| hour >= earliest))
        })
        .collect();
    let all: u64 = intents
        .iter()
        .map(|intent| intent.inputs.len() as u64)
        .sum();
    let mut total = Summary::default();
    let mut hours = BTreeSet::new();
    let known = Mutex::default();
    for intent in &intents {
        let before = total.objects;
        let read = move |objects: u64| progress.objects(before + objects, all);
        let work = Work {
            lake: &lake,
            kinds: &kinds,
            commit: intent.commit,
            inputs: &intent.inputs,
            known: &known,
            progress: &read,
        };
        let mut present = Vec::new();
        for key in &intent.inputs {
            present.extend(lake.head(key).await?.map(|_| key));
        }
        if present.len() < intent.inputs.len() {
            total.missing_objects += (intent.inputs.len() - present.len()) as u64;
            tracing::warn!(
                event = "commit_kept",
                commit = intent.commit,
                "its raw objects have expired: its parts stay as they are"
            );
            continue;
        }
        let mut summary = Summary {
            commits: 1,
            ..Summary::default()
        };
        let wanted = |_: &contract::Kind, hour: Hour| (from..to).contains(&hour);
        let parts = work
            .write_parts(&mut summary, wanted, Condition::Always)
            .await?;
        hours.extend(parts.iter().map(|part| (part.kind.name.clone(), part.hour)));
        total.add(&summary);
    }
    // Hours whose parts stay as they are may have lost their aggregates.
    for object in lake.list(CURATED, None).await? {
        let Some((kind, rest)) = object
            .key
            .trim_start_matches(CURATED)
            .trim_start_matches("kind=")
            .split_once('/')
        else {
            continue;
        };
        if let Some(hour) = Hour::parse(rest).filter(|hour| (from..to).contains(hour)) {
            hours.insert((kind.to_owned(), hour));
        }
    }
    for (name, hour) in &hours {
        let kind = kinds
            .get(name)
            .with_context(|| format!("kind `{name}` is not declared: set CONTRACTS"))?;
        let work = Work {
            lake: &lake,
            kinds: &kinds,
            commit: 0,
            inputs: &[],
            known: &known,
            progress: &|_| {},
        };
        let recount = async |upto: u64| {
            let keys = work.earlier_parts(name, *hour, upto + 1).await?;
            let mut reads = Vec::new();
            for (key, _) in keys {
                let lake = &lake;
                reads.push(async move {
                    let object = lake
                        .get(&key)
                        .await?
                        .with_context(|| format!("`{key}` was listed and is gone"))?;
                    let rows = curated::from_parquet(object.body, None)
                        .with_context(|| format!("cannot read `{key}`"))?;
                    Aggregates::of(&rows)
                });
            }
            let mut reads = stream::iter(reads).buffered(4);
            let mut sum = Aggregates::default();
            while let Some(part) = reads.try_next().await? {
                sum.merge(&part);
            }
            anyhow::Ok(sum)
        };
        aggregates::replace(&lake, kind, *hour, log.done, recount).await?;
    }
    total.hours = hours.len() as u64;
    Ok(total)
}
