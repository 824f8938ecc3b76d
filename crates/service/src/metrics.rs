//! Prometheus metrics of a process, and the port that serves them together with the probes `/livez` and `/readyz`.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::get;
use metrics::{counter, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use crate::ready::Ready;

/// Upper bounds of latency histograms, in seconds: from an answer out of a cache to a batch that waited for its
/// visibility timeout.
pub const LATENCY_BUCKETS: [f64; 15] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0,
];

/// Upper bounds of histograms that count events or messages.
const COUNT_BUCKETS: [f64; 7] = [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6];

/// The content type of the Prometheus text format, version 0.0.4.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Time between two folds of the histograms' samples into their buckets; until then each sample takes memory.
const UPKEEP: Duration = Duration::from_secs(5);

/// Makes the metrics of the process go to a Prometheus recorder, and gives the handle that renders them. Histograms
/// whose names end in `_seconds`, `_events` or `_messages` have the buckets of these units. A second call gives the
/// same handle. To be called within a runtime, which then keeps the recorder's memory bounded.
///
/// # Errors
///
/// If another recorder is installed already.
pub fn install() -> anyhow::Result<PrometheusHandle> {
    static HANDLE: std::sync::Mutex<Option<PrometheusHandle>> = std::sync::Mutex::new(None);
    let mut handle = HANDLE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(handle) = &*handle {
        return Ok(handle.clone());
    }
    let installed = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &LATENCY_BUCKETS)?
        .set_buckets_for_metric(Matcher::Suffix("_events".into()), &COUNT_BUCKETS)?
        .set_buckets_for_metric(Matcher::Suffix("_messages".into()), &COUNT_BUCKETS)?
        .install_recorder()
        .context("cannot install the metrics recorder")?;
    let upkeep = installed.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            upkeep.run_upkeep();
        }
    });
    *handle = Some(installed.clone());
    Ok(installed)
}

/// Names of a service's metrics about requests to its API: how many, by route and status, and how long they took, by
/// route.
#[derive(Debug, Clone, Copy)]
pub struct RequestMetrics {
    /// A counter.
    pub total: &'static str,
    /// A histogram of seconds.
    pub seconds: &'static str,
}

/// Counts and times requests by route: a layer of the routes.
pub async fn count_request(
    State(names): State<RequestMetrics>,
    path: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let response = next.run(request).await;
    let (route, status) = (
        path.as_str().to_owned(),
        response.status().as_u16().to_string(),
    );
    counter!(names.total, "route" => route.clone(), "status" => status).increment(1);
    histogram!(names.seconds, "route" => route).record(started.elapsed().as_secs_f64());
    response
}

/// Serves `/metrics`, `/livez` (always 200) and `/readyz` (503 with the reason until the service is ready) until
/// `stop`. `update` is called before the metrics are rendered, for metrics that are counted elsewhere, such as by a
/// request meter.
///
/// # Errors
///
/// If the address cannot be listened on, or the server fails.
pub async fn serve(
    listen: SocketAddr,
    metrics: PrometheusHandle,
    update: impl Fn() + Clone + Send + Sync + 'static,
    ready: Ready,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let not_ready = move || std::future::ready(ready.reason());
    serve_routes(
        bind(listen).await?,
        routes(metrics, update, not_ready),
        stop,
    )
    .await
}

/// Listens for probes and for whoever collects the metrics.
///
/// # Errors
///
/// If the address cannot be listened on; names the setting.
pub async fn bind(listen: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(listen).await.with_context(|| {
        format!("cannot listen on {listen} for metrics: set METRICS_LISTEN to a free address")
    })
}

/// The routes of [`serve`]. `not_ready` gives why the service is not ready, as a code, or nothing if it is ready: for
/// a service that must ask.
pub fn routes<F>(
    metrics: PrometheusHandle,
    update: impl Fn() + Clone + Send + Sync + 'static,
    not_ready: impl Fn() -> F + Clone + Send + Sync + 'static,
) -> Router
where
    F: Future<Output = Option<&'static str>> + Send + 'static,
{
    Router::new()
        .route(
            "/metrics",
            get(async move || {
                update();
                ([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics.render())
            }),
        )
        .route("/livez", get(async || "alive\n"))
        .route(
            "/readyz",
            get(async move || match not_ready().await {
                None => (StatusCode::OK, "ready\n".to_owned()),
                Some(code) => (
                    StatusCode::SERVICE_UNAVAILABLE,
                    format!("not ready: {code}\n"),
                ),
            }),
        )
}

/// Serves `routes` until `stop`.
///
/// # Errors
///
/// If the server fails.
pub async fn serve_routes(
    listener: TcpListener,
    routes: Router,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    axum::serve(listener, routes)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
        .context("metrics server failed")
}
