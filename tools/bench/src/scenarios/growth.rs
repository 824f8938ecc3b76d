//! How cost grows with the work: more events, more vehicles, larger posts, more consumers.

use crate::bench::Bench;
use crate::corpus::{Recipe, VEHICLES};
use crate::footprint::Footprint;
use crate::load::{Amount, BATCH, OfferedLoad};
use crate::row::Row;
use crate::scenarios::{aggregator, consumer, ingest};

/// By how much the work grows.
const FACTORS: [u64; 3] = [1, 4, 16];

/// Different vehicles.
const FLEETS: [u32; 3] = [1, 1_000, 1_000_000];

/// Events of a post.
const BATCHES: [usize; 5] = [1, 5, 50, 500, 5_000];

/// How long each AWS call takes where consumers are counted.
const LATENCY: &str = "--latency=20ms";

/// `growth`: a row for each measurement.
pub(super) async fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut rows = events(bench).await?;
    rows.extend(vehicles(bench).await?);
    rows.extend(batches(bench).await?);
    rows.extend(consumers(bench).await?);
    Ok(rows)
}

/// A row of one run, with events and memory as columns.
fn row(what: String, unit: &str, value: f64, footprint: Footprint) -> Row {
    Row::of(format!("growth: {what}"), unit, &[value])
        .with("events", footprint.events)
        .with("peak_mib", footprint.peak_mib)
}

fn cpu_row(what: String, footprint: Footprint) -> Row {
    row(
        what,
        "CPU s per million",
        footprint.per_million(),
        footprint,
    )
}

async fn events(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let (mut bulk, mut single, mut drained, mut aggregated) = (vec![], vec![], vec![], vec![]);
    for factor in FACTORS {
        let events = bench.scaled(250_000) * factor;
        let corpus = bench.corpus(events).await?;
        bench.say(format!("growth: {events} events"));
        let of = |part: &str| format!("{part}, {factor}x");

        let load = OfferedLoad::bulk(Amount::Corpus);
        let found = ingest::fresh(bench, &corpus, &load, &[]).await?;
        bulk.push(cpu_row(of("ingest-bulk"), found.footprint));

        let singles = bench.scaled(25_000) * factor;
        let load = OfferedLoad::single(64, Amount::Posts(singles));
        let found = ingest::fresh(bench, &corpus, &load, &[]).await?;
        single.push(cpu_row(of("ingest-single"), found.footprint));

        let found = consumer::drain(bench, &corpus, 1, &[]).await?;
        drained.push(cpu_row(of("consumer"), found.footprint));

        let events = bench.scaled(125_000) * factor;
        let recipe = Recipe {
            events,
            vehicles: VEHICLES,
        };
        let found = aggregator::once(bench, recipe).await?;
        aggregated.push(cpu_row(of("aggregator"), found));
    }
    Ok([aggregated, drained, bulk, single].concat())
}

async fn vehicles(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let events = bench.scaled(1_000_000);
    let (mut bulk, mut drained, mut aggregated) = (vec![], vec![], vec![]);
    for vehicles in FLEETS {
        let corpus = bench.corpus_of(events, vehicles).await?;
        bench.say(format!("growth: {vehicles} vehicles"));
        let of = |part: &str| format!("{part}, {vehicles} vehicles");
        let load = OfferedLoad::bulk(Amount::Corpus);
        let found = ingest::fresh(bench, &corpus, &load, &[]).await?;
        bulk.push(cpu_row(of("ingest-bulk"), found.footprint));
        let found = consumer::drain(bench, &corpus, 1, &[]).await?;
        drained.push(cpu_row(of("consumer"), found.footprint));
        let found = aggregator::once(bench, corpus.recipe).await?;
        aggregated.push(cpu_row(of("aggregator"), found));
    }
    Ok([bulk, drained, aggregated].concat())
}

async fn batches(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let corpus = bench.corpus(bench.scaled(1_000_000)).await?;
    let mut rows = Vec::new();
    for batch in BATCHES {
        let events = match batch {
            1 => bench.scaled(200_000),
            _ => corpus.recipe.events,
        };
        let load = OfferedLoad {
            batch,
            // Few events a post take many posts at once to fill a message.
            connections: if batch < BATCH { 64 } else { 16 },
            amount: Amount::Posts(events.div_ceil(batch as u64)),
            rate: None,
            ca: None,
        };
        bench.say(format!("growth: {batch} events a post"));
        let done = ingest::fresh(bench, &corpus, &load, &[]).await?;
        let what = format!("ingest, {batch} events a post");
        rows.push(cpu_row(what, done.footprint));
    }
    Ok(rows)
}

async fn consumers(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let corpus = bench.corpus(bench.scaled(1_000_000)).await?;
    let mut rows = Vec::new();
    for consumers in 1..=4 {
        bench.say(format!("growth: {consumers} consumers"));
        let drained = consumer::drain(bench, &corpus, consumers, &[LATENCY.to_owned()]).await?;
        let rate = drained.footprint.events as f64 / drained.seconds;
        let what = format!("{consumers} consumers, 20 ms a call");
        rows.push(row(what, "events/s", rate, drained.footprint));
    }
    Ok(rows)
}
