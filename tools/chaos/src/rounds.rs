//! Goes through the rounds, a line each.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::ProgressBar;
use tokio::time::{Instant, sleep_until};

use crate::findings::Findings;
use crate::plan::{Kill, Outage, Round, Step, steps};
use crate::run::START;
use crate::stand::Stand;

/// Goes through the rounds; a process that ends by itself is a finding, and is started again.
pub(crate) async fn go(
    rounds: &[Round],
    length: Duration,
    stand: &mut Stand,
    accepted: &AtomicU64,
    bar: &ProgressBar,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    for (at, round) in rounds.iter().enumerate() {
        let start = Instant::now();
        let what = match round {
            Round::Crash(kills) => crash(kills, start, stand).await?,
            Round::Outage(outage) => {
                // A process that starts while nothing answers ends, and says so: no fault of its own.
                if let Err(process) = stand.processes.alive(START).await {
                    findings.add(format!(
                        "{process} did not answer {}s after its start",
                        START.as_secs()
                    ));
                }
                self::outage(outage, Instant::now(), stand).await
            }
        };
        sleep_until(start + length).await;
        note_ended(stand, findings)?;
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

/// Takes note of processes that ended though nobody killed them, and starts them again.
pub(crate) fn note_ended(stand: &mut Stand, findings: &mut Findings) -> anyhow::Result<()> {
    for (process, status) in stand.processes.ended()? {
        findings.add(format!("{process} ended by itself, with {status}"));
        stand.processes.start(process)?;
    }
    Ok(())
}

async fn crash(kills: &[Kill], start: Instant, stand: &mut Stand) -> anyhow::Result<String> {
    for (at, step) in steps(kills) {
        sleep_until(start + at).await;
        match step {
            Step::Kill(who) => stand.processes.kill(who),
            Step::Start(who) => stand.processes.start(who)?,
        }
    }
    let killed: Vec<String> = kills
        .iter()
        .map(|kill| format!("{} for {:.1} s", kill.who, kill.down.as_secs_f64()))
        .collect();
    Ok(format!("killed {}", killed.join(", ")))
}

async fn outage(outage: &Outage, start: Instant, stand: &Stand) -> String {
    let faults = stand.proxy.faults();
    let kind = outage.weather.kind;
    let before = faults.fired(kind);
    sleep_until(start + outage.at).await;
    faults.set(Some(outage.weather));
    sleep_until(start + outage.at + outage.lasts).await;
    faults.set(None);
    format!(
        "{} for {:.1} s: {} hit",
        outage.weather,
        outage.lasts.as_secs_f64(),
        faults.fired(kind) - before
    )
}
