//! How cost grows with the work: more events, more vehicles, larger posts, more consumers.

use crate::bench::{Amount, Bench, Load};
use crate::report::Row;
use crate::scenarios::ingest::{BATCH, VEHICLES, bulk_load, fresh};
use crate::scenarios::{aggregator, consumer};

/// By how much the work grows.
const FACTORS: [u64; 3] = [1, 4, 16];

/// Different vehicles.
const FLEETS: [u32; 3] = [1, 1_000, 1_000_000];

/// Events of a post.
const BATCHES: [usize; 5] = [1, 5, 50, 500, 5_000];

/// What each AWS call waits where consumers are counted.
const LATENCY: &str = "--latency=20ms";

/// `growth`: a row for each.
///
/// # Errors
///
/// If it cannot be measured.
pub(crate) async fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    events(bench, &mut rows).await?;
    vehicles(bench, &mut rows).await?;
    batches(bench, &mut rows).await?;
    consumers(bench, &mut rows).await?;
    Ok(rows)
}

/// A row of one run, with memory as a column.
fn row(what: String, unit: &str, value: f64, events: u64, peak_mib: f64) -> Row {
    Row::of(format!("growth: {what}"), unit, &[value])
        .with("events", events)
        .with("peak_mib", peak_mib)
}

async fn events(bench: &Bench, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let unit = "CPU s per million";
    for factor in FACTORS {
        let events = bench.scaled(250_000) * factor;
        let corpus = bench.corpus(events, VEHICLES).await?;
        bench.say(format!("growth: {events} events"));
        let bulk = fresh(bench, &corpus, &bulk_load(Amount::Corpus)).await?;
        let what = format!("ingest-bulk, {factor}x");
        rows.push(row(what, unit, bulk.per_million(), events, bulk.peak_mib));

        let singles = bench.scaled(25_000) * factor;
        let load = Load {
            batch: 1,
            connections: 64,
            amount: Amount::Posts(singles),
            rate: None,
        };
        let single = fresh(bench, &corpus, &load).await?;
        let what = format!("ingest-single, {factor}x");
        rows.push(row(
            what,
            unit,
            single.per_million(),
            singles,
            single.peak_mib,
        ));

        let drained = consumer::drain(bench, &corpus, 1, &[]).await?;
        let what = format!("consumer, {factor}x");
        rows.push(row(
            what,
            unit,
            drained.per_million(),
            events,
            drained.peak_mib,
        ));

        let events = bench.scaled(125_000) * factor;
        let (cpu, peak) = aggregator::of_size(bench, events, VEHICLES).await?;
        rows.push(row(
            format!("aggregator, {factor}x"),
            unit,
            cpu,
            events,
            peak,
        ));
    }
    rows.sort_by(|one, other| {
        let part = |row: &Row| row.scenario.split(',').next().map(str::to_owned);
        part(one).cmp(&part(other))
    });
    Ok(())
}

async fn vehicles(bench: &Bench, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let unit = "CPU s per million";
    let events = bench.scaled(1_000_000);
    let (mut ingest, mut drained, mut aggregated) = (Vec::new(), Vec::new(), Vec::new());
    for vehicles in FLEETS {
        let corpus = bench.corpus(events, vehicles).await?;
        let of = |part: &str| format!("{part}, {vehicles} vehicles");
        bench.say(format!("growth: {vehicles} vehicles"));
        let bulk = fresh(bench, &corpus, &bulk_load(Amount::Corpus)).await?;
        ingest.push(row(
            of("ingest-bulk"),
            unit,
            bulk.per_million(),
            events,
            bulk.peak_mib,
        ));
        let found = consumer::drain(bench, &corpus, 1, &[]).await?;
        drained.push(row(
            of("consumer"),
            unit,
            found.per_million(),
            events,
            found.peak_mib,
        ));
        let (cpu, peak) = aggregator::of_size(bench, events, vehicles).await?;
        aggregated.push(row(of("aggregator"), unit, cpu, events, peak));
    }
    rows.extend([ingest, drained, aggregated].concat());
    Ok(())
}

async fn batches(bench: &Bench, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let corpus = bench.corpus(bench.scaled(1_000_000), VEHICLES).await?;
    for batch in BATCHES {
        let events = match batch {
            1 => bench.scaled(200_000),
            _ => corpus.recipe.events,
        };
        let load = Load {
            batch,
            // Few events a post take many posts at once to fill a message.
            connections: if batch < BATCH { 64 } else { 16 },
            amount: Amount::Posts(events.div_ceil(batch as u64)),
            rate: None,
        };
        bench.say(format!("growth: {batch} events a post"));
        let done = fresh(bench, &corpus, &load).await?;
        let what = format!("ingest, {batch} events a post");
        let unit = "CPU s per million";
        rows.push(row(
            what,
            unit,
            done.per_million(),
            done.load.events,
            done.peak_mib,
        ));
    }
    Ok(())
}

async fn consumers(bench: &Bench, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let corpus = bench.corpus(bench.scaled(1_000_000), VEHICLES).await?;
    for consumers in 1..=4 {
        bench.say(format!("growth: {consumers} consumers"));
        let arguments = [LATENCY.to_owned()];
        let drained = consumer::drain(bench, &corpus, consumers, &arguments).await?;
        let rate = drained.events as f64 / drained.seconds;
        let what = format!("{consumers} consumers, 20 ms a call");
        rows.push(row(
            what,
            "events/s",
            rate,
            drained.events,
            drained.peak_mib,
        ));
    }
    Ok(())
}
