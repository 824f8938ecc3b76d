//! Prometheus metrics of a process, and the port that serves them together with the probes `/livez` and `/readyz`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

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

/// Whether a service is ready for work; shared with its probes.
#[derive(Debug, Clone, Default)]
pub struct Ready(Arc<AtomicBool>);

impl Ready {
    /// Sets whether the service is ready.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }

    /// Whether the service is ready.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Serves `/metrics`, `/livez` (always 200) and `/readyz` (503 until the service is ready) until `stop`. `update` is
/// called before the metrics are rendered, for metrics that are counted elsewhere, such as by a request meter.
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
    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!("cannot listen on {listen} for metrics: set METRICS_LISTEN to a free address")
    })?;
    let router = Router::new()
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
            get(async move || {
                if ready.get() {
                    (StatusCode::OK, "ready\n")
                } else {
                    (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
                }
            }),
        );
    axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
        .context("metrics server failed")
}
