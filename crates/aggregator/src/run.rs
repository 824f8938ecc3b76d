//! One run, and runs one after the other.

use std::sync::Mutex;
use std::time::Duration;

use anyhow::Context;
use aws::{Aws, Clock, Lake};
use contract::Kinds;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::commit::Work;
use crate::config::Config;
use crate::log::discover::discover;
use crate::parts::seen_ids::KnownIds;
use lake::log::commits::{Intent, Log};
use lake::log::summary::Summary;

/// Counts the runs that failed; with 0 where one succeeded, so that it is there.
pub(crate) const FAILED_RUNS: &str = "headwater_aggregator_failed_runs_total";
/// Events that are new in `curated/`.
pub(crate) const EVENTS: &str = "headwater_aggregator_events_total";
/// Events dropped, for they were there.
pub(crate) const DUPLICATES: &str = "headwater_aggregator_duplicates_total";
/// Events set aside, for their id was there with other content.
pub(crate) const CONFLICTS: &str = "headwater_aggregator_conflicts_total";
/// Lines set aside, for they break their contract.
pub(crate) const REFUSED: &str = "headwater_aggregator_refused_total";

/// Told how far a run has come: raw objects read, and raw objects known to be read.
pub trait Progress: Send + Sync {
    /// `done` of `all` raw objects are read.
    fn objects(&self, done: u64, all: u64);
}

/// For a caller who does not ask.
impl Progress for () {
    fn objects(&self, _: u64, _: u64) {}
}

/// Takes in all raw objects that are there and not committed, finishing first what another run
/// left unfinished. Between commits it looks at `stop`, and then leaves the rest for the next run.
///
/// # Errors
///
/// If the lake cannot be read or written, or holds an event of a kind that is not declared; what
/// is committed stays, and the next run goes on from there.
pub async fn once(
    config: &Config,
    aws: &Aws,
    stop: &CancellationToken,
    progress: &dyn Progress,
) -> anyhow::Result<Summary> {
    run_once(config, aws, stop, progress, &Mutex::default()).await
}

/// The same with what earlier runs of this process know of ids.
async fn run_once(
    config: &Config,
    aws: &Aws,
    stop: &CancellationToken,
    progress: &dyn Progress,
    known: &Mutex<KnownIds>,
) -> anyhow::Result<Summary> {
    let outcome = take_in(config, aws, stop, progress, known).await;
    metrics::counter!(FAILED_RUNS).increment(outcome.is_err().into());
    outcome
}

async fn take_in(
    config: &Config,
    aws: &Aws,
    stop: &CancellationToken,
    progress: &dyn Progress,
    known: &Mutex<KnownIds>,
) -> anyhow::Result<Summary> {
    let run = Run {
        kinds: config.kinds()?,
        lake: aws.lake(&config.lake.lake_bucket),
        clock: aws.clock(),
        progress,
        known,
        writer: Uuid::new_v4(),
    };
    let (lake, clock) = (&run.lake, run.clock);
    let mut total = Summary::default();
    let mut log = Log::read(lake).await?;
    let mut all = 0;
    'discover: while !stop.is_cancelled() {
        if let Some(intent) = log.unfinished.clone() {
            all = all.max(total.objects + intent.inputs.len() as u64);
            run.finish(&mut log, &intent, &mut total, all).await?;
            continue;
        }
        // What lands from here on is for the next run: under load there would be no end.
        let found = discover(lake, &mut log, clock.now(), config.full).await?;
        all = total.objects + found.len() as u64;
        for chunk in config.cut(&found) {
            if stop.is_cancelled() {
                break;
            }
            let inputs = chunk.iter().map(|object| object.key.clone()).collect();
            let Some(intent) = log.begin(lake, run.writer, inputs, clock.now()).await? else {
                // Another run took the number: it may have taken the same objects.
                log = Log::read(lake).await?;
                continue 'discover;
            };
            run.finish(&mut log, &intent, &mut total, all).await?;
        }
        break;
    }
    log.save(lake).await?;
    Ok(total)
}

/// What a run works with.
struct Run<'a> {
    kinds: Kinds,
    lake: Lake,
    clock: Clock,
    progress: &'a dyn Progress,
    known: &'a Mutex<KnownIds>,
    /// Its name in the intents that it begins.
    writer: Uuid,
}

impl Run<'_> {
    /// Finishes the intent and adds what that did to `total`; `all` are the raw objects known.
    async fn finish(
        &self,
        log: &mut Log,
        intent: &Intent,
        total: &mut Summary,
        all: u64,
    ) -> anyhow::Result<()> {
        let before = total.objects;
        let read = move |objects: u64| self.progress.objects(before + objects, all);
        let work = Work {
            lake: &self.lake,
            kinds: &self.kinds,
            commit: intent.commit,
            inputs: &intent.inputs,
            known: self.known,
            progress: &read,
            anew: None,
            taken_over: intent.writer != self.writer,
        };
        let summary = work
            .finish()
            .await
            .with_context(|| format!("cannot finish commit {}", intent.commit))?;
        log.finish(&self.lake, intent, &summary, self.clock.now())
            .await?;
        tracing::info!(
            event = "commit",
            commit = intent.commit,
            objects = summary.objects,
            events = summary.events,
            duplicates = summary.duplicates,
            conflicts = summary.conflicts,
            refused = summary.refused,
            hours = summary.hours
        );
        count(&summary);
        total.add(&summary);
        Ok(())
    }
}

fn count(summary: &Summary) {
    for (name, value) in [
        ("headwater_aggregator_commits_total", summary.commits),
        ("headwater_aggregator_objects_total", summary.objects),
        (EVENTS, summary.events),
        (DUPLICATES, summary.duplicates),
        (CONFLICTS, summary.conflicts),
        (REFUSED, summary.refused),
        ("headwater_aggregator_hours_total", summary.hours),
    ] {
        metrics::counter!(name).increment(value);
    }
}

/// Runs [`once`] every [`Config::interval`] until `stop`. A run that fails is logged, and the next
/// one tries again; `ran` is told how each went.
pub async fn watch(
    config: &Config,
    aws: &Aws,
    stop: &CancellationToken,
    ran: impl Fn(bool),
) -> Summary {
    let mut total = Summary::default();
    let known = Mutex::default();
    let mut interval = tokio::time::interval(config.interval.max(Duration::from_millis(100)));
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return total,
            _ = interval.tick() => {}
        }
        let outcome = run_once(config, aws, stop, &(), &known).await;
        ran(outcome.is_ok());
        match outcome {
            Ok(summary) => total.add(&summary),
            Err(error) => {
                tracing::error!(
                    event = "run_failed",
                    error = format!("{error:#}"),
                    "the next run tries again"
                );
            }
        }
    }
}
