//! Routes for those who run the service: health, and the list of routes on the clients' port; probes, metrics and
//! health on the admin port.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::http::probe;

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
    /// Why the service is unhealthy, as a code: `queue_unreachable`, `queue_unconfirmed`, `queue_refused` or
    /// `stopping`; absent when it is healthy. The log has SQS's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "queue_unreachable")]
    reason: Option<&'static str>,
}

/// Says how the service and its queue are.
#[utoipa::path(get, path = "/health", tag = "operations", responses(
    (status = 200, description = "SQS answers, and took what it was sent last.", body = Health),
    (status = 503, description = "SQS cannot be asked or did not take what it was sent last, or the service is stopping.", body = Health),
))]
pub(crate) async fn health(State(app): State<Arc<App>>) -> (StatusCode, Json<Health>) {
    let depth = app.probe.depth(probe::FRESH).await;
    let reason = app.ready.reason().or(depth.err());
    let (status, word) = if reason.is_none() {
        (StatusCode::OK, "healthy")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unhealthy")
    };
    let health = Health {
        status: word,
        queue_size: depth.ok().map(|depth| depth.visible),
        pending_events: app.group_commit.pending_events(),
        reason,
    };
    (status, Json(health))
}

/// The routes of the admin port: `/livez`, `/readyz`, `/metrics` and `/health`.
pub fn admin_routes(app: Arc<App>) -> Router {
    let update = {
        let app = app.clone();
        move || app.publish()
    };
    let not_ready = {
        let app = app.clone();
        move || {
            let app = app.clone();
            async move { app.not_ready(probe::RECENT).await }
        }
    };
    let health = Router::new()
        .route("/health", get(health))
        .with_state(app.clone());
    service::metrics::routes(app.prometheus.clone(), update, not_ready).merge(health)
}

/// Names the routes.
pub(crate) async fn index() -> &'static str {
    "Headwater ingest\n\n\
     POST /v1/events          events of any kind: one JSON object, an array, or NDJSON\n\
     POST /v1/events/{kind}   events of one kind\n\
     POST /metrics            samples of metrics: {\"name\":\"cpu_usage\",\"value\":85}\n\
     POST /v1/metrics         OpenTelemetry's metrics, OTLP over HTTP\n\
     POST /api/v1/write       Prometheus remote write\n\
     POST /api/v2/write       InfluxDB's line protocol; also /write and /api/v3/write_lp\n\
     GET  /health             how the service and its queue are\n\
     GET  /openapi.json       the API in full\n"
}
