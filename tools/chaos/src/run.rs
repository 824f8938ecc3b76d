//! A whole run: prepare, load and rounds, drain, verdict.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::Context;
use chrono::Utc;
use contract::Kinds;
use indicatif::ProgressBar;
use judge::{Ledger, Question, Scope, judge};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::alerts::{self, AlertsConfig};
use crate::config::{Command, Config};
use crate::deployment::Deployment;
use crate::faults::FaultKind;
use crate::findings::Findings;
use crate::instance::Service;
use crate::load::SteadyLoad;
use crate::logs::Logs;
use crate::processes::START;
use crate::reader::Reader;
use crate::report::RoundsReport;
use crate::{drain, plan, rounds};

/// Pause between two looks of the reader, which must not become a load of its own.
const BETWEEN_LOOKS: Duration = Duration::from_millis(300);

/// Runs the rounds and judges; says whether nothing is wrong. What it finds is printed. The first stop
/// kills all processes and ends the run without a verdict, which is not clean.
///
/// # Errors
///
/// If the settings cannot work, a program is missing, or the endpoint cannot be used.
pub async fn run(config: &Config, stop: &CancellationToken) -> anyhow::Result<bool> {
    config.check()?;
    let seed = config.seed.unwrap_or_else(rand::random);
    if let Some(Command::Alerts(alerts)) = &config.command {
        return kill_alerts(config, alerts, seed, stop).await;
    }
    let mut deployment = tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(stopped()),
        prepared = Deployment::prepare(config, seed) => prepared?,
    };
    let folder = deployment.logs.folder.display().to_string();
    println!(
        "{} crash rounds and {} outage rounds of {} with seed {seed}, logs in {folder}",
        config.rounds,
        config.outages,
        humantime::format_duration(config.round_time)
    );
    let bar = service::terminal::bar(
        "testing",
        u64::from(config.rounds + config.outages),
        "rounds",
    );
    let worked = tokio::select! {
        biased;
        () = stop.cancelled() => None,
        worked = work(config, seed, &mut deployment, &bar) => Some(worked),
    };
    bar.finish_and_clear();
    let clean = match worked {
        Some(Ok(report)) => {
            println!("{report}");
            report.is_clean()
        }
        Some(Err(error)) => {
            eprintln!("chaos: {error:#}");
            false
        }
        None => {
            // Before anything else: a second signal ends this program at once.
            deployment.processes.kill_all();
            stopped()
        }
    };
    if clean {
        deployment.logs.remove_if_temporary();
    } else {
        eprintln!("chaos: the services' logs and the ledger are in {folder}");
    }
    Ok(clean)
}

async fn kill_alerts(
    config: &Config,
    alerts: &AlertsConfig,
    seed: u64,
    stop: &CancellationToken,
) -> anyhow::Result<bool> {
    alerts.check()?;
    let logs = Logs::prepare(config.logs.as_deref(), &format!("alerts-{seed}"))?;
    let folder = logs.folder.display().to_string();
    println!("alerts is killed, seed {seed}, logs in {folder}");
    let clean = alerts::run(alerts, seed, &logs, stop).await?;
    if clean {
        logs.remove_if_temporary();
    } else {
        eprintln!("chaos: the log of alerts is in {folder}");
    }
    Ok(clean)
}

fn stopped() -> bool {
    eprintln!("chaos: stopped before a verdict: all processes are killed");
    false
}

async fn work(
    config: &Config,
    seed: u64,
    deployment: &mut Deployment,
    bar: &ProgressBar,
) -> anyhow::Result<RoundsReport> {
    let (start, since) = (Instant::now(), Utc::now());
    let kinds = Arc::new(Kinds::builtin());
    deployment.processes.start_all()?;
    if let Err(instance) = deployment.processes.alive().await {
        anyhow::bail!(
            "{instance} does not answer {}s after its start",
            START.as_secs()
        );
    }
    let reading = CancellationToken::new();
    let reader = Reader::new(deployment.lake.clone(), kinds.clone());
    let reader = AbortOnDropHandle::new(tokio::spawn(read(reader, reading.clone())));
    let accepted = Arc::new(AtomicU64::new(0));
    let load = SteadyLoad {
        ingest_url: deployment.ingest_url()?,
        trust: deployment.trust.clone().unwrap_or_default(),
        api_key: deployment.api_key.clone(),
        kinds: kinds.clone(),
        rate: config.rate,
        seed,
        expected: config.round_time * (config.rounds + config.outages),
        accepted: accepted.clone(),
    };
    let ledger = Ledger::kept_in(&deployment.logs.folder.join("ledger.ndjson"))?;
    let loading = CancellationToken::new();
    let mut load = AbortOnDropHandle::new(tokio::spawn(load.run(ledger, loading.clone())));

    let mut findings = Findings::default();
    let drawn = plan::rounds(
        seed,
        config.rounds,
        config.outages,
        config.counts(),
        config.round_time,
    );
    let round_time = config.round_time;
    let gone_through = rounds::run(
        &drawn,
        round_time,
        deployment,
        &accepted,
        bar,
        &mut findings,
    );
    let early = tokio::select! {
        gone_through = gone_through => {
            gone_through?;
            None
        }
        early = &mut load => Some(early),
    };
    loading.cancel();
    bar.set_message("ending the load");
    let (ledger, sent) = match early {
        // A post failed for good: the faults end here, and what was accepted is judged.
        Some(early) => {
            deployment.proxy.faults().set(None);
            deployment.processes.start_all()?;
            early
        }
        None => load.await,
    }
    .context("the load broke off")??;

    // From here on an error becomes a finding, so that those found before are reported too.
    let drained = drain::drain(deployment, since, config.timeout, bar, &mut findings).await;
    let redriven = drained.unwrap_or_else(|error| {
        findings.add(format!("the drain broke off: {error:#}"));
        0
    });
    reading.cancel();
    let (mut reader, failed_looks) = reader.await.context("the reader broke off")?;
    if let Err(error) = drain::settle(&mut reader, &ledger, config.timeout, bar).await {
        findings.add(format!("the last looks broke off: {error:#}"));
    }
    rounds::note_ended(deployment, &mut findings)?;
    bar.set_message("reading the lake");
    let scope = Scope::everything();
    let verdict = judge(&deployment.lake, &kinds, &ledger, &Question::new(&scope)).await;
    let mut report = RoundsReport {
        crashes: config.rounds,
        outages: config.outages,
        seed,
        wall: start.elapsed(),
        kills: Service::ALL.map(|service| deployment.processes.kills(service)),
        faults: FaultKind::ALL.map(|kind| deployment.proxy.faults().fired(kind)),
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

/// Lets the reader look until `stop`; gives it back, and the number of looks that failed.
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
