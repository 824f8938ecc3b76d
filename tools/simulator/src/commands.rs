//! What the binary does with its settings.

use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use chrono::{TimeDelta, Utc};
use indicatif::ProgressBar;
use sender::send;
use service::errors::chain;
use service::terminal;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::{Command, Config, FleetConfig, ReplayConfig, TargetConfig, ahead_of_clock};
use crate::event::DueEvent;
use crate::exit::Exit;
use crate::simulate::Generator;
use crate::summary::Summary;

/// Does what the settings say until done or `stop` is cancelled.
pub async fn run(config: &Config, stop: &CancellationToken) -> Exit {
    let result = match &config.command {
        Some(Command::Replay(replay)) => run_replay(replay, &config.target, stop).await,
        None => run_fleet(&config.fleet, &config.target, stop).await,
    };
    result.unwrap_or_else(|error| {
        eprintln!("simulator: {error:#}");
        Exit::Usage
    })
}

async fn run_fleet(
    fleet: &FleetConfig,
    target: &TargetConfig,
    stop: &CancellationToken,
) -> anyhow::Result<Exit> {
    let plan = fleet.plan(Utc::now(), rand::random())?;
    let generator = Generator::new(&plan)?;
    let interval = fleet.interval();
    let events = generator.paced(interval);
    if target.dry_run {
        return Ok(print(events, stop).await.0);
    }
    if ahead_of_clock(
        &plan,
        interval.is_some() && fleet.span.is_none(),
        Utc::now(),
    ) > TimeDelta::minutes(5)
    {
        warn!(
            event = "simulated_future",
            "the last events will be in the future: ingest refuses those past its limit"
        );
    }
    let (client, options) = (
        target.client()?.stopped_by(stop.clone()),
        target.send_options()?,
    );
    info!(event = "simulator_start", vehicles = plan.vehicles, cells = plan.cells, seed = plan.seed,
        start = %contract::format_millis(plan.start), url = %target.ingest_url,
        "sending {} at {}",
        plan.count.map_or("until stopped".into(), |count| format!("{count} events")),
        if interval.is_some() { format!("{} events/s", fleet.rate) } else { "full speed".into() });
    let bar = match plan.count {
        Some(count) => terminal::bar("sending", count, "events"),
        None => ProgressBar::hidden(),
    };
    let mut summary = Summary::default();
    let (ended, _) = send(Arc::new(client), events, &options, stop, |posted| {
        summary.add(posted);
        bar.inc(posted.events.len() as u64);
    })
    .await;
    summary.ended = ended;
    bar.finish_and_clear();
    Ok(report(&summary, None))
}

async fn run_replay(
    replay: &ReplayConfig,
    target: &TargetConfig,
    stop: &CancellationToken,
) -> anyhow::Result<Exit> {
    let events = replay.replay()?;
    if target.dry_run {
        let (exit, events) = print(events, stop).await;
        if let Some(events) = events {
            eprintln!("{}", events.counts());
        }
        return Ok(exit);
    }
    let (client, options) = (
        target.client()?.stopped_by(stop.clone()),
        target.send_options()?,
    );
    info!(event = "replay_start", files = replay.files.len(), url = %target.ingest_url, "sending recorded events");
    let bar = terminal::bar_of_bytes("sending", total_bytes(&replay.files));
    let read = events.bytes_read();
    let mut summary = Summary::default();
    let (ended, events) = send(Arc::new(client), events, &options, stop, |posted| {
        summary.add(posted);
        bar.set_position(read.load(Ordering::Relaxed));
    })
    .await;
    summary.ended = ended;
    bar.finish_and_clear();
    Ok(report(
        &summary,
        events.map(|events| events.counts().to_string()),
    ))
}

fn total_bytes(files: &[PathBuf]) -> u64 {
    files
        .iter()
        .filter_map(|path| path.metadata().ok())
        .map(|about| about.len())
        .sum()
}

/// Prints events as NDJSON, without pace, until the source or the reader ends.
async fn print<S, E>(source: S, stop: &CancellationToken) -> (Exit, Option<S>)
where
    S: Iterator<Item = Result<DueEvent, E>> + Send + 'static,
    E: std::error::Error + 'static,
{
    let stop = stop.clone();
    let printing = tokio::task::spawn_blocking(move || {
        let mut source = source;
        let mut out = BufWriter::new(std::io::stdout().lock());
        let mut exit = Exit::Fine;
        while let Some(event) = source.next().filter(|_| !stop.is_cancelled()) {
            let written = match event {
                Ok(event) => writeln!(out, "{}", event.body),
                Err(error) => {
                    eprintln!("simulator: {}", chain(&error));
                    exit = Exit::Failed;
                    break;
                }
            };
            // A reader that has seen enough, such as `head`, is no error.
            if written.is_err() {
                break;
            }
        }
        let _ = out.flush();
        (exit, source)
    });
    match printing.await {
        Ok((exit, source)) => (exit, Some(source)),
        Err(_) => (Exit::Failed, None),
    }
}

/// Prints the summary, and what to do where something failed.
fn report(summary: &Summary, read: Option<String>) -> Exit {
    if let Some(read) = read {
        println!("{read}");
    }
    println!("{summary}");
    if let Some(failure) = &summary.ended.failure {
        eprintln!("simulator: {}", chain(failure));
        if let Some(advice) = failure.advice() {
            eprintln!("{advice}");
        }
    }
    if summary.broken_accepted() > 0 {
        warn!(
            event = "broken_accepted",
            count = summary.broken_accepted(),
            "ingest accepted events that break their contract"
        );
    }
    if summary.is_fine() {
        Exit::Fine
    } else {
        Exit::Failed
    }
}
