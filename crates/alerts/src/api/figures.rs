//! What this process knows of the queues, for the console.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::refusal::{ErrorBody, Refusal};
use super::state::ApiState;

/// What the process that leads has found out about queues and lake, some seconds ago at most; dead letters are looked
/// at each minute.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct QueueFigures {
    /// When it was found out, in milliseconds since 1970.
    pub at: i64,
    /// Messages in the queue of events, in all states; SQS counts approximately. Null where it does not answer.
    pub queue_messages: Option<u64>,
    /// For how long the oldest of them has waited at most, in seconds; 0 where there is none.
    pub queue_oldest_s: Option<f64>,
    /// Messages in the queue of dead letters; null where it does not answer.
    pub dead_letters: Option<u64>,
    /// How late the newest events are in the lake, in seconds.
    pub lake_lag_s: f64,
}

/// What waits in the queues, and how late the lake is.
#[utoipa::path(get, path = "/api/v1/figures", tag = "operations",
    responses((status = 200, description = "The figures.", body = QueueFigures),
        (status = 503, description = "Another process leads.", body = ErrorBody)),
    security(("api_key" = []), ("bearer" = [])))]
pub(crate) async fn figures(State(api): State<ApiState>) -> Result<Json<QueueFigures>, Refusal> {
    let figures = api.figures.as_ref().and_then(|figures| *figures.borrow());
    figures.map(Json).ok_or(Refusal::NotLeader)
}
