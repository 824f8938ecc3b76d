//! Does what was drawn for each round, and prints a line about it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::ProgressBar;
use tokio::time::{Instant, sleep_until};

use crate::deployment::Deployment;
use crate::findings::Findings;
use crate::plan::{Kill, Outage, Round, Step, steps};
use crate::processes::START;

/// Goes through the rounds, each of `length`.
pub(crate) async fn run(
    rounds: &[Round],
    length: Duration,
    deployment: &mut Deployment,
    accepted: &AtomicU64,
    bar: &ProgressBar,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    for (at, round) in rounds.iter().enumerate() {
        let start = Instant::now();
        let what = match round {
            Round::Crash(kills) => run_crash(kills, start, deployment).await?,
            Round::Outage(outage) => {
                // A process that starts during the outage would end, and rightly so.
                if let Err(instance) = deployment.processes.alive().await {
                    findings.add(format!(
                        "{instance} did not answer {}s after its start",
                        START.as_secs()
                    ));
                }
                run_outage(outage, Instant::now(), deployment).await
            }
        };
        sleep_until(start + length).await;
        note_ended(deployment, findings)?;
        let accepted = accepted.load(Ordering::Relaxed);
        bar.set_position(at as u64 + 1);
        bar.set_message(format!("{accepted} accepted"));
        let line = format!(
            "round {:>3}/{}  {accepted:>8} accepted  {what}",
            at + 1,
            rounds.len()
        );
        bar.suspend(|| println!("{line}"));
    }
    Ok(())
}

/// Makes a finding of each process that ended though nobody killed it, and starts it again.
pub(crate) fn note_ended(
    deployment: &mut Deployment,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    for (instance, status) in deployment.processes.take_ended()? {
        findings.add(format!("{instance} ended by itself, with {status}"));
        deployment.processes.start(instance)?;
    }
    Ok(())
}

async fn run_crash(
    kills: &[Kill],
    start: Instant,
    deployment: &mut Deployment,
) -> anyhow::Result<String> {
    for (at, step) in steps(kills) {
        sleep_until(start + at).await;
        match step {
            Step::Kill(who) => deployment.processes.kill(who),
            Step::Start(who) => deployment.processes.start(who)?,
        }
    }
    let killed: Vec<String> = kills
        .iter()
        .map(|kill| format!("{} for {:.1} s", kill.who, kill.down.as_secs_f64()))
        .collect();
    Ok(format!("killed {}", killed.join(", ")))
}

async fn run_outage(outage: &Outage, start: Instant, deployment: &Deployment) -> String {
    let faults = deployment.proxy.faults();
    let kind = outage.fault.kind;
    let before = faults.fired(kind);
    sleep_until(start + outage.at).await;
    faults.set(Some(outage.fault));
    sleep_until(start + outage.at + outage.lasts).await;
    faults.set(None);
    format!(
        "{} for {:.1} s: {} hit",
        outage.fault,
        outage.lasts.as_secs_f64(),
        faults.fired(kind) - before
    )
}
