//! CPU and memory of ingest, in bulk and one event a post.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use stand::free_port;

use crate::bench::Bench;
use crate::corpus::Corpus;
use crate::deployment::Deployment;
use crate::footprint::Footprint;
use crate::load::{Amount, LoadReport, OfferedLoad};
use crate::processes::RunningService;
use crate::row::{Bar, Row};

/// One load of a service.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    /// Of the service.
    pub(super) footprint: Footprint,
    load: LoadReport,
}

/// Loads a service once, after a few posts that are not counted.
async fn loaded(
    bench: &Bench,
    service: &RunningService,
    corpus: &Corpus,
    load: &OfferedLoad,
) -> anyhow::Result<Loaded> {
    let warm = OfferedLoad {
        amount: Amount::Posts(4 * load.connections as u64),
        rate: None,
        ..load.clone()
    };
    bench.load(service, corpus, &warm).await?;
    let before = service.cpu()?;
    let load = bench.load(service, corpus, load).await?;
    let footprint = Footprint {
        events: load.events,
        cpu: service.cpu()? - before,
        peak_mib: service.peak_mib()?,
    };
    Ok(Loaded { footprint, load })
}

/// One load of an ingest that has an emulation of its own, and these settings.
pub(super) async fn fresh(
    bench: &Bench,
    corpus: &Corpus,
    load: &OfferedLoad,
    settings: &[(&str, &str)],
) -> anyhow::Result<Loaded> {
    let mut deployment = Deployment::emulated(bench, &[]).await?;
    let ingest = deployment.ingest(settings).await?;
    let measured = loaded(bench, &ingest, corpus, load).await?;
    ingest.stop().await?;
    deployment.end().await?;
    Ok(measured)
}

/// `ingest-bulk`: three rows.
pub(super) async fn bulk(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let corpus = bench.corpus(bench.scaled(1_000_000)).await?;
    let (mut cpu, mut floors, mut peaks, mut last) = (Vec::new(), Vec::new(), Vec::new(), None);
    for run in 1..=bench.runs() {
        bench.say(format!("ingest-bulk, run {run}"));
        floors.push(bench.floor(&corpus).await?.per_million());
        let measured = fresh(bench, &corpus, &OfferedLoad::bulk(Amount::Corpus), &[]).await?;
        cpu.push(measured.footprint.per_million());
        peaks.push(measured.footprint.peak_mib);
        last = Some(measured);
    }
    let last = last.context("at least one run")?;
    let row = Row::of("ingest-bulk", "CPU s per million", &cpu)
        .against(&cpu, &floors)
        .ratio_bar(Bar::AtMost, 2.0);
    let limited = Row::of("ingest-bulk-cpu", "CPU s per million", &cpu).bar(Bar::AtMost, 2.5);
    let memory = Row::of("ingest-memory", "MiB at most, in bulk", &peaks).bar(Bar::AtMost, 64.0);
    Ok(vec![with_load(row, &last.load), limited, memory])
}

/// `ingest-single`: one row.
pub(super) async fn single(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let corpus = bench.corpus(bench.scaled(200_000)).await?;
    let load = OfferedLoad::single(64, Amount::Corpus);
    let (mut cpu, mut bares, mut peaks, mut last) = (Vec::new(), Vec::new(), Vec::new(), None);
    for run in 1..=bench.runs() {
        bench.say(format!("ingest-single, run {run}"));
        let handler = bare(bench).await?;
        let reference = loaded(bench, &handler, &corpus, &load).await?;
        bares.push(reference.footprint.per_million());
        handler.stop().await?;
        let measured = fresh(bench, &corpus, &load, &[]).await?;
        cpu.push(measured.footprint.per_million());
        peaks.push(measured.footprint.peak_mib);
        last = Some(measured);
    }
    let last = last.context("at least one run")?;
    let row = Row::of("ingest-single", "CPU µs a request", &cpu)
        .against(&cpu, &bares)
        .ratio_bar(Bar::AtMost, 1.5)
        .with("peak_mib", peaks.iter().copied().fold(0.0, f64::max));
    Ok(vec![with_load(row, &last.load)])
}

/// Starts the bare handler.
async fn bare(bench: &Bench) -> anyhow::Result<RunningService> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    RunningService::start(&bench.own("bare", &address)?, address, address).await
}

/// Adds what the load generator saw.
fn with_load(row: Row, load: &LoadReport) -> Row {
    row.with("events", load.events)
        .with("posts", load.posts)
        .with("seconds", load.seconds)
        .with("latency_p50_ms", load.latency_ms.p50)
        .with("latency_p95_ms", load.latency_ms.p95)
        .with("latency_p99_ms", load.latency_ms.p99)
        .with("load_cpu_seconds", load.cpu_seconds)
        .with("refusals", load.statuses.values().sum::<u64>() - load.posts)
}
