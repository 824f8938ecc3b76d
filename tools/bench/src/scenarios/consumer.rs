//! The consumer that empties a full queue: its CPU and memory.

use tokio::time::Instant;

use crate::bench::Bench;
use crate::corpus::Corpus;
use crate::deployment::Deployment;
use crate::footprint::Footprint;
use crate::load::{Amount, OfferedLoad};
use crate::row::{Bar, Row};
use crate::stats::median;

/// What one emptying took.
#[derive(Debug, Clone)]
pub(super) struct Drained {
    /// Of all consumers, their start included.
    pub(super) footprint: Footprint,
    /// From the consumers' start until the queue was empty.
    pub(super) seconds: f64,
}

/// Fills a queue through ingest, then lets `consumers` empty it. `emulation` are further arguments of
/// the emulation.
pub(super) async fn drain(
    bench: &Bench,
    corpus: &Corpus,
    consumers: usize,
    emulation: &[String],
) -> anyhow::Result<Drained> {
    let mut deployment = Deployment::emulated(bench, emulation).await?;
    let ingest = deployment.ingest(&[]).await?;
    let load = OfferedLoad::bulk(Amount::Corpus);
    let filled = bench.load(&ingest, corpus, &load).await?;
    ingest.stop().await?;
    let start = Instant::now();
    let mut running = Vec::new();
    for _ in 0..consumers {
        running.push(deployment.consumer(&[]).await?);
    }
    let all: Vec<_> = running.iter().collect();
    deployment.drained(&all, filled.events).await?;
    let seconds = start.elapsed().as_secs_f64();
    let mut footprint = Footprint {
        events: filled.events,
        cpu: 0.0,
        peak_mib: 0.0,
    };
    for consumer in running {
        footprint.cpu += consumer.cpu()?;
        footprint.peak_mib = footprint.peak_mib.max(consumer.peak_mib()?);
        consumer.stop().await?;
    }
    deployment.end().await?;
    Ok(Drained { footprint, seconds })
}

/// `consumer`: two rows.
pub(super) async fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let corpus = bench.corpus(bench.scaled(1_000_000)).await?;
    let (mut cpu, mut peaks, mut seconds) = (Vec::new(), Vec::new(), Vec::new());
    for run in 1..=bench.runs() {
        bench.say(format!("consumer, run {run}"));
        let drained = drain(bench, &corpus, 1, &[]).await?;
        cpu.push(drained.footprint.per_million());
        peaks.push(drained.footprint.peak_mib);
        seconds.push(drained.seconds);
    }
    Ok(vec![
        Row::of("consumer", "CPU s per million", &cpu)
            .bar(Bar::AtMost, 1.0)
            .with("events", corpus.recipe.events)
            .with("seconds", median(&seconds)),
        Row::of("consumer-memory", "MiB at most, emptying a queue", &peaks).bar(Bar::AtMost, 96.0),
    ])
}
