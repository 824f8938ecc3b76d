//! Events each in an hour of its own, as a device with a wrong clock sends them, beside normal load.

use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

use crate::bench::Bench;
use crate::corpus::{Recipe, VEHICLES};
use crate::hosted_lake::{Aggregation, HostedLake};
use crate::raw_objects::{Line, line, simulated, this_hour, with_repeats};
use crate::row::Row;

/// Stray events.
const STRAY: [u64; 2] = [50_000, 190_000];

/// Signals of a stray event; no declaration knows them.
const NAMES: usize = 24;

/// Events of the normal load, in one hour.
const NORMAL: u64 = 500_000;

/// `aggregator-stray`: a row for each number of stray events, of the time until normal load is in the lake.
pub(super) async fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let alone = beside(bench, 0).await?;
    let reference = [alone.done.seconds];
    let mut rows = Vec::new();
    for stray in STRAY {
        let stray = bench.scaled(stray);
        let run = beside(bench, stray).await?;
        let seconds = [run.done.seconds];
        let row = Row::of(
            format!("aggregator-stray: {stray} hours"),
            "s until normal load is in the lake",
            &seconds,
        );
        let row = row
            .against(&seconds, &reference)
            .with("normal_events", bench.scaled(NORMAL))
            .with("normal_alone_peak_mib", alone.done.peak_mib);
        rows.push(run.describe(row));
    }
    Ok(rows)
}

/// A run over normal load and this number of stray events.
async fn beside(bench: &Bench, stray: u64) -> anyhow::Result<Aggregation> {
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
    let run = lake.aggregate().await?;
    run.expect(normal + stray, with_repeats(normal) - normal)?;
    lake.end().await?;
    Ok(run)
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
