//! Routes for those who run the service: health, probes, metrics, and the list of routes.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::http::probe;
use crate::http::refusal::Refusal;

/// What `/health` says.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `healthy` or `unhealthy`.
    #[schema(example = "healthy")]
    status: &'static str,
    /// Messages in the queue that are ready to be received; SQS counts approximately.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_size: Option<u64>,
    /// Events of this process that wait for SQS.
    pending_events: usize,
    /// Why the service is unhealthy; absent when it is healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Says how the service and its queue are.
#[utoipa::path(get, path = "/health", tag = "operations", responses(
    (status = 200, description = "SQS answers.", body = Health),
    (status = 503, description = "SQS cannot be asked.", body = Health),
))]
pub(crate) async fn health(State(app): State<Arc<App>>) -> (StatusCode, Json<Health>) {
    let depth = app.probe.depth(probe::FRESH).await;
    let (status, word) = if depth.is_ok() {
        (StatusCode::OK, "healthy")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unhealthy")
    };
    let health = Health {
        status: word,
        queue_size: depth.as_ref().ok().map(|depth| depth.visible),
        pending_events: app.group_commit.pending_events(),
        reason: depth.err(),
    };
    (status, Json(health))
}

/// Says that the process runs.
#[utoipa::path(get, path = "/livez", tag = "operations", responses((status = 200, description = "It runs.", body = String)))]
pub(crate) async fn livez() -> &'static str {
    "alive\n"
}

/// Says whether events should be sent here.
#[utoipa::path(get, path = "/readyz", tag = "operations", responses(
    (status = 200, description = "It takes events.", body = String),
    (status = 503, description = "It is stopping, or SQS cannot be reached.", body = String),
))]
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> (StatusCode, String) {
    let ready = if app.ready.get() {
        app.probe.depth(probe::RECENT).await.map(|_| ())
    } else {
        Err("stopping".to_owned())
    };
    match ready {
        Ok(()) => (StatusCode::OK, "ready\n".into()),
        Err(reason) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {reason}\n"),
        ),
    }
}

/// Gives the metrics as Prometheus text.
#[utoipa::path(get, path = "/metrics", tag = "operations", responses(
    (status = 200, description = "Prometheus text.", body = String, content_type = "text/plain"),
))]
pub(crate) async fn metrics_text(State(app): State<Arc<App>>) -> Result<Response, Refusal> {
    app.publish();
    let text = app.prometheus.render();
    // Counted until it is sent, as every long answer is.
    let mut held = app.lists.buffer();
    held.append(text.as_bytes())?;
    let headers = [(header::CONTENT_TYPE, service::metrics::CONTENT_TYPE)];
    Ok((headers, held.into_bytes()).into_response())
}

/// Names the routes.
pub(crate) async fn index() -> &'static str {
    "Headwater ingest\n\n\
     POST /v1/events          events of any kind: one JSON object, an array, or NDJSON\n\
     POST /v1/events/{kind}   events of one kind\n\
     GET  /health             how the service and its queue are\n\
     GET  /livez, /readyz     probes\n\
     GET  /metrics            Prometheus text\n\
     GET  /openapi.json       the API in full\n"
}
