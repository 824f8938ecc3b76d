//! The end of a run: waits until everything is through, and sends back what died of too many receives.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, Utc};
use contract::MAX_RECEIVES;
use indicatif::ProgressBar;
use judge::{Arrivals, Drained, Ledger, wait_for_drain};
use serde::Deserialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::deployment::Deployment;
use crate::findings::Findings;
use crate::reader::Reader;

/// How often letters are sent back. All services run by then, so that the second time there are none.
const MOST_REPLAYS: usize = 3;

/// Longest time of a `batch-consumer dlq` command.
const COMMAND: Duration = Duration::from_secs(120);

/// Time between two looks of the reader.
const POLL: Duration = Duration::from_millis(500);

/// A line of `dlq list --json`.
#[derive(Deserialize)]
struct Letter {
    reason: String,
}

/// Waits until the queue is empty and sends back what died of too many receives; gives the number of
/// letters sent back. What stays in the dead-letter queue is a finding.
pub(crate) async fn drain(
    deployment: &Deployment,
    since: DateTime<Utc>,
    timeout: Duration,
    bar: &ProgressBar,
    findings: &mut Findings,
) -> anyhow::Result<u64> {
    let never = CancellationToken::new();
    let watch = CancellationToken::new();
    let _watching = watch.clone().drop_guard();
    let every = Duration::from_secs(1);
    let arrivals = Arrivals::watch(deployment.lake.clone(), since, every, watch).await?;
    let mut replayed = 0;
    for _ in 0..MOST_REPLAYS {
        let drained = wait_for_drain(&deployment.queue, &arrivals, timeout, &never, |messages| {
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
        let letters = letters(deployment).await?;
        for (reason, count) in &letters {
            // Any other reason says that the event is broken, and ingest accepts no broken event.
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
        let replay = deployment.dlq(&["replay", "--reason", MAX_RECEIVES])?;
        replay.start()?.finish(COMMAND, |_| {}).await?;
    }
    findings.add(format!(
        "messages died of too many receives again after {MOST_REPLAYS} replays, though all services ran"
    ));
    Ok(replayed)
}

/// How many dead letters there are, by reason.
async fn letters(deployment: &Deployment) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut reasons = BTreeMap::new();
    if deployment.dead_letters.depth().await?.total() == 0 {
        return Ok(reasons);
    }
    let list = deployment.dlq(&["list", "--json"])?;
    let listed = list.start()?.finish(COMMAND, |_| {}).await?;
    for line in listed.lines().filter(|line| line.starts_with('{')) {
        let letter: Letter = serde_json::from_str(line)
            .with_context(|| format!("cannot read what `dlq list` says: {line}"))?;
        *reasons.entry(letter.reason).or_default() += 1;
    }
    Ok(reasons)
}

/// Lets the reader look until it has seen every accepted event in `curated/` and all aggregates count
/// all parts, at most `timeout`; then lets it look at everything again.
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
