//! Crash rounds and outage rounds on real processes: `judge crash`.
//!
//! The services run as processes under load, several consumers and aggregators at once. They are
//! killed with `kill -9` and started again, and the endpoint behind them fails, while a reader
//! holds the lake against what may be seen of it at any moment. In the end everything accepted
//! must stand in `curated/` once.

mod drain;
mod faults;
mod findings;
mod guarded;
mod load;
mod plan;
mod processes;
mod proxy;
mod reader;
mod report;
mod rounds;
mod settings;
mod stand;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::Context;
use chrono::Utc;
use contract::Kinds;
use indicatif::ProgressBar;
use simulator::Exit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use self::faults::FaultKind;
use self::load::Load;
use self::plan::Service;
use self::report::Report;
use self::stand::Stand;
use crate::check::{Question, judge};
use crate::commands::usage;
use crate::ledger::Ledger;
use crate::scope::Scope;
use crate::terminal::bar;

pub use findings::Findings;
pub use reader::Reader;
pub use settings::CrashConfig;

/// Longest time for all processes to answer after a start.
const START: Duration = Duration::from_secs(120);

/// Pause between two looks of the reader: it must not be the load.
const BETWEEN_LOOKS: Duration = Duration::from_millis(300);

/// Runs the rounds and judges. The first stop kills all processes and ends without a verdict.
pub(crate) async fn run(config: &CrashConfig, stop: &CancellationToken) -> Exit {
    if let Err(error) = config.check() {
        return usage(&error);
    }
    let seed = config.seed.unwrap_or_else(rand::random);
    let prepared = tokio::select! {
        biased;
        () = stop.cancelled() => return stopped(),
        prepared = Stand::prepare(config, seed) => prepared,
    };
    let mut stand = match prepared {
        Ok(stand) => stand,
        Err(error) => return usage(&error),
    };
    let folder = stand.logs.folder.display().to_string();
    println!(
        "{} crash rounds and {} outage rounds of {} with seed {seed}, logs in {folder}",
        config.rounds,
        config.outages,
        humantime::format_duration(config.round_time)
    );
    let bar = bar(
        u64::from(config.rounds + config.outages),
        "{wide_bar} {pos}/{len} rounds, {elapsed}, {msg}",
    );
    let worked = tokio::select! {
        biased;
        () = stop.cancelled() => None,
        worked = work(config, seed, &mut stand, &bar) => Some(worked),
    };
    bar.finish_and_clear();
    let clean = match worked {
        Some(Ok(report)) => {
            println!("{report}");
            report.is_clean()
        }
        Some(Err(error)) => {
            eprintln!("judge: {error:#}");
            false
        }
        None => {
            // Before anything else: a second signal ends the judge at once.
            stand.processes.end();
            stopped();
            false
        }
    };
    match clean {
        true => {
            stand.logs.remove_if_temporary();
            Exit::Fine
        }
        false => {
            eprintln!("judge: the services' logs and the ledger are in {folder}");
            Exit::Failed
        }
    }
}

fn stopped() -> Exit {
    eprintln!("judge: stopped before a verdict: all processes are killed");
    Exit::Failed
}

async fn work(
    config: &CrashConfig,
    seed: u64,
    stand: &mut Stand,
    bar: &ProgressBar,
) -> anyhow::Result<Report> {
    let (start, since) = (Instant::now(), Utc::now());
    let kinds = Arc::new(Kinds::builtin());
    stand.processes.start_all()?;
    if let Err(process) = stand.processes.alive(START).await {
        anyhow::bail!(
            "{process} does not answer {}s after its start",
            START.as_secs()
        );
    }
    let reading = CancellationToken::new();
    let reader = Reader::new(stand.lake.clone(), kinds.clone());
    let reader = AbortOnDropHandle::new(tokio::spawn(read(reader, reading.clone())));
    let accepted = Arc::new(AtomicU64::new(0));
    let load = Load {
        ingest_url: stand.ingest_url()?,
        api_key: stand.api_key.clone(),
        kinds: kinds.clone(),
        rate: config.rate,
        seed,
        expected: config.round_time * (config.rounds + config.outages),
        accepted: accepted.clone(),
    };
    let ledger = Ledger::kept_in(&stand.logs.folder.join("ledger.ndjson"))?;
    let loading = CancellationToken::new();
    let mut load = AbortOnDropHandle::new(tokio::spawn(load.run(ledger, loading.clone())));

    let mut findings = Findings::default();
    let rounds = plan::rounds(
        seed,
        config.rounds,
        config.outages,
        config.counts(),
        config.round_time,
    );
    let went = rounds::go(
        &rounds,
        config.round_time,
        stand,
        &accepted,
        bar,
        &mut findings,
    );
    let early = tokio::select! {
        went = went => {
            went?;
            None
        }
        early = &mut load => Some(early),
    };
    loading.cancel();
    bar.set_message("ending the load");
    let (ledger, sent) = match early {
        // A post failed for good: the faults end here, and what was accepted is judged.
        Some(early) => {
            stand.proxy.faults().set(None);
            stand.processes.start_all()?;
            early
        }
        None => load.await,
    }
    .context("the load broke off")??;

    // From here on a failure is told among the findings, so that none of them is lost with it.
    let drained = drain::drain(stand, since, config.timeout, bar, &mut findings).await;
    let redriven = drained.unwrap_or_else(|error| {
        findings.add(format!("the drain broke off: {error:#}"));
        0
    });
    reading.cancel();
    let (mut reader, failed_looks) = reader.await.context("the reader broke off")?;
    if let Err(error) = drain::settle(&mut reader, &ledger, config.timeout, bar).await {
        findings.add(format!("the last looks broke off: {error:#}"));
    }
    rounds::note_ended(stand, &mut findings)?;
    bar.set_message("reading the lake");
    let scope = Scope::everything();
    let verdict = judge(&stand.lake, &kinds, &ledger, &Question::new(&scope)).await;
    let mut report = Report {
        crashes: config.rounds,
        outages: config.outages,
        seed,
        wall: start.elapsed(),
        kills: Service::ALL.map(|service| stand.processes.kills(service)),
        faults: FaultKind::ALL.map(|kind| stand.proxy.faults().fired(kind)),
        sent,
        redriven,
        reader,
        failed_looks,
        findings,
        verdict,
    };
    report.note_what_lacks();
    Ok(report)
}

/// Looks until it is told to stop; gives the reader back, and the number of looks that failed.
async fn read(mut reader: Reader, stop: CancellationToken) -> (Reader, u64) {
    let mut failed = 0;
    while !stop.is_cancelled() {
        if let Err(error) = reader.look().await {
            failed += 1;
            tracing::warn!(event = "look_failed", %error, "looking again");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(BETWEEN_LOOKS) => {}
        }
    }
    (reader, failed)
}
