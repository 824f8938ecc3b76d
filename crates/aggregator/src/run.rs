//! One run, and `watch`: runs at an interval.

use std::sync::Mutex;
use std::time::Duration;

use anyhow::Context;
use aws::{Aws, Clock, Lake};
use contract::Kinds;
use lake::log::{Intent, Log, Summary};
use service::terminal::Progress;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::commit::{Commit, Mode};
use crate::config::Config;
use crate::log::discover::discover;
use crate::log::writer;
use crate::parts::seen_ids::SeenIds;

/// Runs that failed; a run that succeeds adds 0, so that the metric exists from the first run on.
pub(crate) const FAILED_RUNS: &str = "headwater_aggregator_failed_runs_total";
pub(crate) const EVENTS: &str = "headwater_aggregator_events_total";
pub(crate) const DUPLICATES: &str = "headwater_aggregator_duplicates_total";
pub(crate) const CONFLICTS: &str = "headwater_aggregator_conflicts_total";
pub(crate) const REFUSED: &str = "headwater_aggregator_refused_total";

/// Finishes the commit that another run left unfinished, if any, and then commits all raw objects that no commit
/// names. After `stop` it ends with the commit under way, and leaves the rest for the next run.
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
    run_once(config, aws, stop, progress, &Mutex::default()).await
}

/// [`once`] with the ids that earlier runs of this process have seen.
async fn run_once(
    config: &Config,
    aws: &Aws,
    stop: &CancellationToken,
    progress: &dyn Progress,
    seen: &Mutex<SeenIds>,
) -> anyhow::Result<Summary> {
    let run = async {
        let run = Run {
            kinds: config.kinds()?,
            lake: aws.lake(&config.lake.lake_bucket),
            clock: aws.clock(),
            progress,
            seen,
            writer: Uuid::new_v4(),
        };
        run.take_in(config, stop).await
    };
    let result = run.await;
    metrics::counter!(FAILED_RUNS).increment(result.is_err().into());
    result
}

struct Run<'a> {
    kinds: Kinds,
    lake: Lake,
    clock: Clock,
    progress: &'a dyn Progress,
    seen: &'a Mutex<SeenIds>,
    /// Names the run in the intents that it writes.
    writer: Uuid,
}

impl Run<'_> {
    async fn take_in(&self, config: &Config, stop: &CancellationToken) -> anyhow::Result<Summary> {
        let (lake, clock) = (&self.lake, self.clock);
        let mut total = Summary::default();
        let mut log = Log::read(lake).await?;
        let mut all = 0;
        'discover: while !stop.is_cancelled() {
            if let Some(intent) = log.unfinished.clone() {
                all = all.max(total.objects + intent.inputs.len() as u64);
                self.finish(&mut log, &intent, &mut total, all).await?;
                continue;
            }
            // Objects that land after this listing are left for the next run: under load a run would never end.
            let found = discover(lake, &mut log, clock.now(), config.full).await?;
            all = total.objects + found.len() as u64;
            for chunk in config.cut(&found) {
                if stop.is_cancelled() {
                    break;
                }
                let inputs = chunk.iter().map(|object| object.key.clone()).collect();
                let Some(intent) =
                    writer::begin(lake, &log, self.writer, inputs, clock.now()).await?
                else {
                    // Another run began this commit, perhaps with the same objects.
                    log = Log::read(lake).await?;
                    continue 'discover;
                };
                self.finish(&mut log, &intent, &mut total, all).await?;
            }
            break;
        }
        writer::save(lake, &log).await?;
        Ok(total)
    }

    /// Finishes the commit and adds its counts to `total`; `all` is the number of raw objects that the run has found.
    async fn finish(
        &self,
        log: &mut Log,
        intent: &Intent,
        total: &mut Summary,
        all: u64,
    ) -> anyhow::Result<()> {
        let before = total.objects;
        let read = move |objects: u64| self.progress.objects(before + objects, all);
        let commit = Commit {
            lake: &self.lake,
            kinds: &self.kinds,
            intent,
            seen: self.seen,
            progress: &read,
            mode: Mode::Finish,
            taken_over: intent.writer != self.writer,
        };
        let finished = commit.finish().await;
        let summary =
            finished.with_context(|| format!("cannot finish commit {}", intent.commit))?;
        writer::finish(&self.lake, log, intent, &summary, self.clock.now()).await?;
        tracing::info!(
            event = "commit",
            commit = intent.commit,
            objects = summary.objects,
            events = summary.events,
            duplicates = summary.duplicates,
            conflicts = summary.conflicts,
            refused = summary.refused,
            hours = summary.hours,
            "commit {} added {} events of {} objects to {} hours",
            intent.commit,
            summary.events,
            summary.objects,
            summary.hours
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

/// Runs [`once`] every [`Config::interval`] until `stop`, and returns the sum of all runs. After each run `ran` is
/// told whether it succeeded; a run that fails is logged, and the next run tries again.
pub async fn watch(
    config: &Config,
    aws: &Aws,
    stop: &CancellationToken,
    ran: impl Fn(bool),
) -> Summary {
    let mut total = Summary::default();
    let seen = Mutex::default();
    let mut interval = tokio::time::interval(config.interval.max(Duration::from_millis(100)));
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return total,
            _ = interval.tick() => {}
        }
        let result = run_once(config, aws, stop, &(), &seen).await;
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
