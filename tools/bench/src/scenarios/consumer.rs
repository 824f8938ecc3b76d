//! The consumer that empties a full queue: its CPU and memory.

use std::time::Duration;

use tokio::time::Instant;

use crate::bench::{Amount, Bench};
use crate::corpus::Corpus;
use crate::report::{Bar, Row};
use crate::scenarios::ingest::{VEHICLES, bulk_load};
use crate::stand::Stand;

/// Longest that the queue may take to empty.
pub(crate) const LONGEST: Duration = Duration::from_secs(600);

/// What one emptying took.
#[derive(Debug, Clone)]
pub(crate) struct Drained {
    pub(crate) events: u64,
    /// CPU seconds of the consumers, from their start.
    pub(crate) cpu: f64,
    /// The most memory of one of them.
    pub(crate) peak_mib: f64,
    /// From their start until the queue was empty.
    pub(crate) seconds: f64,
}

impl Drained {
    /// CPU seconds for a million events.
    pub(crate) fn per_million(&self) -> f64 {
        self.cpu * 1e6 / self.events as f64
    }
}

/// Fills a queue through ingest, then lets `consumers` empty it.
///
/// # Errors
///
/// If it cannot be measured.
pub(crate) async fn drain(
    bench: &Bench,
    corpus: &Corpus,
    consumers: usize,
    emulation: &[String],
) -> anyhow::Result<Drained> {
    let mut stand = Stand::emulated(bench, emulation).await?;
    let ingest = stand.ingest(&[]).await?;
    let filled = bench
        .load(&ingest, corpus, &bulk_load(Amount::Corpus))
        .await?;
    ingest.process.stop().await?;
    let start = Instant::now();
    let mut running = Vec::new();
    for _ in 0..consumers {
        running.push(stand.consumer(&[]).await?);
    }
    stand
        .drained(&running.iter().collect::<Vec<_>>(), filled.events, LONGEST)
        .await?;
    let mut drained = Drained {
        events: filled.events,
        cpu: 0.0,
        peak_mib: 0.0,
        seconds: start.elapsed().as_secs_f64(),
    };
    for consumer in running {
        drained.cpu += consumer.process.cpu()?;
        drained.peak_mib = drained.peak_mib.max(consumer.process.peak_mib()?);
        consumer.process.stop().await?;
    }
    stand.end().await?;
    Ok(drained)
}

/// `consumer`: two rows.
///
/// # Errors
///
/// If it cannot be measured.
pub(crate) async fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let corpus = bench.corpus(bench.scaled(1_000_000), VEHICLES).await?;
    let (mut cpu, mut peaks, mut seconds) = (Vec::new(), Vec::new(), Vec::new());
    for run in 1..=bench.runs() {
        bench.say(format!("consumer, run {run}"));
        let drained = drain(bench, &corpus, 1, &[]).await?;
        cpu.push(drained.per_million());
        peaks.push(drained.peak_mib);
        seconds.push(drained.seconds);
    }
    Ok(vec![
        Row::of("consumer", "CPU s per million", &cpu)
            .bar(Bar::AtMost, 1.0)
            .with("events", corpus.recipe.events)
            .with("seconds", crate::stats::median(&seconds)),
        Row::of("consumer-memory", "MiB at most, emptying a queue", &peaks).bar(Bar::AtMost, 96.0),
    ])
}
