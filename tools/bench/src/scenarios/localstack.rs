//! The pipeline end to end on LocalStack, which has the machine's cores to share with it.

use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use stand::http_client;

use crate::bench::Bench;
use crate::corpus::Corpus;
use crate::deployment::{Deployment, EVENTS_WRITTEN};
use crate::latency;
use crate::load::{Amount, BATCH, LoadReport, OfferedLoad};
use crate::pipeline::Pipeline;
use crate::row::{Bar, Row};
use crate::stats::median;

/// How long a load goes on, in seconds.
const SECONDS: f64 = 60.0;

/// Events a second that `localstack-bulk` offers.
const BULK_RATE: f64 = 60_000.0;

/// The consumer's count of messages whose events are all written.
const MESSAGES: &str = "headwater_consumer_messages_total";

/// Longest that LocalStack may take to say what it is.
const HEALTH: Duration = Duration::from_secs(60);

/// What one load of the whole pipeline came to.
struct EndToEnd {
    sent: LoadReport,
    /// Events written, repeats included.
    written: f64,
    /// Messages that the events came in.
    messages: f64,
    /// From the first post until as many events were in `raw/` as were accepted.
    seconds: f64,
}

impl EndToEnd {
    /// Events a second from the first post to the last in `raw/`.
    fn rate(&self) -> f64 {
        self.sent.events as f64 / self.seconds
    }
}

/// Says that LocalStack is missing, if it is.
pub(super) async fn missing(bench: &Bench) -> anyhow::Result<Option<String>> {
    let endpoint = bench.args.localstack_endpoint();
    let url = format!("{endpoint}/_localstack/health");
    let health = match http_client(HEALTH)?.get(&url).send().await {
        Ok(answer) => answer.json::<Value>().await.unwrap_or_default(),
        Err(_) => Value::Null,
    };
    // The embedded emulation answers here too, and has no edition.
    Ok(health["edition"].is_null().then(|| {
        format!(
            "there is no LocalStack at {endpoint}: `localstack/up` starts one at LOCALSTACK_PORT (4566), \
             and LOCALSTACK_PORT or AWS_ENDPOINT_URL says here where it is"
        )
    }))
}

async fn end_to_end(
    bench: &Bench,
    settings: &[(&str, &str)],
    corpus: &Corpus,
    load: &OfferedLoad,
) -> anyhow::Result<EndToEnd> {
    let pipeline = Pipeline::start(Deployment::localstack(bench)?, settings, &[]).await?;
    let sent = bench.load(&pipeline.ingest, corpus, load).await?;
    pipeline.written(sent.events).await?;
    let now = chrono::Utc::now();
    pipeline.drained(sent.events).await?;
    let counted = pipeline.consumer.metrics().await?;
    pipeline.end().await?;
    Ok(EndToEnd {
        seconds: (now - sent.started_at).as_seconds_f64(),
        written: counted.get(EVENTS_WRITTEN),
        messages: counted.get(MESSAGES),
        sent,
    })
}

/// A row of events a second from the first post to the last event in `raw/`.
async fn throughput(
    bench: &Bench,
    name: &str,
    load: &OfferedLoad,
    least: f64,
) -> anyhow::Result<Vec<Row>> {
    let corpus = bench.corpus(bench.scaled(1_000_000)).await?;
    let (mut rates, mut drains, mut lost, mut last) = (Vec::new(), Vec::new(), 0.0, None);
    for run in 1..=bench.runs() {
        bench.say(format!("{name}, run {run}"));
        let done = end_to_end(bench, &[], &corpus, load).await?;
        rates.push(done.rate());
        drains.push(done.seconds - done.sent.seconds);
        lost += (done.sent.events as f64 - done.written).max(0.0);
        last = Some(done.sent);
    }
    let sent = last.context("at least one run")?;
    let row = Row::of(name, "events/s end to end", &rates)
        .bar(Bar::AtLeast, least)
        .with("lost", lost)
        .with("drain_seconds", median(&drains))
        .with("accepted", sent.events)
        .with("accepted_per_second", sent.events as f64 / sent.seconds)
        .with("latency_ms", json!(sent.latency_ms))
        .with("statuses", json!(sent.statuses));
    Ok(vec![if lost > 0.0 { row.fails() } else { row }])
}

fn seconds(bench: &Bench) -> Amount {
    let part = if bench.args.quick { 0.1 } else { 1.0 };
    Amount::Seconds(SECONDS * part)
}

/// `localstack-bulk`: one row.
pub(super) async fn bulk(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let load = OfferedLoad {
        rate: Some(BULK_RATE),
        ..OfferedLoad::bulk(seconds(bench))
    };
    throughput(bench, "localstack-bulk", &load, 50_000.0).await
}

/// `localstack-single`: one row.
pub(super) async fn single(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let load = OfferedLoad::single(256, seconds(bench));
    throughput(bench, "localstack-single", &load, 5_000.0).await
}

/// `plain-plan`: as many events as are accepted, against one event a message.
pub(super) async fn plain_plan(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let corpus = bench.corpus(bench.scaled(1_000_000)).await?;
    let (mut ours, mut plain, mut accepted) = (Vec::new(), Vec::new(), Vec::new());
    let mut per_message = Vec::new();
    let posts = bench.scaled(3_000_000) / BATCH as u64;
    for run in 1..=bench.runs() {
        bench.say(format!("plain-plan, run {run}: packs"));
        let load = OfferedLoad::bulk(Amount::Posts(posts));
        ours.push(end_to_end(bench, &[], &corpus, &load).await?.rate());
        bench.say(format!("plain-plan, run {run}: one event a message"));
        // Fewer at once: each post is fifty calls to SQS, which must end within SEND_TIMEOUT.
        let load = OfferedLoad {
            connections: 2,
            ..OfferedLoad::bulk(seconds(bench))
        };
        let done = end_to_end(bench, &[("PACKING", "none")], &corpus, &load).await?;
        plain.push(done.rate());
        accepted.push(done.sent.events as f64 / done.sent.seconds);
        per_message.push(done.written / done.messages);
    }
    let row = Row::of("plain-plan", "events/s end to end, ours", &ours)
        .against(&ours, &plain)
        .ratio_bar(Bar::AtLeast, 100.0)
        .with("plain_accepted_per_second", median(&accepted))
        .with("plain_events_a_message", median(&per_message));
    // An ingest that packs all the same shows nothing.
    let plain = median(&per_message) < 1.5;
    Ok(vec![if plain { row } else { row.fails() }])
}

/// `localstack-10k`: 10,000 events in twenty posts, two rows.
pub(super) async fn ten_thousand(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let corpus = bench.corpus(10_000).await?;
    let mut rows = Vec::new();
    for (name, adaptive, bar) in [
        ("localstack-10k", "true", Some(1.0)),
        ("localstack-10k: as designed", "false", None),
    ] {
        let mut runs = Vec::new();
        for run in 1..=bench.runs() {
            bench.say(format!("{name}, run {run}"));
            let adaptive = [("BATCH_ADAPTIVE", adaptive)];
            let pipeline = Pipeline::start(Deployment::localstack(bench)?, &[], &adaptive).await?;
            let load = OfferedLoad::bulk(Amount::Corpus);
            let (sent, written_at) =
                tokio::try_join!(bench.load(&pipeline.ingest, &corpus, &load), async {
                    pipeline.written(10_000).await?;
                    anyhow::Ok(chrono::Utc::now())
                })?;
            runs.push((written_at - sent.started_at).as_seconds_f64());
            pipeline.end().await?;
        }
        let row = Row::of(name, "s from the first post to the last event in S3", &runs);
        rows.push(match bar {
            Some(bar) => row.bar(Bar::AtMost, bar),
            None => row,
        });
    }
    Ok(rows)
}

/// `localstack-trickle`: 100 single events a second, four rows.
pub(super) async fn trickle(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let load = OfferedLoad {
        rate: Some(100.0),
        ..OfferedLoad::single(16, seconds(bench))
    };
    let corpus = bench.corpus(10_000).await?;
    let mut rows = Vec::new();
    for (name, adaptive, p50_bar, p99_bar) in [
        ("as designed", "false", Some(1.5), 3.0),
        ("adaptive", "true", None, 0.5),
    ] {
        let (mut p50, mut p99, mut events) = (Vec::new(), Vec::new(), 0);
        for run in 1..=bench.runs() {
            bench.say(format!("localstack-trickle, {name}, run {run}"));
            let adaptive = [("BATCH_ADAPTIVE", adaptive)];
            let pipeline = Pipeline::start(Deployment::localstack(bench)?, &[], &adaptive).await?;
            pipeline.load(bench, &corpus, &load).await?;
            let (found, counted) = latency::ingest_to_s3(&pipeline).await?;
            p50.push(found.p50 / 1e3);
            p99.push(found.p99 / 1e3);
            events += counted;
            pipeline.end().await?;
        }
        let row = |quantile: &str, runs: &[f64]| {
            let name = format!("localstack-trickle: {name}, {quantile}");
            Row::of(name, "s from ingest to S3", runs).with("events", events)
        };
        rows.push(match p50_bar {
            Some(bar) => row("p50", &p50).bar(Bar::AtMost, bar),
            None => row("p50", &p50),
        });
        rows.push(row("p99", &p99).bar(Bar::AtMost, p99_bar));
    }
    Ok(rows)
}
