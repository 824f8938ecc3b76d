//! A lake in this process, its snapshot, and a console over it.

use std::sync::Arc;

use aws::{Aws, Clock, Condition, Lake};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use chrono::{DateTime, Utc};
use console::{AlertsApi, Console, ConsoleSettings, Parts};
use contract::{Hour, Kinds};
use engine::read::ReadSettings;
use engine::snapshot::{SnapshotSettings, Snapshots};
use engine::{Engine, Turns};
use http_body_util::BodyExt;
use local_aws::LocalAws;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower_service::Service;

pub(crate) const KEY: &str = "a-read-key";
pub(crate) const HOST: &str = "lake.example:3000";
pub(crate) const ORIGIN: &str = "http://lake.example:3000";

pub(crate) struct Stage {
    pub(crate) aws: Aws,
    pub(crate) lake: Lake,
    pub(crate) snapshots: Snapshots,
    pub(crate) engine: Arc<Engine>,
    landed: u128,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The cookie that the answer sets, as a browser sends it.
    pub(crate) fn cookie(&self) -> String {
        let set = self.headers[header::SET_COOKIE].to_str().unwrap();
        set.split(';').next().unwrap().to_owned()
    }
}

impl Stage {
    pub(crate) async fn new() -> Stage {
        Stage::over(&LocalAws::in_process()).await
    }

    /// It is 2025-10-04T14:30 at the start.
    pub(crate) async fn over(cloud: &LocalAws) -> Stage {
        let clock = Clock::starting_at("2025-10-04T14:30:00Z".parse().unwrap());
        let aws = Aws::emulated_at(cloud.http_client(), cloud.endpoint(), clock);
        aws::setup::create_bucket(&aws, "lake").await.unwrap();
        let (lake, kinds) = (aws.lake("lake"), Arc::new(Kinds::builtin()));
        let snapshots = Snapshots::new(lake.clone(), kinds, clock, SnapshotSettings::default());
        let (read, turns) = (ReadSettings::default(), Turns::new(2, 16));
        let engine = Arc::new(Engine::new(lake.clone(), snapshots.watch(), read, turns));
        Stage {
            aws,
            lake,
            snapshots,
            engine,
            landed: 0,
        }
    }

    /// Puts readings into `raw/`, as the consumer would: vehicle, seconds after 14:00, engine speed.
    pub(crate) async fn land(&mut self, readings: &[(&str, u32, f64)]) {
        let received: DateTime<Utc> = self.aws.clock().now();
        let kinds = Kinds::builtin();
        let mut lines = Vec::new();
        for (vehicle, second, rpm) in readings {
            let (minute, second) = (second / 60, second % 60);
            let text = json!({
                "timestamp": format!("2025-10-04T14:{minute:02}:{second:02}Z"),
                "vehicle_id": vehicle,
                "can_id": "0x1F0",
                "payload": {"engine_rpm": rpm},
            });
            let text = text.to_string();
            let event = contract::parse_sent(&kinds, None, &text, received).unwrap();
            contract::write_line(
                &mut lines,
                &event,
                &contract::format_millis(received),
                &text,
            );
        }
        self.landed += 1;
        let key = contract::raw_key(
            Hour::of(received),
            contract::raw_part_name(received, self.landed),
        );
        self.put(&key, lines).await;
        self.snapshots.refresh().await.unwrap();
    }

    pub(crate) async fn put(&self, key: &str, body: impl Into<Vec<u8>>) {
        let body: Vec<u8> = body.into();
        let put = self.lake.put(
            key,
            body.into(),
            "text/plain",
            Default::default(),
            Condition::Always,
        );
        put.await.unwrap();
    }

    /// A console, with these routes as the query service's.
    pub(crate) fn console(
        &self,
        query: Router,
        alerts: AlertsApi,
        settings: &ConsoleSettings,
    ) -> Console {
        let parts = Parts {
            engine: self.engine.clone(),
            arrivals: self.snapshots.arrivals(),
            clock: self.aws.clock(),
            keys: service::keys::Keys::new(&[KEY.into()]),
            meters: vec![self.aws.meter().clone()],
            query,
            has_sql: false,
            alerts,
        };
        Console::new(parts, settings).unwrap()
    }

    /// The routes of a console, as a service mounts them, and the console itself.
    pub(crate) fn plain(&self) -> (Console, Router) {
        let settings = ConsoleSettings::default();
        let console = self.console(Router::new(), AlertsApi::of(&settings).unwrap(), &settings);
        let routes = mounted(&console);
        (console, routes)
    }
}

pub(crate) fn mounted(console: &Console) -> Router {
    let (live, _) = console.live_routes().split_for_parts();
    live.merge(console.routes::<()>())
}

/// Follows the lake for a console until the guard is dropped.
pub(crate) fn following(console: &Console) -> tokio_util::sync::DropGuard {
    let (console, stop) = (console.clone(), CancellationToken::new());
    let until = stop.clone();
    tokio::spawn(async move { console.run(&until).await });
    stop.drop_guard()
}

pub(crate) fn request(method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Request {
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", HOST);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

pub(crate) async fn send(routes: &Router, request: Request) -> Answer {
    let Ok(response) = routes.clone().call(request).await;
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: head.status,
        headers: head.headers,
        text: String::from_utf8_lossy(&body).into_owned(),
    }
}

pub(crate) async fn get(routes: &Router, path: &str, headers: &[(&str, &str)]) -> Answer {
    send(routes, request(Method::GET, path, headers, "")).await
}

pub(crate) async fn post(
    routes: &Router,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    send(routes, request(Method::POST, path, headers, body)).await
}

/// Signs in, and gives the cookie.
pub(crate) async fn sign_in(routes: &Router) -> String {
    let body = json!({"key": KEY}).to_string();
    let answer = post(routes, "/console/login", &[("origin", ORIGIN)], &body).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{answer:?}");
    answer.cookie()
}
