//! The pipeline end to end on LocalStack, which has the machine's cores to share with it.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::bench::{Amount, Bench, Load, read};
use crate::corpus::Corpus;
use crate::http;
use crate::lake;
use crate::load::LoadReport;
use crate::report::{Bar, Row};
use crate::scenarios::ingest::{BATCH, VEHICLES, bulk_load};
use crate::stand::{EVENTS_WRITTEN, Service, Stand};
use crate::stats::median;

/// Longest that a backlog may take to be written.
const LONGEST: Duration = Duration::from_secs(900);

/// How long a load goes on, in seconds.
const SECONDS: f64 = 60.0;

/// Events a second that `localstack-bulk` offers.
const BULK_RATE: f64 = 60_000.0;

/// The consumer's count of messages that are wholly kept.
const MESSAGES: &str = "headwater_consumer_messages_total";

/// Time between two looks at what is written.
const LOOK: Duration = Duration::from_millis(10);

/// What one load of the whole pipeline came to.
struct EndToEnd {
    sent: LoadReport,
    /// Events written, repeats among them.
    written: f64,
    /// Messages that they came in.
    messages: f64,
    /// From the first post until as many events were in `raw/` as were accepted.
    seconds: f64,
}

impl EndToEnd {
    /// Events a second from the first post to the last in `raw/`.
    fn rate(&self) -> f64 {
        self.sent.events as f64 / self.seconds
    }

    fn lost(&self) -> f64 {
        (self.sent.events as f64 - self.written).max(0.0)
    }
}

/// What is there instead of LocalStack, if it is not there.
///
/// # Errors
///
/// If no HTTP client can be set up.
pub(crate) async fn missing(bench: &Bench) -> anyhow::Result<Option<String>> {
    let endpoint = bench.args.localstack_endpoint();
    let url = format!("{endpoint}/_localstack/health");
    let health = match http::client()?.get(&url).send().await {
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

fn stand(bench: &Bench) -> anyhow::Result<Stand> {
    Stand::localstack(bench, &bench.args.localstack_endpoint())
}

/// Waits until a consumer has written so many events.
async fn written(consumer: &Service, events: u64) -> anyhow::Result<()> {
    let deadline = Instant::now() + LONGEST;
    while consumer.metrics().await?.get(EVENTS_WRITTEN) < events as f64 {
        ensure!(
            Instant::now() < deadline,
            "{events} events are not written within {LONGEST:?}"
        );
        sleep(LOOK).await;
    }
    Ok(())
}

async fn end_to_end(
    bench: &Bench,
    packing: Option<&str>,
    corpus: &Corpus,
    load: &Load,
) -> anyhow::Result<EndToEnd> {
    let mut stand = stand(bench)?;
    let settings: Vec<_> = packing
        .map(|packing| ("PACKING", packing))
        .into_iter()
        .collect();
    let ingest = stand.ingest(&settings).await?;
    let consumer = stand.consumer(&[]).await?;
    let sent = bench.load(&ingest, corpus, load).await?;
    ingest.process.stop().await?;
    written(&consumer, sent.events).await?;
    let now = chrono::Utc::now();
    stand.drained(&[&consumer], sent.events, LONGEST).await?;
    let counted = consumer.metrics().await?;
    let done = EndToEnd {
        seconds: (now - sent.started_at).as_seconds_f64(),
        written: counted.get(EVENTS_WRITTEN),
        messages: counted.get(MESSAGES),
        sent,
    };
    consumer.process.stop().await?;
    stand.end().await?;
    Ok(done)
}

/// A row of events a second from the first post to the last event in `raw/`.
async fn throughput(
    bench: &Bench,
    name: &str,
    load: &Load,
    least: f64,
) -> anyhow::Result<Vec<Row>> {
    let corpus = bench.corpus(bench.scaled(1_000_000), VEHICLES).await?;
    let (mut rates, mut drains, mut lost, mut last) = (Vec::new(), Vec::new(), 0.0, None);
    for run in 1..=bench.runs() {
        bench.say(format!("{name}, run {run}"));
        let done = end_to_end(bench, None, &corpus, load).await?;
        rates.push(done.rate());
        drains.push(done.seconds - done.sent.seconds);
        lost += done.lost();
        last = Some(done);
    }
    let last = last.context("at least one run")?;
    let row = Row::of(name, "events/s end to end", &rates)
        .bar(Bar::AtLeast, least)
        .with("lost", lost)
        .with("drain_seconds", median(&drains))
        .with("accepted", last.sent.events)
        .with(
            "accepted_per_second",
            last.sent.events as f64 / last.sent.seconds,
        )
        .with("latency_ms", json!(last.sent.latency_ms))
        .with("statuses", json!(last.sent.statuses));
    Ok(vec![if lost > 0.0 { row.fails() } else { row }])
}

fn seconds(bench: &Bench) -> f64 {
    if bench.args.quick {
        SECONDS / 10.0
    } else {
        SECONDS
    }
}

/// `localstack-bulk`.
///
/// # Errors
///
/// If it cannot be measured.
pub(crate) async fn bulk(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let load = Load {
        rate: Some(BULK_RATE),
        ..bulk_load(Amount::Seconds(seconds(bench)))
    };
    throughput(bench, "localstack-bulk", &load, 50_000.0).await
}

/// `localstack-single`.
///
/// # Errors
///
/// If it cannot be measured.
pub(crate) async fn single(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let load = Load {
        batch: 1,
        connections: 256,
        amount: Amount::Seconds(seconds(bench)),
        rate: None,
    };
    throughput(bench, "localstack-single", &load, 5_000.0).await
}

/// `plain-plan`: as many events as are accepted, against one event a message.
///
/// # Errors
///
/// If it cannot be measured.
pub(crate) async fn plain_plan(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let corpus = bench.corpus(bench.scaled(1_000_000), VEHICLES).await?;
    let (mut ours, mut plain, mut accepted) = (Vec::new(), Vec::new(), Vec::new());
    let mut a_message = Vec::new();
    let posts = bench.scaled(3_000_000) / BATCH as u64;
    for run in 1..=bench.runs() {
        bench.say(format!("plain-plan, run {run}: packs"));
        let load = bulk_load(Amount::Posts(posts));
        ours.push(end_to_end(bench, None, &corpus, &load).await?.rate());
        bench.say(format!("plain-plan, run {run}: one event a message"));
        // Fewer at once: each post is fifty calls to SQS, which must end within SEND_TIMEOUT.
        let load = Load {
            connections: 2,
            ..bulk_load(Amount::Seconds(seconds(bench)))
        };
        let done = end_to_end(bench, Some("none"), &corpus, &load).await?;
        plain.push(done.rate());
        accepted.push(done.sent.events as f64 / done.sent.seconds);
        a_message.push(done.written / done.messages);
    }
    let row = Row::of("plain-plan", "events/s end to end, ours", &ours)
        .against(&ours, &plain)
        .ratio_bar(Bar::AtLeast, 100.0)
        .with("plain_accepted_per_second", median(&accepted))
        .with("plain_events_a_message", median(&a_message));
    // An ingest that packs all the same shows nothing.
    let plain = median(&a_message) < 1.5;
    Ok(vec![if plain { row } else { row.fails() }])
}

/// `localstack-10k`: 10,000 events in twenty posts.
///
/// # Errors
///
/// If it cannot be measured.
pub(crate) async fn ten_thousand(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let corpus = bench.corpus(10_000, VEHICLES).await?;
    let mut rows = Vec::new();
    for (name, adaptive, bar) in [
        ("localstack-10k", "true", Some(1.0)),
        ("localstack-10k: as designed", "false", None),
    ] {
        let mut runs = Vec::new();
        for run in 1..=bench.runs() {
            bench.say(format!("{name}, run {run}"));
            let mut stand = stand(bench)?;
            let ingest = stand.ingest(&[]).await?;
            let consumer = stand.consumer(&[("BATCH_ADAPTIVE", adaptive)]).await?;
            let process = bench.start_load(&ingest, &corpus, &bulk_load(Amount::Corpus))?;
            written(&consumer, 10_000).await?;
            let now = chrono::Utc::now();
            let sent: LoadReport = read(process).await?;
            runs.push((now - sent.started_at).as_seconds_f64());
            ingest.process.stop().await?;
            consumer.process.stop().await?;
            stand.end().await?;
        }
        let row = Row::of(name, "s from the first post to the last event in S3", &runs);
        rows.push(match bar {
            Some(bar) => row.bar(Bar::AtMost, bar),
            None => row,
        });
    }
    Ok(rows)
}

/// `localstack-trickle`: 100 single events a second.
///
/// # Errors
///
/// If it cannot be measured.
pub(crate) async fn trickle(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let load = Load {
        batch: 1,
        connections: 16,
        amount: Amount::Seconds(seconds(bench)),
        rate: Some(100.0),
    };
    let corpus = bench.corpus(10_000, VEHICLES).await?;
    let mut rows = Vec::new();
    for (name, adaptive) in [("as designed", "false"), ("adaptive", "true")] {
        let (mut p50, mut p99, mut events) = (Vec::new(), Vec::new(), 0);
        for run in 1..=bench.runs() {
            bench.say(format!("localstack-trickle, {name}, run {run}"));
            let mut stand = stand(bench)?;
            let ingest = stand.ingest(&[]).await?;
            let consumer = stand.consumer(&[("BATCH_ADAPTIVE", adaptive)]).await?;
            let sent = bench.load(&ingest, &corpus, &load).await?;
            stand.drained(&[&consumer], sent.events, LONGEST).await?;
            ingest.process.stop().await?;
            let logs = consumer.process.log()?;
            let (found, counted) = lake::latencies(&stand.cloud, &stand.name, &logs).await?;
            p50.push(found.p50 / 1e3);
            p99.push(found.p99 / 1e3);
            events += counted;
            consumer.process.stop().await?;
            stand.end().await?;
        }
        let row = |quantile: &str, runs: &[f64]| {
            let name = format!("localstack-trickle: {name}, {quantile}");
            Row::of(name, "s from ingest to S3", runs).with("events", events)
        };
        match adaptive {
            "true" => {
                rows.push(row("p50", &p50));
                rows.push(row("p99", &p99).bar(Bar::AtMost, 0.5));
            }
            _ => {
                rows.push(row("p50", &p50).bar(Bar::AtMost, 1.5));
                rows.push(row("p99", &p99).bar(Bar::AtMost, 3.0));
            }
        }
    }
    Ok(rows)
}
