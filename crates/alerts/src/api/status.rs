//! Alertmanager's status and receivers, our health, and the list of routes.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::alerts::Name;
use super::state::ApiState;
use crate::journal::{Role, Status};
use crate::notify::time;

/// What the service is, in the form of Alertmanager.
#[utoipa::path(get, path = "/api/v2/status", tag = "alertmanager",
    responses((status = 200, description = "Version and start.", body = Value)),
    security(("api_key" = []), ("bearer" = [])))]
pub(crate) async fn status(State(api): State<ApiState>) -> Json<Value> {
    Json(json!({
        "cluster": {"name": "", "status": "disabled", "peers": []},
        "versionInfo": version_info(),
        // Secrets may stand in it.
        "config": {"original": ""},
        "uptime": time(api.started_at),
    }))
}

/// Which program answers, in the form of Prometheus. Without it Grafana asks for a ruler, as of Cortex.
#[utoipa::path(get, path = "/api/v1/status/buildinfo", tag = "prometheus",
    responses((status = 200, description = "The version.", body = Value)),
    security(("api_key" = []), ("bearer" = [])))]
pub(crate) async fn build_info() -> Json<Value> {
    Json(json!({"status": "success", "data": version_info()}))
}

fn version_info() -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"), "revision": "", "branch": "", "buildUser": "", "buildDate": "",
        "goVersion": "",
    })
}

/// Names of the receivers.
#[utoipa::path(get, path = "/api/v2/receivers", tag = "alertmanager",
    responses((status = 200, description = "The receivers.", body = Vec<Name>)),
    security(("api_key" = []), ("bearer" = [])))]
pub(crate) async fn receivers(State(api): State<ApiState>) -> Json<Vec<Name>> {
    let routing = api.routing.borrow().clone();
    Json(
        routing
            .receiver_names()
            .map(|name| Name {
                name: name.to_owned(),
            })
            .collect(),
    )
}

/// What `/health` says.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `healthy`, `standing_by` or `stopping`.
    #[schema(example = "healthy")]
    status: &'static str,
    /// The window end that evaluation has come to, RFC 3339; absent before the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    evaluated_to: Option<String>,
    /// Alerts that fire.
    firing: usize,
    /// Notifications that are not delivered yet.
    open_notifications: usize,
    /// Notifications that are given up until `alerts retry`.
    stuck_notifications: usize,
    /// Notifications that were never delivered and are forgotten, because more than 10,000 were stuck.
    dropped_notifications: u64,
}

/// Says whether this process leads, and how notifications stand. Needs no key.
#[utoipa::path(get, path = "/health", tag = "operations", responses(
    (status = 200, description = "This process leads, or stands by.", body = Health),
    (status = 503, description = "This process stops.", body = Health),
))]
pub(crate) async fn health(State(api): State<ApiState>) -> (StatusCode, Json<Health>) {
    let role = api.journal.role();
    let (code, status) = match role {
        Role::Leader => (StatusCode::OK, "healthy"),
        Role::StandBy => (StatusCode::OK, "standing_by"),
        Role::Ended => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
    };
    let state = api.journal.state();
    let health = Health {
        status,
        evaluated_to: state.evaluated_to.map(time),
        firing: state.firing(),
        open_notifications: state.count(Status::Open),
        stuck_notifications: state.count(Status::Stuck),
        dropped_notifications: state.dropped,
    };
    (code, Json(health))
}

/// Names the routes.
pub(crate) async fn index() -> &'static str {
    "Headwater alerts\n\n\
     GET /api/v1/rules                 rules with their alerts, as Prometheus\n\
     GET /api/v1/alerts                alerts that are pending or firing, as Prometheus\n\
     GET /api/v1/status/buildinfo      the version, as Prometheus\n\
     GET /api/v2/alerts                alerts that fire, as Alertmanager; and /api/v2/alerts/groups\n\
     GET, POST /api/v2/silences        silences; GET, DELETE /api/v2/silence/{id}\n\
     GET /api/v2/status                and /api/v2/receivers\n\
     GET /api/v1/deliveries            notifications with their attempts and answers\n\
     POST /api/v1/deliveries/retry     sends stuck notifications again; /forget gives them up\n\
     GET /api/v1/figures               what waits in the queues, and how late the lake is\n\
     GET, POST /api/v1/acknowledgements  who looks after which alert\n\
     GET /health                       whether this process leads\n\
     GET /openapi.json                 the API in full\n"
}
