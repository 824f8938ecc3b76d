//! CPU and memory of ingest, in bulk and one event a post.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;

use crate::bench::{Amount, Bench, Load};
use crate::corpus::Corpus;
use crate::load::LoadReport;
use crate::process::free_port;
use crate::report::{Bar, Row, rounded};
use crate::stand::{Service, Stand};
use crate::stats::median;

/// Vehicles of the events that are sent.
pub(crate) const VEHICLES: u32 = 2_000;

/// Events of a bulk post.
pub(crate) const BATCH: usize = 500;

/// What one load of a service used.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    /// CPU seconds of the service.
    pub(crate) cpu: f64,
    pub(crate) peak_mib: f64,
    pub(crate) load: LoadReport,
}

impl Loaded {
    /// CPU seconds for a million events; the same figure is microseconds an event.
    pub(crate) fn per_million(&self) -> f64 {
        self.cpu * 1e6 / self.load.events as f64
    }
}

/// Bulk posts, as users send them who can wait.
pub(crate) fn bulk_load(amount: Amount) -> Load {
    Load {
        batch: BATCH,
        connections: 16,
        amount,
        rate: None,
    }
}

/// Loads a service once, after a few posts that are not counted.
///
/// # Errors
///
/// If an answer is not what it must be.
pub(crate) async fn loaded(
    bench: &Bench,
    service: &Service,
    corpus: &Corpus,
    load: &Load,
) -> anyhow::Result<Loaded> {
    let warm = Load {
        amount: Amount::Posts(4 * load.connections as u64),
        rate: None,
        ..load.clone()
    };
    bench.load(service, corpus, &warm).await?;
    let before = service.process.cpu()?;
    let report = bench.load(service, corpus, load).await?;
    Ok(Loaded {
        cpu: service.process.cpu()? - before,
        peak_mib: service.process.peak_mib()?,
        load: report,
    })
}

/// One run on an ingest and an emulation of its own.
///
/// # Errors
///
/// If it cannot be measured.
pub(crate) async fn fresh(bench: &Bench, corpus: &Corpus, load: &Load) -> anyhow::Result<Loaded> {
    let mut stand = Stand::local(bench).await?;
    let ingest = stand.ingest(&[]).await?;
    let measured = loaded(bench, &ingest, corpus, load).await?;
    ingest.process.stop().await?;
    stand.end().await?;
    Ok(measured)
}

/// `ingest-bulk`: three rows.
///
/// # Errors
///
/// If it cannot be measured.
pub(crate) async fn bulk(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let corpus = bench.corpus(bench.scaled(1_000_000), VEHICLES).await?;
    let (mut cpu, mut floors, mut peaks, mut last) = (Vec::new(), Vec::new(), Vec::new(), None);
    let (mut written_floors, mut sent_bytes, mut written_bytes) = (Vec::new(), 0.0, 0.0);
    for run in 1..=bench.runs() {
        bench.say(format!("ingest-bulk, run {run}"));
        let floor = bench.floor(&corpus, BATCH, false).await?;
        floors.push(floor.per_million());
        sent_bytes = floor.bytes_per_event;
        let floor = bench.floor(&corpus, BATCH, true).await?;
        written_floors.push(floor.per_million());
        written_bytes = floor.bytes_per_event;
        let measured = fresh(bench, &corpus, &bulk_load(Amount::Corpus)).await?;
        cpu.push(measured.per_million());
        peaks.push(measured.peak_mib);
        last = Some(measured);
    }
    let last = last.context("at least one run")?;
    let row = Row::of("ingest-bulk", "CPU s per million", &cpu)
        .against(&cpu, &floors)
        .with("floor_of_written_lines", rounded(median(&written_floors)))
        .with("bytes_per_event_sent", rounded(sent_bytes))
        .with("bytes_per_event_written", rounded(written_bytes));
    let limited = Row::of("ingest-bulk-cpu", "CPU s per million", &cpu).bar(Bar::AtMost, 2.5);
    let memory = Row::of("ingest-memory", "MiB at most, in bulk", &peaks).bar(Bar::AtMost, 64.0);
    Ok(vec![
        with_load(row.ratio_bar(Bar::AtMost, 2.0), &last.load),
        limited,
        memory,
    ])
}

/// `ingest-single`: one row.
///
/// # Errors
///
/// If it cannot be measured.
pub(crate) async fn single(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let corpus = bench.corpus(bench.scaled(200_000), VEHICLES).await?;
    let load = Load {
        batch: 1,
        connections: 64,
        amount: Amount::Corpus,
        rate: None,
    };
    let (mut cpu, mut bares, mut peaks, mut last) = (Vec::new(), Vec::new(), Vec::new(), None);
    for run in 1..=bench.runs() {
        bench.say(format!("ingest-single, run {run}"));
        let handler = bare(bench).await?;
        bares.push(loaded(bench, &handler, &corpus, &load).await?.per_million());
        handler.process.stop().await?;
        let measured = fresh(bench, &corpus, &load).await?;
        cpu.push(measured.per_million());
        peaks.push(measured.peak_mib);
        last = Some(measured);
    }
    let last = last.context("at least one run")?;
    let row = Row::of("ingest-single", "CPU µs a request", &cpu)
        .against(&cpu, &bares)
        .ratio_bar(Bar::AtMost, 1.5)
        .with("peak_mib", peaks.iter().copied().fold(0.0, f64::max));
    Ok(vec![with_load(row, &last.load)])
}

/// The bare handler as a service of its own.
async fn bare(bench: &Bench) -> anyhow::Result<Service> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let mut process = bench.own("bare", &["bare".to_owned(), format!("--listen={address}")])?;
    process.ready(&format!("http://{address}/readyz")).await?;
    Service::new(process, address)
}

/// Adds what the last run's load generator saw.
pub(crate) fn with_load(row: Row, load: &LoadReport) -> Row {
    row.with("events", load.events)
        .with("posts", load.posts)
        .with("seconds", load.seconds)
        .with("latency_p50_ms", load.latency_ms.p50)
        .with("latency_p95_ms", load.latency_ms.p95)
        .with("latency_p99_ms", load.latency_ms.p99)
        .with("load_cpu_seconds", load.cpu_seconds)
        .with("refusals", load.statuses.values().sum::<u64>() - load.posts)
}
