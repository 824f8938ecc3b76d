//! Events each in an hour of its own, as a device with a wrong clock sends them, beside normal load.

use std::time::Duration;

use anyhow::{Context, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use lake::log::read_done;

use crate::bench::Bench;
use crate::corpus::{Recipe, VEHICLES};
use crate::hosted_lake::{Aggregation, HostedLake};
use crate::raw_objects::{Line, line, simulated, this_hour, with_repeats};
use crate::row::{Bar, Row};

/// Stray events.
const STRAY: [u64; 2] = [50_000, 190_000];

/// Signals of a stray event; no declaration knows them.
const NAMES: usize = 24;

/// Events of the normal load, in one hour.
const NORMAL: u64 = 500_000;

/// `aggregator-stray`: rows for each number of stray events, of the time until normal load is in the lake, and of memory.
pub(super) async fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let (alone, alone_seconds) = beside(bench, 0).await?;
    let (reference, peak_alone) = ([alone_seconds], [alone.done.peak_mib]);
    let mut rows = Vec::new();
    for stray in STRAY {
        let stray = bench.scaled(stray);
        let (run, seconds) = beside(bench, stray).await?;
        let (seconds, peak) = ([seconds], [run.done.peak_mib]);
        let row = Row::of(
            format!("aggregator-stray: {stray} hours"),
            "s until normal load is in the lake",
            &seconds,
        );
        let row = row
            .against(&seconds, &reference)
            .bar(Bar::AtMost, 120.0)
            .with("normal_events", bench.scaled(NORMAL))
            .with("commits", run.counted("commits")?);
        rows.push(run.describe(row));
        let memory = format!("aggregator-stray-memory: {stray} hours");
        let memory = Row::of(memory, "MiB at most", &peak);
        rows.push(memory.against(&peak, &peak_alone).bar(Bar::AtMost, 256.0));
    }
    Ok(rows)
}

/// A run over normal load and this number of stray events, and the seconds until its first commit is done, which has the
/// normal load.
async fn beside(bench: &Bench, stray: u64) -> anyhow::Result<(Aggregation, f64)> {
    bench.say(format!(
        "aggregator, {stray} stray events beside normal load"
    ));
    let normal = bench.scaled(NORMAL);
    let recipe = Recipe {
        events: normal,
        vehicles: VEHICLES,
    };
    let mut lake = HostedLake::in_memory(bench).await?;
    let end = this_hour();
    let lines = simulated(recipe, end, Duration::from_secs(3600))?;
    lake.add(lines).await?;
    lake.add(strays(end, stray)).await?;
    let began = Utc::now();
    let run = lake.aggregate().await?;
    run.expect(normal + stray, with_repeats(normal) - normal)?;
    let done = read_done(&lake.lake(), 1).await?;
    let done = done.context("the first commit is not done")?;
    ensure!(
        done.summary.events >= normal,
        "the first commit lacks normal load"
    );
    lake.end().await?;
    let seconds = (done.finished_at - began).as_seconds_f64();
    Ok((run, seconds))
}

/// Events of one vehicle, each an hour before the one that was sent before it.
fn strays(end: DateTime<Utc>, events: u64) -> impl Iterator<Item = Line> + Send + 'static {
    let signals: Vec<String> = (0..NAMES)
        .map(|at| format!("\"stray_{at}\":{at}"))
        .collect();
    let signals = signals.join(",");
    // Not before 2000, which no contract takes.
    let most = (end.timestamp() - 946_684_800) as u64 / 3_600;
    (0..events).map(move |number| {
        let time = end - TimeDelta::hours((number % most) as i64 + 1);
        line(end, &format!("stray-{number}"), 0, time, &signals)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stray_event_has_an_hour_of_its_own() {
        let end = this_hour();
        let kinds = contract::Kinds::builtin();
        let hours: std::collections::BTreeSet<_> = strays(end, 190_000)
            .map(|line| {
                let text = String::from_utf8(line.text).unwrap();
                let event = contract::parse_line(&kinds, &text).unwrap();
                assert_eq!(event.signals.len(), NAMES);
                contract::Hour::of(event.time)
            })
            .collect();
        assert_eq!(hours.len(), 190_000);
    }
}
