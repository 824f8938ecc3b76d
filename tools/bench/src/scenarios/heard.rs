//! Markers among a load on LocalStack: how long each takes from its `202` until somebody hears of it, by SQL or by the
//! webhook of an alert.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use serde_json::{Value, json};
use stand::http_client;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::bench::Bench;
use crate::corpus::Corpus;
use crate::deployment::Deployment;
use crate::load::{API_KEY, Amount, OfferedLoad};
use crate::pipeline::Pipeline;
use crate::processes::RunningService;
use crate::row::{Bar, Row};
use crate::stats::{Latencies, latencies_ms};

/// How long markers are sent among the load, in seconds.
const SECONDS: f64 = 60.0;

/// How long the load goes on after the last marker, in seconds: until all are heard of, for a pipeline that has become
/// quiet waits longer before it takes an event for the last one.
const AFTER: f64 = 45.0;

/// Time between two markers.
const BETWEEN: Duration = Duration::from_millis(200);

/// Pause between two questions.
const LOOK: Duration = Duration::from_millis(50);

/// Longest wait for the last marker.
const LONGEST: Duration = Duration::from_secs(120);

/// The key of readers.
const READ_KEY: &str = "the-key-of-the-harness";

/// The rules: each entity with a marker fires both.
const RULES: &str = "\
groups:
  - name: bench
    rules:
      - alert: max
        expr: max_over_time(marker{kind=\"vehicle\"}[60s]) > 0
      - alert: avg
        expr: avg_over_time(marker{kind=\"vehicle\"}[60s]) > 0
";

/// When each marker was accepted, and how long it took until it was heard of by each way.
#[derive(Debug, Default)]
struct Markers {
    accepted: Mutex<HashMap<String, Instant>>,
    heard: Mutex<HashMap<(&'static str, String), u32>>,
}

impl Markers {
    /// Notes that the marker is accepted now.
    fn accept(&self, entity: String) {
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        accepted.insert(entity, Instant::now());
    }

    /// Notes that somebody heard of the marker; the first time counts.
    fn hear(&self, way: &'static str, entity: &str) {
        let now = Instant::now();
        let accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(since) = accepted.get(entity) else {
            return;
        };
        let micros = now.duration_since(*since).as_micros();
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard
            .entry((way, entity.to_owned()))
            .or_insert(u32::try_from(micros).unwrap_or(u32::MAX));
    }

    fn count(&self) -> usize {
        self.heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    fn latencies(&self, way: &str) -> Latencies {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let of_way = heard.iter().filter(|((by, _), _)| *by == way);
        let mut micros: Vec<u32> = of_way.map(|(_, micros)| *micros).collect();
        latencies_ms(&mut micros)
    }

    /// The markers that took longest, with the seconds that they took.
    fn slowest(&self, way: &str) -> Vec<(String, f64)> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let of_way = heard.iter().filter(|((by, _), _)| *by == way);
        let mut slowest: Vec<_> = of_way
            .map(|((_, entity), micros)| (entity.clone(), f64::from(*micros) / 1e6))
            .collect();
        slowest.sort_by(|a, b| b.1.total_cmp(&a.1));
        slowest.truncate(10);
        slowest
    }

    /// Posts markers, each of an entity of its own, for as long as the load goes on, and gives how many.
    async fn post(&self, ingest: &RunningService, seconds: f64) -> anyhow::Result<usize> {
        let http = http_client(LONGEST)?;
        let url = format!("http://{}/v1/events/vehicle", ingest.address);
        let until = Instant::now() + Duration::from_secs_f64(seconds);
        let mut posted = 0;
        while Instant::now() < until {
            let entity = format!("marker-{posted}");
            let event = json!({
                "timestamp": contract::format_millis(chrono::Utc::now()), "vehicle_id": entity, "can_id": "0x1F0",
                "payload": {"engine_rpm": 900, "marker": 1},
            });
            let request = http.post(&url).header("x-api-key", API_KEY).json(&event);
            let status = request.send().await?.status();
            ensure!(status.is_success(), "a marker is answered {status}");
            self.accept(entity);
            posted += 1;
            sleep(BETWEEN).await;
        }
        Ok(posted)
    }

    /// Waits until `expected` were heard.
    async fn all(&self, expected: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + LONGEST;
        while self.count() < expected {
            ensure!(
                Instant::now() < deadline,
                "{} of {expected} markers were heard of {LONGEST:?} after the load",
                self.count()
            );
            sleep(LOOK).await;
        }
        Ok(())
    }
}

fn load(bench: &Bench, rate: f64, batch: usize) -> OfferedLoad {
    OfferedLoad {
        batch,
        connections: 16,
        amount: Amount::Seconds(seconds(bench) + AFTER),
        rate: Some(rate),
        ca: None,
    }
}

/// How long markers are sent.
fn seconds(bench: &Bench) -> f64 {
    if bench.args.quick {
        SECONDS / 4.0
    } else {
        SECONDS
    }
}

/// The pipeline with the default settings, but for `BATCH_ADAPTIVE`.
async fn pipeline(bench: &Bench, adaptive: &str) -> anyhow::Result<Pipeline> {
    let adaptive = [("BATCH_ADAPTIVE", adaptive)];
    Pipeline::start(Deployment::localstack(bench)?, &[], &adaptive).await
}

/// Loads the pipeline with markers among the load, and waits until `ways` have told of each.
async fn hear(
    bench: &Bench,
    pipeline: &Pipeline,
    (corpus, load): (&Corpus, &OfferedLoad),
    markers: &Markers,
    ways: usize,
) -> anyhow::Result<()> {
    let markers = async {
        let posted = markers.post(&pipeline.ingest, seconds(bench)).await?;
        markers.all(posted * ways).await
    };
    tokio::try_join!(bench.load(&pipeline.ingest, corpus, load), markers)?;
    Ok(())
}

/// `localstack-fresh`: from `202` until SQL counts the event, 500 events a second, two rows.
pub(super) async fn fresh(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let corpus = bench.corpus(60_000).await?;
    let load = load(bench, 500.0, 1);
    let mut rows = Vec::new();
    for (name, adaptive, limit) in [("as designed", "false", 3.5), ("adaptive", "true", 1.2)] {
        let (mut p50, mut p99) = (Vec::new(), Vec::new());
        for run in 1..=bench.runs() {
            bench.say(format!("localstack-fresh, {name}, run {run}"));
            let mut pipeline = pipeline(bench, adaptive).await?;
            let query = pipeline
                .deployment
                .query(&[("READ_KEYS", READ_KEY)])
                .await?;
            let markers = Markers::default();
            tokio::select! {
                heard = hear(bench, &pipeline, (&corpus, &load), &markers, 1) => heard?,
                asked = ask(&query, &markers) => asked?,
            }
            let found = markers.latencies("sql");
            p50.push(found.p50 / 1e3);
            p99.push(found.p99 / 1e3);
            query.stop().await?;
            pipeline.end().await?;
        }
        let row = |quantile: &str, runs: &[f64]| {
            let name = format!("localstack-fresh: {name}, {quantile}");
            Row::of(name, "s from 202 to counted", runs)
        };
        rows.push(row("p50", &p50));
        rows.push(row("p99", &p99).bar(Bar::AtMost, limit));
    }
    Ok(rows)
}

/// Asks by SQL which markers are there, again and again.
async fn ask(query: &RunningService, markers: &Markers) -> anyhow::Result<()> {
    let http = http_client(LONGEST)?;
    let url = format!("http://{}/v1/sql", query.address);
    let text = "SELECT entity_id, count(*) FROM vehicle WHERE entity_id LIKE 'marker-%' AND event_time > now() - \
                INTERVAL '10 minutes' GROUP BY 1";
    loop {
        let request = http.post(&url).header("x-api-key", READ_KEY).body(text);
        let answer = request.send().await?;
        let status = answer.status();
        let body = answer.text().await?;
        ensure!(
            status.is_success(),
            "a question is answered {status}: {body}"
        );
        let body: Value = serde_json::from_str(&body).context("an answer is no JSON")?;
        let rows = body["rows"].as_array().context("an answer without rows")?;
        for entity in rows.iter().filter_map(|row| row[0].as_str()) {
            markers.hear("sql", entity);
        }
        sleep(LOOK).await;
    }
}

/// `localstack-alerts`: from `202` until the webhook has the alert, 1,000 events a second, four rows.
pub(super) async fn alerts(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    // As many as are sent: events that came before would be repeats.
    let corpus = bench.corpus(120_000).await?;
    let load = load(bench, 1_000.0, 10);
    let mut rows = Vec::new();
    for (name, adaptive, sooner) in [("as designed", "false", 0.0), ("adaptive", "true", 2.0)] {
        let mut found: Vec<[Latencies; 2]> = Vec::new();
        let mut slowest = Vec::new();
        for run in 1..=bench.runs() {
            bench.say(format!("localstack-alerts, {name}, run {run}"));
            let mut pipeline = pipeline(bench, adaptive).await?;
            let markers = Arc::new(Markers::default());
            let url = receiver(markers.clone()).await?;
            let rules = bench.fresh_folder()?;
            std::fs::write(rules.join("rules.yml"), RULES)?;
            // A message for each alert; the times are the defaults.
            let notify = format!(
                "route: {{ receiver: bench, group_by: ['...'] }}\n\
                 receivers:\n  - name: bench\n    webhook_configs: [{{ url: \"{url}\" }}]\n"
            );
            std::fs::write(rules.join("notify.yml"), notify)?;
            let folder = rules.display().to_string();
            let settings = [("READ_KEYS", READ_KEY), ("RULES", folder.as_str())];
            let alerts = pipeline.deployment.alerts(&settings).await?;
            hear(bench, &pipeline, (&corpus, &load), &markers, 2).await?;
            found.push(["max", "avg"].map(|rule| markers.latencies(rule)));
            slowest.push(["max", "avg"].map(|rule| markers.slowest(rule)));
            alerts.stop().await?;
            pipeline.end().await?;
        }
        for (at, (rule, limit)) in [("max", 10.0), ("avg", 30.0)].into_iter().enumerate() {
            let of = |quantile: fn(&Latencies) -> f64| {
                let runs = found.iter().map(|run| quantile(&run[at]) / 1e3);
                runs.collect::<Vec<f64>>()
            };
            let name = format!("localstack-alerts: {rule}, {name}, p99");
            let row = Row::of(name, "s from 202 to the webhook", &of(|run| run.p99));
            let row = row.with("p50_seconds", json!(of(|run| run.p50)));
            let slowest: Vec<_> = slowest.iter().map(|run| &run[at]).collect();
            let row = row.with("slowest", json!(slowest));
            rows.push(row.bar(Bar::AtMost, limit - sooner));
        }
    }
    Ok(rows)
}

/// Takes webhooks until the process ends, and gives the URL.
async fn receiver(markers: Arc<Markers>) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let routes = Router::new().route("/", post(take)).with_state(markers);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(url)
}

async fn take(State(markers): State<Arc<Markers>>, axum::Json(body): axum::Json<Value>) {
    for alert in body["alerts"].as_array().into_iter().flatten() {
        let labels = &alert["labels"];
        let way = match labels["alertname"].as_str() {
            Some("max") => "max",
            Some("avg") => "avg",
            _ => continue,
        };
        if let Some(entity) = labels["entity_id"].as_str() {
            markers.hear(way, entity);
        }
    }
}
