//! A lake in this process with its aggregator, and the service that answers questions about it.

use std::sync::Arc;
use std::time::Duration;

use aws::{Aws, Clock, Condition, Lake};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use chrono::{DateTime, Utc};
use contract::{Hour, Kinds};
use engine::snapshot::{SnapshotSettings, Snapshots};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use local_aws::LocalAws;
use query::App;
use query::http::{QuerySettings, router};
use serde_json::Value;
use service::ready::Ready;
use tokio_util::sync::CancellationToken;

const BUCKET: &str = "lake";
pub(crate) const KEY: &str = "the-first-key";

pub(crate) struct Stage {
    aws: Aws,
    pub(crate) lake: Lake,
    snapshots: Snapshots,
    router: Router,
    settings: QuerySettings,
    landed: u128,
}

fn snapshots(aws: &Aws) -> Snapshots {
    let (lake, kinds) = (aws.lake(BUCKET), Arc::new(Kinds::builtin()));
    Snapshots::new(lake, kinds, aws.clock(), SnapshotSettings::default())
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The code of an error.
    pub(crate) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    /// The words of an error.
    pub(crate) fn message(&self) -> &str {
        self.body["error"]["message"].as_str().unwrap_or_default()
    }
}

impl Stage {
    /// It is 2025-10-04T14:30 at the start; the service has not looked at the lake.
    pub(crate) async fn new(settings: QuerySettings) -> Stage {
        let cloud = LocalAws::in_process();
        let clock = Clock::starting_at("2025-10-04T14:30:00Z".parse().unwrap());
        let aws = Aws::emulated_at(cloud.http_client(), cloud.endpoint(), clock);
        aws::setup::create_bucket(&aws, BUCKET).await.unwrap();
        let mut stage = Stage {
            lake: aws.lake(BUCKET),
            snapshots: snapshots(&aws),
            router: Router::new(),
            aws,
            settings,
            landed: 0,
        };
        stage.restart();
        stage
    }

    /// As if the process were started again: it knows nothing of the lake.
    pub(crate) fn restart(&mut self) {
        self.snapshots = snapshots(&self.aws);
        let engine = Arc::new(
            self.settings
                .engine(self.lake.clone(), self.snapshots.watch()),
        );
        let sql = sql::SqlSettings::default();
        let app = App {
            database: Arc::new(
                sql::Database::new(engine.clone(), &sql, Duration::from_secs(30)).unwrap(),
            ),
            kinds: Arc::new(Kinds::builtin()),
            clock: self.aws.clock(),
            keys: service::keys::Keys::new(&[KEY.into(), "the-second-key".into()]),
            ready: Ready::default(),
            engine,
            meter: self.aws.meter().clone(),
        };
        self.router = router(app, self.settings.clone());
    }

    /// Puts events into `raw/`, as the consumer would.
    pub(crate) async fn land(&mut self, received_at: &str, events: &[String]) {
        let received: DateTime<Utc> = received_at.parse().unwrap();
        let kinds = Kinds::builtin();
        let mut lines = Vec::new();
        for text in events {
            let event = contract::parse_sent(&kinds, None, text, received).unwrap();
            contract::write_line(&mut lines, &event, &contract::format_millis(received), text);
        }
        self.landed += 1;
        let part = contract::raw_part_name(received, self.landed);
        let key = contract::raw_key(Hour::of(received), part);
        let kind = "application/x-ndjson";
        let put = self.lake.put(
            &key,
            lines.into(),
            kind,
            Default::default(),
            Condition::Always,
        );
        put.await.unwrap();
    }

    pub(crate) async fn aggregate(&self) {
        let config = aggregator::Config::for_bucket(BUCKET);
        let (stop, progress) = (CancellationToken::new(), ());
        let done = aggregator::once(&config, &self.aws, &stop, &progress).await;
        done.unwrap();
    }

    /// Makes the parts and aggregates of these hours again.
    pub(crate) async fn rebuild(&self, from: Hour, until: Hour) {
        let config = aggregator::Config::for_bucket(BUCKET);
        let done = aggregator::rebuild(&config, &self.aws, from, until, &()).await;
        done.unwrap();
    }

    /// Lets the service look at the lake, the log of commits included.
    pub(crate) async fn refresh(&mut self) {
        tokio::time::pause();
        tokio::time::advance(std::time::Duration::from_secs(20)).await;
        tokio::time::resume();
        while !self.snapshots.refresh().await.unwrap().is_complete {}
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).header("x-api-key", KEY)).await
    }

    pub(crate) async fn send(&self, request: axum::http::request::Builder) -> Answer {
        self.send_whole(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn send_whole(&self, request: Request<Body>) -> Answer {
        let service = TowerToHyperService::new(self.router.clone());
        let response = service.call(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
        }
    }

    /// The body of an answer that must be one.
    pub(crate) async fn ask(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
        answer.body
    }
}
