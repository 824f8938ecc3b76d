//! One run, and `watch`: runs at an interval.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use aws::{Aws, Clock, Lake};
use chrono::{DateTime, TimeDelta, Utc};
use contract::Kinds;
use lake::log::{Intent, Log, Summary};
use service::terminal::Progress;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::budget::Budget;
use crate::commit::{Commit, Mode};
use crate::config::Config;
use crate::log::discover::{Found, discover};
use crate::log::writer;
use crate::workers::Workers;

/// Runs that failed; a run that succeeds adds 0, so that the metric exists from the first run on.
pub(crate) const FAILED_RUNS: &str = "headwater_aggregator_failed_runs_total";
pub(crate) const EVENTS: &str = "headwater_aggregator_events_total";
pub(crate) const DUPLICATES: &str = "headwater_aggregator_duplicates_total";
pub(crate) const CONFLICTS: &str = "headwater_aggregator_conflicts_total";
pub(crate) const REFUSED: &str = "headwater_aggregator_refused_total";
/// Values of signals that have no column because their kind has its most names.
pub(crate) const MORE_VALUES: &str = "headwater_aggregator_more_values_total";
/// Kinds and event hours of the last commit.
pub(crate) const COMMIT_HOURS: &str = "headwater_aggregator_commit_hours";
/// Kinds and event hours that commits have put off to later ones.
const HOURS_PUT_OFF: &str = "headwater_aggregator_hours_put_off_total";
/// Age in seconds of the oldest raw object that waits for a commit after the run; 0 if none does.
pub(crate) const LAG: &str = "headwater_aggregator_lag_seconds";

/// Bytes of raw objects for each byte of the parts that they become, about: 12.4 for vehicles, measured.
pub const RAW_PER_PART: u64 = 12;

/// Most raw objects of a commit, whose intent names them all.
const MAX_INPUTS: usize = 100_000;

/// Finishes the commit that another run left unfinished, if any, and then commits all raw objects that no commit
/// names: in one commit, unless they are more than disk and intent can hold. After `stop` it ends with the commit under
/// way, and leaves the rest for the next run.
///
/// # Errors
///
/// If the lake cannot be read or written, or holds an event of a kind that is not declared. The next run goes on after
/// the last commit that was finished.
pub async fn once(
    config: &Config,
    aws: &Aws,
    stop: &CancellationToken,
    progress: &dyn Progress,
) -> anyhow::Result<Summary> {
    run_once(config, aws, stop, progress, When::Always).await
}

/// When raw objects that wait are committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    /// Once they are enough or old enough, as the settings say.
    Worthwhile,
}

async fn run_once(
    config: &Config,
    aws: &Aws,
    stop: &CancellationToken,
    progress: &dyn Progress,
    when: When,
) -> anyhow::Result<Summary> {
    let run = async {
        let run = Run::new(config, aws, progress)?;
        run.take_in(config, stop, when).await
    };
    let result = run.await;
    metrics::counter!(FAILED_RUNS).increment(result.is_err().into());
    result
}

/// Writes a commit that takes in nothing: parts of earlier ones have other content than before. Whoever keeps lists of
/// parts lists again once it is done, and a rebuild begins again.
pub(crate) async fn announce(config: &Config, aws: &Aws) -> anyhow::Result<()> {
    let run = Run::new(config, aws, &())?;
    let mut total = Summary::default();
    loop {
        let mut log = Log::read(&run.lake).await?;
        let begun = match log.unfinished.clone() {
            Some(intent) => Some(intent),
            None => writer::begin(&run.lake, &log, run.writer, &[], run.clock.now()).await?,
        };
        let Some(intent) = begun else {
            continue;
        };
        run.finish(&mut log, &intent, &mut total, 0).await?;
        if intent.writer == run.writer {
            return Ok(());
        }
    }
}

struct Run<'a> {
    kinds: Arc<Kinds>,
    lake: Lake,
    clock: Clock,
    budget: Budget,
    workers: Workers,
    progress: &'a dyn Progress,
    /// Names the run in the intents that it writes.
    writer: Uuid,
    /// Most hours with few events that a commit writes.
    most_hours: usize,
}

impl<'a> Run<'a> {
    fn new(config: &Config, aws: &Aws, progress: &'a dyn Progress) -> anyhow::Result<Run<'a>> {
        Ok(Run {
            kinds: Arc::new(config.kinds()?),
            lake: aws.lake(&config.lake.lake_bucket),
            clock: aws.clock(),
            budget: config.budget(),
            workers: config.workers(),
            progress,
            most_hours: config.commit_max_hours.get(),
            // From the generator that a simulation seeds: the writer decides how rows are divided into parts.
            writer: uuid::Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid(),
        })
    }

    async fn take_in(
        &self,
        config: &Config,
        stop: &CancellationToken,
        when: When,
    ) -> anyhow::Result<Summary> {
        let (lake, clock) = (&self.lake, self.clock);
        let mut total = Summary::default();
        let mut log = Log::read(lake).await?;
        let mut all = 0;
        // Objects of hours that were put off, those of one commit each.
        let mut later: VecDeque<Vec<Found>> = VecDeque::new();
        'discover: while !stop.is_cancelled() {
            if let Some(intent) = log.unfinished.clone() {
                all = all.max(total.objects + intent.inputs.len() as u64);
                later.extend(self.finish(&mut log, &intent, &mut total, all).await?);
                continue;
            }
            // Objects that land after this listing are left for the next run: under load a run would never end.
            let mut found = discover(lake, &mut log, clock.now(), config.full).await?;
            all = total.objects + found.len() as u64;
            let keys: HashSet<&str> = later.iter().flatten().map(|o| o.key.as_str()).collect();
            found.retain(|object| !keys.contains(object.key.as_str()));
            let mut waiting = &found[..];
            while !waiting.is_empty() && !stop.is_cancelled() {
                let now = clock.now();
                if when == When::Worthwhile && !is_worthwhile(config, waiting, now) {
                    break;
                }
                let (chunk, rest) = waiting.split_at(fitting(config, waiting));
                let begun = writer::begin(lake, &log, self.writer, chunk, now).await?;
                let Some(intent) = begun else {
                    // Another run began this commit, perhaps with the same objects.
                    log = Log::read(lake).await?;
                    continue 'discover;
                };
                later.extend(self.finish(&mut log, &intent, &mut total, all).await?);
                waiting = rest;
            }
            metrics::gauge!(LAG).set(age(waiting, clock.now()).as_seconds_f64());
            // One commit of what was put off, and then what has come meanwhile: nothing waits for more than one.
            if stop.is_cancelled() {
                break;
            }
            let Some(objects) = later.pop_front() else {
                break;
            };
            let objects: Vec<Found> = objects.into_iter().filter(|o| !log.has(&o.key)).collect();
            if objects.is_empty() {
                continue;
            }
            let begun = writer::begin(lake, &log, self.writer, &objects, clock.now()).await?;
            match begun {
                Some(intent) => {
                    later.extend(self.finish(&mut log, &intent, &mut total, all).await?);
                }
                None => {
                    log = Log::read(lake).await?;
                    later.push_front(objects);
                }
            }
        }
        writer::save(lake, &log).await?;
        Ok(total)
    }

    /// Finishes the commit and adds its counts to `total`; `all` is the number of raw objects that the run has found.
    /// Returns the objects of hours that it has put off, those of one later commit each.
    async fn finish(
        &self,
        log: &mut Log,
        intent: &Intent,
        total: &mut Summary,
        all: u64,
    ) -> anyhow::Result<Vec<Vec<Found>>> {
        let before = total.objects;
        let read = move |objects: u64| self.progress.objects(before + objects, all);
        let commit = Commit {
            lake: &self.lake,
            kinds: &self.kinds,
            intent,
            budget: &self.budget,
            workers: &self.workers,
            progress: &read,
            mode: Mode::Finish,
            taken_over: intent.writer != self.writer,
            most_hours: self.most_hours,
        };
        let finished = commit.finish().await;
        let (summary, written) =
            finished.with_context(|| format!("cannot finish commit {}", intent.commit))?;
        let now = self.clock.now();
        writer::finish(&self.lake, log, intent, &summary, &written, now).await?;
        tracing::info!(
            event = "commit",
            commit = intent.commit,
            objects = summary.objects,
            events = summary.events,
            duplicates = summary.duplicates,
            conflicts = summary.conflicts,
            refused = summary.refused,
            hours = summary.hours,
            hours_put_off = summary.hours_put_off,
            "commit {} added {} events of {} objects to {} hours",
            intent.commit,
            summary.events,
            summary.objects,
            summary.hours
        );
        count(&summary);
        total.add(&summary);
        Ok(written.put_off)
    }
}

/// Age of the oldest of the objects; 0 if there is none.
fn age(objects: &[Found], now: DateTime<Utc>) -> TimeDelta {
    let oldest = objects.iter().map(Found::arrived).min();
    oldest.map_or(TimeDelta::zero(), |oldest| {
        (now - oldest).max(TimeDelta::zero())
    })
}

/// Whether enough objects wait for a commit, or one has waited long enough.
fn is_worthwhile(config: &Config, objects: &[Found], now: DateTime<Utc>) -> bool {
    let bytes: u64 = objects.iter().map(|object| object.size).sum();
    let max_age = TimeDelta::from_std(config.commit_max_age).unwrap_or(TimeDelta::MAX);
    bytes / RAW_PER_PART >= config.commit_min_bytes.as_u64() || age(objects, now) >= max_age
}

/// How many of the objects one commit takes: their rows must fit on the disk, where they take less than as JSON, or as
/// lines a sixteenth more.
fn fitting(config: &Config, objects: &[Found]) -> usize {
    let mut bytes = 0;
    let fits = |object: &&Found| {
        bytes += object.size + object.size / 16;
        bytes <= config.spill_limit.as_u64()
    };
    let fitting = objects.iter().take(MAX_INPUTS).take_while(fits).count();
    fitting.max(1)
}

fn count(summary: &Summary) {
    metrics::gauge!(COMMIT_HOURS).set(summary.hours as f64);
    for (name, value) in [
        ("headwater_aggregator_commits_total", summary.commits),
        ("headwater_aggregator_objects_total", summary.objects),
        (EVENTS, summary.events),
        (DUPLICATES, summary.duplicates),
        (CONFLICTS, summary.conflicts),
        (REFUSED, summary.refused),
        (MORE_VALUES, summary.more_values),
        ("headwater_aggregator_hours_total", summary.hours),
        (HOURS_PUT_OFF, summary.hours_put_off),
    ] {
        metrics::counter!(name).increment(value);
    }
}

/// Looks every [`Config::interval`] for raw objects until `stop`, commits them once they are worth it, and returns the
/// sum of all runs. After each run `ran` is
/// told whether it succeeded; a run that fails is logged, and the next run tries again.
pub async fn watch(
    config: &Config,
    aws: &Aws,
    stop: &CancellationToken,
    ran: impl Fn(bool),
) -> Summary {
    let mut total = Summary::default();
    let mut interval = tokio::time::interval(config.interval.max(Duration::from_millis(100)));
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return total,
            _ = interval.tick() => {}
        }
        let result = run_once(config, aws, stop, &(), When::Worthwhile).await;
        ran(result.is_ok());
        match result {
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
