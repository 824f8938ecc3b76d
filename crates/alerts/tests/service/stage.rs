//! A lake in this process with a receiver, and at most one process of the service.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use alerts::journal::{Alert, Journal, JournalSettings};
use alerts::notify::{HttpReply, MailFailure, MailReply, Smtp, Transport};
use alerts::{Config, Service};
use aws::{Aws, Clock, Condition, Lake};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use clap::Parser;
use contract::{Hour, Kinds};
use futures::future::BoxFuture;
use local_aws::LocalAws;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) const BUCKET: &str = "lake";

pub(crate) const RULES: &str = r#"
groups:
  - name: vehicles
    rules:
      - alert: Revs
        expr: avg_over_time(engine_rpm{kind="vehicle"}[20s]) > 6000
        for: 30s
        keep_firing_for: 40s
        labels: { severity: page }
        annotations: { summary: "{{ $labels.entity_id }} at {{ $value }}" }
      - alert: Fast
        expr: max_over_time(vehicle_speed_kmh{kind="vehicle"}[30s]) > 200
      - alert: Silent
        expr: last_over_time(engine_rpm{kind="vehicle"}[20s]) > 20000
        no_data: alert
        no_data_after: 60s
"#;

pub(crate) const NOTIFY: &str = r#"
route: { receiver: hook, group_by: [alertname, entity_id], group_wait: 0s, group_interval: 1s }
receivers:
  - name: hook
    webhook_configs: [{ url: "http://receiver.test/hook" }]
"#;

/// Takes all messages, and keeps those of webhooks.
#[derive(Debug, Default)]
pub(crate) struct Receiver {
    pub(crate) bodies: Mutex<Vec<(Instant, Value)>>,
    pub(crate) lines: Mutex<Vec<String>>,
}

impl Transport for Receiver {
    fn http(&self, request: http::Request<Bytes>) -> BoxFuture<'_, HttpReply> {
        let body = serde_json::from_slice(request.body()).unwrap();
        self.bodies.lock().unwrap().push((Instant::now(), body));
        Box::pin(async { Ok(http::Response::new(Bytes::new())) })
    }

    fn mail<'t>(&'t self, _: &'t Smtp, _: lettre::Message) -> BoxFuture<'t, MailReply> {
        let reason = "no mail in this test".to_owned();
        let is_permanent = true;
        Box::pin(async move {
            Err(MailFailure {
                is_permanent,
                reason,
            })
        })
    }

    fn print(&self, line: &str) {
        self.lines.lock().unwrap().push(line.to_owned());
    }
}

/// A lake, and at most one process of the service.
pub(crate) struct Stage {
    pub(crate) cloud: LocalAws,
    pub(crate) aws: Aws,
    pub(crate) lake: Lake,
    pub(crate) start: DateTime<Utc>,
    pub(crate) rules: tempfile::TempDir,
    pub(crate) receiver: Arc<Receiver>,
    pub(crate) landed: u128,
    pub(crate) process: Option<(
        JoinHandle<anyhow::Result<()>>,
        CancellationToken,
        watch::Sender<u64>,
    )>,
}

impl Stage {
    pub(crate) async fn new() -> Stage {
        let cloud = LocalAws::in_process();
        let start = "2025-10-04T12:00:00Z".parse().unwrap();
        let aws = Aws::emulated_at(
            cloud.http_client(),
            cloud.endpoint(),
            Clock::starting_at(start),
        );
        aws::setup::create_bucket(&aws, BUCKET).await.unwrap();
        let rules = tempfile::tempdir().unwrap();
        write(rules.path(), "rules.yml", RULES);
        write(rules.path(), "notify.yml", NOTIFY);
        Stage {
            lake: aws.lake(BUCKET),
            cloud,
            aws,
            start,
            rules,
            receiver: Arc::default(),
            landed: 0,
            process: None,
        }
    }

    /// Starts the service with the rules of this stage.
    pub(crate) async fn begin(&mut self) {
        let rules = format!("--rules={}", self.rules.path().display());
        self.begin_with(&[&rules]).await;
    }

    /// Starts the service with these arguments.
    pub(crate) async fn begin_with(&mut self, arguments: &[&str]) {
        let (reloads, reload) = watch::channel(0);
        let service = Service {
            reload,
            ..self.service(arguments).await
        };
        let stop = CancellationToken::new();
        let running = tokio::spawn(alerts::run(service, stop.clone()));
        self.process = Some((running, stop, reloads));
    }

    /// The service with these arguments and no others but the bucket and a key.
    pub(crate) async fn service(&self, arguments: &[&str]) -> Service {
        let own = ["alerts", "--read-keys=a-read-key", "--lake-bucket=lake"];
        Service {
            config: Config::parse_from([&own, arguments].concat()),
            aws: self.aws.clone(),
            transport: self.receiver.clone(),
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            admin: None,
            reload: watch::channel(0).1,
        }
    }

    pub(crate) async fn end(&mut self, kill: bool) {
        let (running, stop, _) = self.process.take().unwrap();
        if kill {
            running.abort();
            running.await.unwrap_err();
        } else {
            stop.cancel();
            running.await.unwrap().unwrap();
        }
    }

    /// The alert of the rule `Revs`, as the log has it.
    pub(crate) async fn revs(&self) -> Option<Alert> {
        let settings = JournalSettings::new(uuid::Uuid::new_v4());
        let opened = Journal::open(self.lake.clone(), self.aws.clock(), settings).await;
        let (journal, _) = opened.unwrap();
        let alerts = journal.state().alerts.clone();
        alerts
            .into_values()
            .find(|alert| alert.last.rule.ends_with("/Revs"))
    }

    pub(crate) fn second(&self) -> i64 {
        (self.aws.clock().now() - self.start).num_seconds()
    }

    /// Puts the readings of one second into `raw/`, as the consumer would.
    pub(crate) async fn land(&mut self, readings: &[(&str, Value)]) {
        self.land_of(self.aws.clock().now(), readings).await;
    }

    /// Puts readings into `raw/` that ingest received at `now`.
    pub(crate) async fn land_of(&mut self, now: DateTime<Utc>, readings: &[(&str, Value)]) {
        self.land_late(now, TimeDelta::milliseconds(300), readings)
            .await;
    }

    /// Puts readings into `raw/` that ingest received at `now`, `late` after they were taken.
    pub(crate) async fn land_late(
        &mut self,
        now: DateTime<Utc>,
        late: TimeDelta,
        readings: &[(&str, Value)],
    ) {
        let time = (now - late).to_rfc3339();
        let events = readings.iter().map(|(vehicle, payload)| {
            json!({"timestamp": time, "vehicle_id": vehicle, "can_id": "0x1F0", "payload": payload})
        });
        self.land_events(now, events).await;
    }

    /// Puts samples of metrics into `raw/` that ingest receives now.
    pub(crate) async fn land_metrics(&mut self, samples: impl IntoIterator<Item = Value>) {
        self.land_events(self.aws.clock().now(), samples).await;
    }

    async fn land_events(&mut self, now: DateTime<Utc>, events: impl IntoIterator<Item = Value>) {
        let (kinds, mut lines) = (Kinds::builtin(), Vec::new());
        let received = contract::format_millis(now);
        for (place, event) in events.into_iter().enumerate() {
            let text = event.to_string();
            let event = contract::parse_sent(&kinds, None, &text, now).unwrap();
            if event.kind.is_long() {
                let id = format!("{}-{place}", self.landed);
                contract::write_line_as(&mut lines, &event, &id, &received, &text);
            } else {
                contract::write_line(&mut lines, &event, &received, &text);
            }
        }
        self.land_lines(now, lines).await;
    }

    /// Puts lines into `raw/` as they are.
    pub(crate) async fn land_lines(&mut self, now: DateTime<Utc>, lines: Vec<u8>) {
        self.landed += 1;
        let key = contract::raw_key(Hour::of(now), contract::raw_part_name(now, self.landed));
        let kind = "application/x-ndjson";
        let put = self.lake.put(
            &key,
            lines.into(),
            kind,
            BTreeMap::new().into_iter().collect(),
            Condition::Always,
        );
        put.await.unwrap();
    }

    /// Requests to S3 so far.
    pub(crate) fn s3_requests(&self) -> u64 {
        let requests = self.cloud.requests();
        let to_s3 = requests.iter().filter(|(name, _)| name.contains("Object"));
        to_s3.map(|(_, count)| count).sum()
    }

    /// What was told: alert, status, vehicle, and when it began, each in the order in which it came.
    pub(crate) fn told(&self) -> Vec<String> {
        let bodies = self.receiver.bodies.lock().unwrap();
        let told = bodies.iter().flat_map(|(_, body)| {
            let alerts = body["alerts"].as_array().unwrap().iter();
            alerts.map(|alert| {
                let began: DateTime<Utc> = alert["startsAt"].as_str().unwrap().parse().unwrap();
                let began = (began - self.start).num_seconds();
                let labels = &alert["labels"];
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                format!(
                    "{} {} {} {began}",
                    text(&labels["alertname"]),
                    text(&labels["entity_id"]),
                    text(&alert["status"])
                )
            })
        });
        told.collect()
    }
}

pub(crate) fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}
