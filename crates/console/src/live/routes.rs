//! `GET /v1/live`: who may follow, and by which of the two ways.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Query, State};
use axum::http::{Extensions, HeaderMap, header};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use service::keys::Access;
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

use super::since::Since;
use super::{sse, websocket};
use crate::refusal::{ErrorBody, Refusal};
use crate::session::{check_upgrade, sent_session};
use crate::shared::Shared;

/// Most bytes of a message of a client: 2,000 topics with long names.
const MOST_MESSAGE: usize = 1024 * 1024;

/// Longest time for which a key without an end may follow; the client then connects anew.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// Bytes of a connection's buffers.
const BUFFER: usize = 16 * 1024;

/// What follows Server-Sent Events; a WebSocket says it in messages.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LiveParameters {
    /// JSON list of topics, such as `[{"topic":"health"}]`.
    subscribe: Option<String>,
    /// The `seq` of the last message of an earlier connection; `Last-Event-ID` goes before it.
    since: Option<String>,
}

/// What is new, as it comes: a WebSocket, or with `Accept: text/event-stream` Server-Sent Events.
///
/// A client of the WebSocket sends `{"subscribe":[TOPIC,…],"unsubscribe":[TOPIC,…],"since":seq}`. A topic is
/// `{"topic":"series","kind","entity","signal"}`, `{"topic":"top","kind","signal","window":"5m","n":10,"stat":"avg"}`,
/// `{"topic":"health"}`, `{"topic":"alerts"}` or `{"topic":"moments"}`. Messages have `seq`, `at` and `topic`; the first
/// is `hello`, with the `boot` that changes when the server was restarted.
#[utoipa::path(get, path = "/v1/live", tag = "live", params(LiveParameters),
    security(("api_key" = []), ("bearer" = [])), responses(
    (status = 101, description = "The connection is a WebSocket from here on."),
    (status = 200, description = "Server-Sent Events.", content_type = "text/event-stream", body = String),
    (status = 401, description = "Neither a session nor a read key.", body = ErrorBody),
    (status = 403, description = "Another site asks with the session of a browser, or the key may not read.", body = ErrorBody),
    (status = 429, description = "The key has asked as often as it may: come back after `Retry-After`.", body = ErrorBody),
    (status = 426, description = "Neither a WebSocket nor Server-Sent Events are asked for.", body = ErrorBody),
    (status = 503, description = "All places are taken.", body = ErrorBody),
))]
pub(crate) async fn live(
    State(shared): State<Arc<Shared>>,
    Query(parameters): Query<LiveParameters>,
    headers: HeaderMap,
    extensions: Extensions,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Refusal> {
    let wants_events = headers.get_all(header::ACCEPT).iter().any(|accept| {
        accept
            .to_str()
            .is_ok_and(|accept| accept.contains("text/event-stream"))
    });
    let ends = may_follow(&shared, &headers, &extensions, upgrade.is_ok()).await?;
    match upgrade {
        Ok(upgrade) => {
            let client = shared.hub.enter()?;
            let upgrade = upgrade
                .max_message_size(MOST_MESSAGE)
                .max_frame_size(MOST_MESSAGE)
                .read_buffer_size(BUFFER)
                .write_buffer_size(BUFFER)
                .max_write_buffer_size(4 * BUFFER + MOST_MESSAGE);
            let closing = shared.hub.closing.clone();
            Ok(upgrade.on_upgrade(move |socket| websocket::serve(socket, client, ends, closing)))
        }
        Err(_) if wants_events => {
            let list = parameters
                .subscribe
                .as_deref()
                .map(serde_json::from_str::<Value>)
                .transpose();
            let list = list.map_err(|error| {
                Refusal::InvalidParameter(format!("`subscribe` is no JSON list of topics: {error}"))
            })?;
            let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
            let since = last.or(parameters.since.as_deref()).and_then(Since::parse);
            let client = shared.hub.enter()?;
            client.take_list(list.as_ref(), since.as_ref());
            Ok(sse::serve(client, ends, shared.hub.closing.clone()))
        }
        Err(_) => Err(Refusal::NoUpgrade),
    }
}

/// How long a client may follow: for this time, and until the token is cancelled.
type Ends = Option<(Duration, CancellationToken)>;

/// Lets in who has a read key, or a session that no other site uses.
async fn may_follow(
    shared: &Shared,
    headers: &HeaderMap,
    extensions: &Extensions,
    upgrades: bool,
) -> Result<Ends, Refusal> {
    let has_key =
        headers.contains_key(service::keys::HEADER) || headers.contains_key(header::AUTHORIZATION);
    if has_key || sent_session(headers).is_none() {
        let key = shared.keys.admit(headers, extensions, Access::Read).await?;
        let now = shared.keys.now();
        let left = key.expires().map_or(Duration::MAX, |expires| {
            (expires - now).to_std().unwrap_or_default()
        });
        return Ok(Some((left.min(LONGEST), key.revoked().clone())));
    }
    if upgrades {
        check_upgrade(headers)?;
    }
    let session = shared.session(headers)?;
    Ok(Some((shared.sessions.left(&session), session.ended)))
}
