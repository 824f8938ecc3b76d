//! `GET /health`, and the list of routes.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::shared::Shared;

/// What `/health` says.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `healthy` or `starting`.
    #[schema(example = "healthy")]
    status: &'static str,
    /// The last commit of the aggregator that answers have.
    commit: u64,
    /// Answers have all that had landed before this time, RFC 3339; absent while the service starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    fresh_until: Option<String>,
}

/// Says whether questions are answered, and how fresh answers are.
#[utoipa::path(get, path = "/health", tag = "operations", responses(
    (status = 200, description = "Questions are answered.", body = Health),
    (status = 503, description = "The lake has been read in part only.", body = Health),
))]
pub(crate) async fn health(State(shared): State<Arc<Shared>>) -> (StatusCode, Json<Health>) {
    let snapshot = shared.app.engine.newest.borrow().clone();
    let fresh_until = snapshot.fresh_until().map(contract::format_millis);
    let (code, status) = if fresh_until.is_some() {
        (StatusCode::OK, "healthy")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "starting")
    };
    let health = Health {
        status,
        commit: snapshot.commit(),
        fresh_until,
    };
    (code, Json(health))
}

/// Sends browsers to the console, where there is one, and names the routes to others.
pub(crate) fn front(has_console: bool, headers: &HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT);
    let accept = accept.and_then(|accept| accept.to_str().ok());
    if has_console && accept.is_some_and(|accept| accept.contains("text/html")) {
        return Redirect::to("/console/").into_response();
    }
    INDEX.into_response()
}

/// The routes.
const INDEX: &str = "Headwater query\n\n\
     GET /query         the values of a signal over time\n\
     GET /v1/kinds      kinds and their signals\n\
     GET /v1/entities   who has sent events\n\
     GET /v1/latest     last values\n\
     GET /v1/top        the entities with the greatest values\n\
     POST /v1/sql       a statement of SQL\n\
     GET /health        whether questions are answered, and how fresh answers are\n\
     GET /docs          the API, to read and to try\n\
     GET /openapi.json  the API in full\n\
     GET /v1/live       what is new, as it comes: WebSocket or Server-Sent Events\n\
     GET /v1/lake       what is in the lake\n\
     GET /console/      the console\n";
