//! Hours of every size: one large hour at once and minute by minute, a year of small ones, and lines in any order.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::bench::Bench;
use crate::corpus::{Recipe, VEHICLES};
use crate::hosted_lake::{Aggregation, HostedLake};
use crate::raw_objects::{Cut, Line, RawObjects, line, minute, simulated, this_hour, with_repeats};
use crate::row::{Bar, Row};
use crate::stats::median;

const HOUR: Duration = Duration::from_secs(3600);

/// Events of the hour that the large one is compared with.
const SMALL_HOUR: u64 = 2_000_000;

/// Longest that a request to S3 takes in the scenarios of sparse hours, about that of AWS within a region.
const LATENCY: Duration = Duration::from_millis(12);

const YEAR_HOURS: u64 = 8_760;
const YEAR_VEHICLES: u64 = 20;

/// Hours and lines of `aggregator-shuffled`.
const SHUFFLED_HOURS: u64 = 3_718;
const SHUFFLED_LINES: u64 = 1_460_000;

/// `aggregator-hour`: two rows.
pub(super) async fn one(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let (small, _) = hour_at_once(bench, bench.scaled(SMALL_HOUR)).await?;
    let (large, lines) = hour_at_once(bench, bench.scaled(bench.args.hour_events)).await?;
    let (cpu, small_cpu) = ([large.0], [small.0]);
    let (peak, small_peak) = ([large.1.done.peak_mib], [small.1.done.peak_mib]);
    let row = Row::of("aggregator-hour", "CPU s per million", &cpu)
        .against(&cpu, &small_cpu)
        .ratio_bar(Bar::AtMost, 1.1)
        .with("lines", lines);
    Ok(vec![
        large.1.describe(row),
        Row::of("aggregator-hour-memory", "MiB at most", &peak)
            .against(&peak, &small_peak)
            .bar(Bar::AtMost, 512.0),
    ])
}

fn recipe(events: u64) -> Recipe {
    Recipe {
        events,
        vehicles: VEHICLES,
    }
}

/// CPU per million lines, and the run; and the number of lines.
async fn hour_at_once(bench: &Bench, events: u64) -> anyhow::Result<((f64, Aggregation), u64)> {
    bench.say(format!("making an hour of {events} events"));
    let mut lake = HostedLake::on_disk(bench).await?;
    let lines = lake
        .add(simulated(recipe(events), this_hour(), HOUR)?)
        .await?;
    bench.say(format!("aggregator, an hour of {events} events"));
    let run = lake.aggregate().await?;
    run.expect(events, lines - events)?;
    lake.end().await?;
    Ok(((run.per_million(lines), run), lines))
}

/// `aggregator-minutes`: two rows.
pub(super) async fn by_minutes(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let events = bench.scaled(bench.args.hour_events);
    let ((at_once, _), lines) = hour_at_once(bench, events).await?;
    let mut lake = HostedLake::on_disk(bench).await?;
    let mut objects = RawObjects::of(simulated(recipe(events), this_hour(), HOUR)?, Cut::Minutes);
    let (mut cpu, mut peak, mut seconds) = (0.0, 0.0_f64, Vec::new());
    let (mut counted, mut now) = ((0, 0), None);
    loop {
        let object = objects.next().await?;
        let at = object.as_ref().map(|object| minute(object.received));
        if now.is_some() && at != now {
            bench.say(format!(
                "aggregator, minute {} of an hour",
                seconds.len() + 1
            ));
            let run = lake.aggregate().await?;
            cpu += run.done.cpu;
            peak = peak.max(run.done.peak_mib);
            seconds.push(run.done.seconds);
            counted.0 += run.counted("events")?;
            counted.1 += run.counted("duplicates")?;
        }
        now = at;
        match object {
            Some(object) => object.put(&lake.lake()).await?,
            None => break,
        }
    }
    anyhow::ensure!(
        counted == (events, with_repeats(events) - events),
        "{counted:?} events and duplicates of {events} and their repeats"
    );
    lake.end().await?;
    let cpu = [cpu * 1e6 / lines as f64];
    let (first, last) = seconds.split_at(seconds.len() / 2);
    Ok(vec![
        Row::of("aggregator-minutes", "CPU s per million", &cpu)
            .against(&cpu, &[at_once])
            .with("runs_of_the_hour", seconds.len())
            .with("peak_mib", peak),
        Row::of("aggregator-minutes-pace", "s a run, second half hour", last)
            .with("first_half_hour", median(first)),
    ])
}

/// Events of each vehicle in each hour before `end`, received at `received`; `id` tells apart what is not the same.
fn sparse(
    end: DateTime<Utc>,
    received: DateTime<Utc>,
    hours: u64,
    vehicles: u64,
) -> impl Iterator<Item = Line> + Send + 'static {
    (0..hours * vehicles).map(move |number| {
        let (hour, vehicle) = (number / vehicles, number % vehicles);
        let back = (hours - hour) as i64;
        let time = end - TimeDelta::hours(back)
            + TimeDelta::seconds(vehicle as i64 * 3600 / vehicles as i64);
        let signals = format!(
            "\"engine_rpm\":{},\"fuel_level_pct\":{}",
            800 + number % 4_000,
            number % 100
        );
        line(
            received,
            &format!("sparse-{number}"),
            vehicle,
            time,
            &signals,
        )
    })
}

/// `aggregator-year`: two rows, of a year of sparse hours and of the same year once more.
pub(super) async fn year(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let (hours, end) = (bench.scaled(YEAR_HOURS), this_hour());
    let events = hours * YEAR_VEHICLES;
    bench.say(format!("making {hours} hours of {YEAR_VEHICLES} vehicles"));
    let mut lake = HostedLake::in_memory(bench).await?;
    let mut rows = Vec::new();
    for (at, name) in ["aggregator-year", "aggregator-year: the same again"]
        .iter()
        .enumerate()
    {
        lake.slow_down(Duration::ZERO);
        let received = Utc::now() + TimeDelta::seconds(at as i64);
        lake.add(sparse(end, received, hours, YEAR_VEHICLES))
            .await?;
        lake.slow_down(LATENCY);
        bench.say(format!(
            "{name}: {hours} hours at {} ms a request",
            LATENCY.as_millis()
        ));
        let run = lake.aggregate().await?;
        let counts = if at == 0 { (events, 0) } else { (0, events) };
        run.expect(counts.0, counts.1)?;
        let seconds = [run.done.seconds];
        let mut row = Row::of(*name, "s at 12 ms a request", &seconds)
            .with("hours", hours)
            .with("events", events);
        if at == 0 {
            row = row.bar(Bar::AtMost, 60.0);
        }
        for (operation, count) in &run.requests {
            row = row.with(
                &format!("{operation}_per_hour"),
                *count as f64 / hours as f64,
            );
        }
        rows.push(run.describe(row));
    }
    lake.end().await?;
    Ok(rows)
}

/// `aggregator-shuffled`: a row.
pub(super) async fn shuffled(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let hours = bench.scaled(SHUFFLED_HOURS);
    let each = SHUFFLED_LINES / SHUFFLED_HOURS;
    let (end, received) = (this_hour(), Utc::now());
    let mut runs = Vec::new();
    for shuffles in [false, true] {
        let order = if shuffles { "any order" } else { "order" };
        bench.say(format!("aggregator, {} lines in {order}", hours * each));
        let mut lines: Vec<Line> = sparse(end, received, hours, each).collect();
        if shuffles {
            fastrand::Rng::with_seed(1).shuffle(&mut lines);
        }
        let mut lake = HostedLake::in_memory(bench).await?;
        lake.add(lines.into_iter()).await?;
        let run = lake.aggregate().await?;
        run.expect(hours * each, 0)?;
        lake.end().await?;
        runs.push(run);
    }
    let seconds: Vec<f64> = runs.iter().map(|run| run.done.seconds).collect();
    let (in_order, in_any) = seconds.split_at(1);
    let row = Row::of("aggregator-shuffled", "s, lines in any order", in_any)
        .against(in_any, in_order)
        .ratio_bar(Bar::AtMost, 3.0)
        .with("lines", hours * each)
        .with("hours", hours);
    Ok(vec![runs[1].describe(row)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparse_events_lie_in_each_hour_before_the_end() {
        let end = this_hour();
        let kinds = contract::Kinds::builtin();
        let mut hours = std::collections::BTreeMap::new();
        for line in sparse(end, end, 30, 20) {
            let text = String::from_utf8(line.text).unwrap();
            let event = contract::parse_line(&kinds, &text).unwrap();
            assert!(event.time < end);
            *hours.entry(contract::Hour::of(event.time)).or_insert(0) += 1;
        }
        assert_eq!(hours.len(), 30);
        assert!(hours.values().all(|events| *events == 20));
    }
}
