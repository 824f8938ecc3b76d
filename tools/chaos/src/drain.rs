//! The end of a run: everything through, what died of too many receives sent back, all judged.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use contract::MAX_RECEIVES;
use indicatif::ProgressBar;
use judge::{Arrivals, Drained, Ledger, wait_for_drain};
use serde::Deserialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::findings::Findings;
use crate::guarded::{Guarded, binary};
use crate::reader::Reader;
use crate::stand::Stand;

/// How often letters are sent back: while all services run, the second time there are none.
const MOST_REPLAYS: usize = 3;

/// Longest time of a `dlq` command.
const COMMAND: Duration = Duration::from_secs(120);

/// Time between two looks at the lake.
const POLL: Duration = Duration::from_millis(500);

/// A line of `dlq list --json`, as far as it matters.
#[derive(Deserialize)]
struct Letter {
    reason: String,
}

/// Waits until the queue is empty, sending back what died of too many receives; says how many
/// letters that were. What stays in the dead-letter queue is a finding.
pub(crate) async fn drain(
    stand: &Stand,
    since: DateTime<Utc>,
    timeout: Duration,
    bar: &ProgressBar,
    findings: &mut Findings,
) -> anyhow::Result<u64> {
    let never = CancellationToken::new();
    let watch = CancellationToken::new();
    let _watching = watch.clone().drop_guard();
    let every = Duration::from_secs(1);
    let arrivals = Arrivals::watch(stand.lake.clone(), since, every, watch).await?;
    let mut replayed = 0;
    for _ in 0..MOST_REPLAYS {
        let drained = wait_for_drain(&stand.queue, &arrivals, timeout, &never, |messages| {
            bar.set_message(format!("draining: {messages} messages"));
            bar.tick();
        })
        .await?;
        if let Drained::No { messages } = drained {
            findings.add(format!(
                "the queue did not drain within {}: {messages} messages are left",
                humantime::format_duration(timeout)
            ));
            return Ok(replayed);
        }
        let letters = letters(stand).await?;
        for (reason, count) in &letters {
            // Others have been judged unfit, and of the load's accepted events none is.
            if reason != MAX_RECEIVES {
                findings.add(format!(
                    "{count} accepted events are dead letters: {reason}"
                ));
            }
        }
        let Some(count) = letters.get(MAX_RECEIVES) else {
            return Ok(replayed);
        };
        replayed += count;
        command(stand, &["dlq", "replay", "--reason", MAX_RECEIVES]).await?;
    }
    findings.add(format!(
        "messages died of too many receives again after {MOST_REPLAYS} replays, though all services ran"
    ));
    Ok(replayed)
}

/// The dead letters by their reasons.
async fn letters(stand: &Stand) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut reasons = BTreeMap::new();
    if stand.dead_letters.depth().await?.total() == 0 {
        return Ok(reasons);
    }
    let listed = command(stand, &["dlq", "list", "--json"]).await?;
    for line in listed.lines().filter(|line| line.starts_with('{')) {
        let letter: Letter = serde_json::from_str(line)
            .with_context(|| format!("cannot read what `dlq list` says: {line}"))?;
        *reasons.entry(letter.reason).or_default() += 1;
    }
    Ok(reasons)
}

/// Runs a command of batch-consumer and gives what it printed.
async fn command(stand: &Stand, arguments: &[&str]) -> anyhow::Result<String> {
    let log = stand.logs.folder.join("dlq.log");
    let before = std::fs::metadata(&log).map_or(0, |log| log.len());
    let binary = binary("batch-consumer")?;
    let mut process = Guarded::start(&binary, arguments, &stand.variables, &log)?;
    let status = tokio::time::timeout(COMMAND, process.end())
        .await
        .with_context(|| format!("batch-consumer {} does not end", arguments.join(" ")))??;
    let said = std::fs::read(&log).with_context(|| format!("cannot read `{}`", log.display()))?;
    let said = String::from_utf8_lossy(said.get(before as usize..).unwrap_or_default());
    if !status.success() {
        bail!(
            "batch-consumer {} ended with {status}: {}",
            arguments.join(" "),
            said.trim()
        );
    }
    Ok(said.into_owned())
}

/// Looks until the reader has seen every accepted event in `curated/` and all aggregates count all
/// parts, at most `timeout`; then looks at everything anew.
pub(crate) async fn settle(
    reader: &mut Reader,
    ledger: &Ledger,
    timeout: Duration,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + timeout;
    loop {
        reader.look().await?;
        let missing = ledger
            .accepted_identities()
            .filter(|identity| !reader.has(identity))
            .count();
        let behind = reader.behind().len();
        bar.set_message(format!(
            "waiting for the aggregators: {missing} events, {behind} hours"
        ));
        bar.tick();
        if (missing == 0 && behind == 0) || Instant::now() >= deadline {
            break;
        }
        tokio::time::sleep(POLL).await;
    }
    bar.set_message("looking at everything once more");
    bar.tick();
    reader.last_look().await?;
    Ok(())
}
