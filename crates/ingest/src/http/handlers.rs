//! The routes' handlers. Their declarations are also what the OpenAPI document is made from.

use std::pin::pin;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::counts::Counts;
use crate::http::answer::{Accepted, ErrorBody, Listed, Refusal};
use crate::http::body::{self, Encoding, EventsBody};
use crate::http::connections::Seat;
use crate::http::probe;
use crate::http::unfold::unfold;
use crate::intake::{Intake, Reading};
use crate::memory::budget::Buffer;
use crate::memory::pages::Expected;

/// Bodies up to this size are read on the runtime's own threads: a millisecond or two of work, also
/// where they are full of tiny events that are all refused.
const INLINE_BYTES: usize = 16 * 1024;

/// Takes events of any kind.
#[utoipa::path(
    post,
    path = "/v1/events",
    tag = "events",
    params(("atomic" = Option<bool>, Query, description = "Take all events or none.")),
    responses(
        (status = 202, description = "The accepted events are durably in the queue.", body = Accepted),
        (status = 400, description = "Not JSON, not UTF-8, empty, not in its content encoding, or a query parameter that is none.", body = ErrorBody),
        (status = 401, description = "No key, a wrong key, or two.", body = ErrorBody),
        (status = 408, description = "The body did not arrive in time.", body = ErrorBody),
        (status = 413, description = "The body or a single event is too large.", body = ErrorBody),
        (status = 415, description = "Another content type or encoding.", body = ErrorBody),
        (status = 422, description = "No event was good; with `atomic=true`, one was not.", body = Accepted),
        (status = 429, description = "Too much waits for the queue: come back after `Retry-After`.", body = ErrorBody),
        (status = 503, description = "The queue did not confirm: the same events again are safe.", body = ErrorBody),
    ),
    security(("api_key" = [])),
)]
pub(crate) async fn post_events(State(app): State<Arc<App>>, request: Request) -> Response {
    routed(&app, Route::AnyKind, request).await
}

/// Takes events of one kind.
#[utoipa::path(
    post,
    path = "/v1/events/{kind}",
    tag = "events",
    params(
        ("kind" = String, Path, description = "A declared kind; `pm` is another name of `cell`."),
        ("atomic" = Option<bool>, Query, description = "Take all events or none."),
    ),
    responses(
        (status = 202, description = "The accepted events are durably in the queue.", body = Accepted),
        (status = 400, description = "Not JSON, not UTF-8, empty, not in its content encoding, or a query parameter that is none.", body = ErrorBody),
        (status = 401, description = "No key, a wrong key, or two.", body = ErrorBody),
        (status = 404, description = "No such kind; the message names those that there are.", body = ErrorBody),
        (status = 408, description = "The body did not arrive in time.", body = ErrorBody),
        (status = 413, description = "The body or a single event is too large.", body = ErrorBody),
        (status = 415, description = "Another content type or encoding.", body = ErrorBody),
        (status = 422, description = "No event was good; with `atomic=true`, one was not.", body = Accepted),
        (status = 429, description = "Too much waits for the queue: come back after `Retry-After`.", body = ErrorBody),
        (status = 503, description = "The queue did not confirm: the same events again are safe.", body = ErrorBody),
    ),
    security(("api_key" = [])),
)]
pub(crate) async fn post_events_of_kind(
    State(app): State<Arc<App>>,
    kind: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    // A name that is not even UTF-8 is no declared kind either.
    let kind = kind.map(|Path(kind)| kind).unwrap_or_default();
    routed(&app, Route::Kind(kind), request).await
}

/// What a route says of its events.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    AnyKind,
    Kind(String),
}

/// What a request's head says of its body.
struct Head {
    kind: Option<String>,
    atomic: bool,
    format: contract::Format,
    encoding: Encoding,
}

async fn routed(app: &Arc<App>, route: Route, request: Request) -> Response {
    let seat = request.extensions().get::<Arc<Seat>>().cloned();
    respond(app, route, seat.as_deref(), request).await
}

/// Answers a request whose body is events.
pub(crate) async fn respond<B: EventsBody>(
    app: &Arc<App>,
    route: Route,
    seat: Option<&Seat>,
    request: axum::http::Request<B>,
) -> Response {
    let (parts, mut body) = request.into_parts();
    // Such a client sends its body only once that is asked for.
    let holds_body_back = parts.headers.contains_key(header::EXPECT);
    let head = head(app, route, &parts);
    // It is a part of the connection's read buffer, which is kept as a whole.
    drop(parts);
    let answered = match head {
        Ok(head) => take(app, head, seat, &mut body).await,
        Err(refusal) => Err(refusal),
    };
    match answered {
        Ok(answer) => answer,
        Err(refusal) => {
            metrics::counter!("headwater_ingest_refusals_total", "code" => refusal.code())
                .increment(1);
            if let (Refusal::Overloaded, Some(seat)) = (&refusal, seat) {
                seat.overloaded();
            }
            if !holds_body_back && !matches!(refusal, Refusal::BodyTooSlow(_)) {
                Box::pin(body::drain(&mut body, app.max_body_bytes)).await;
            }
            refusal.into_response()
        }
    }
}

fn head(app: &App, route: Route, request: &axum::http::request::Parts) -> Result<Head, Refusal> {
    app.keys.check(&request.headers)?;
    let kind = match route {
        Route::AnyKind => None,
        Route::Kind(name) if app.kind(&name).is_some() => Some(name),
        Route::Kind(_) => {
            return Err(Refusal::UnknownKind {
                kinds: app.kinds.names(),
            });
        }
    };
    Ok(Head {
        kind,
        atomic: atomic(&request.uri)?,
        format: body::format(&request.headers)?,
        encoding: body::encoding(&request.headers)?,
    })
}

async fn take<B: EventsBody>(
    app: &Arc<App>,
    head: Head,
    seat: Option<&Seat>,
    body: &mut B,
) -> Result<Response, Refusal> {
    let mut reading = app.committer.reading();
    let bytes = {
        let (limit, buffer) = (app.max_body_bytes, app.budget.buffer());
        let mut read = pin!(body::read(body, limit, buffer));
        match body::at_once(read.as_mut()).await {
            Some(bytes) => bytes?,
            None => {
                let called_off = async {
                    match seat {
                        Some(seat) => seat.called_off().await,
                        None => std::future::pending().await,
                    }
                };
                let longest = app.body_timeout;
                let slow = body::in_time(read, longest, called_off, || reading.give_up());
                // Boxed, as all that few requests need: each connection's future has room for all.
                Box::pin(slow).await?
            }
        }
    };
    if let Some(seat) = seat {
        seat.works();
    }
    app.counts.body(bytes.len());

    let atomic = head.atomic;
    let inline = head.encoding == Encoding::Identity && bytes.len() <= INLINE_BYTES;
    let read = {
        let (app, now) = (app.clone(), contract::now_millis_precision(app.clock.now()));
        move || read_events(&app, &head, now, bytes)
    };
    let mut intake = match inline {
        true => read()?,
        false => Box::pin(off_the_runtime(app, read)).await?,
    };

    for (code, count) in &intake.reasons {
        app.counts.rejected(code.as_str(), *count);
    }
    let rejected_count = intake.rejected_count();
    if atomic && rejected_count > 0 {
        intake.events = 0;
    }
    if intake.events > 0 {
        app.committer
            .commit(intake.lines, intake.events, reading)
            .await?;
    }
    Ok(intake.rejected.answer(intake.events, rejected_count))
}

/// Unfolds and reads a body: all of the work on it that takes CPU time.
fn read_events(
    app: &App,
    head: &Head,
    now: chrono::DateTime<Utc>,
    body: Buffer,
) -> Result<Intake, Refusal> {
    let body = unfold(head.encoding, body, app.max_body_bytes, app.budget.buffer())?;
    let reading = Reading {
        kinds: &app.kinds,
        expected: head.kind.as_deref().and_then(|name| app.kind(name)),
        format: head.format,
        now,
    };
    let intake = Intake::new(app.budget.buffer(), Listed::within(&app.lists));
    reading.read(body, intake)
}

/// Runs `work` where it keeps nobody else waiting, as many at a time as there are cores.
async fn off_the_runtime<T: Send + 'static>(
    app: &App,
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let _permit = app
        .workers
        .acquire()
        .await
        .map_err(|_| Refusal::Interrupted)?;
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Refusal::Interrupted)?
}

/// Whether the query asks for all or none.
fn atomic(uri: &Uri) -> Result<bool, Refusal> {
    let pairs = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut atomic = false;
    for (_, value) in pairs.filter(|(name, _)| *name == "atomic") {
        atomic = match value {
            "true" | "1" | "" => true,
            "false" | "0" => false,
            other => {
                return Err(Refusal::InvalidQuery {
                    parameter: "atomic",
                    value: other.chars().take(40).collect(),
                });
            }
        };
    }
    Ok(atomic)
}

/// How the service is.
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
    /// Why it is unhealthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Says how the service and its queue are.
#[utoipa::path(get, path = "/health", tag = "operations", responses(
    (status = 200, description = "SQS answers.", body = Health),
    (status = 503, description = "SQS cannot be asked.", body = Health),
))]
pub(crate) async fn health(State(app): State<Arc<App>>) -> (StatusCode, Json<Health>) {
    let pending_events = app.committer.pending_events();
    match app.probe.depth(probe::FRESH).await {
        Ok(depth) => {
            let health = Health {
                status: "healthy",
                queue_size: Some(depth.visible),
                pending_events,
                reason: None,
            };
            (StatusCode::OK, Json(health))
        }
        Err(reason) => {
            let health = Health {
                status: "unhealthy",
                queue_size: None,
                pending_events,
                reason: Some(reason),
            };
            (StatusCode::SERVICE_UNAVAILABLE, Json(health))
        }
    }
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
    if !app.ready.get() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "not ready: stopping\n".into(),
        );
    }
    match app.probe.depth(probe::RECENT).await {
        Ok(_) => (StatusCode::OK, "ready\n".into()),
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
    // Held until it is sent, as all that is long.
    let mut held = app.lists.buffer();
    held.append(text.as_bytes(), Expected::About(text.len()))?;
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

/// Times and counts a request.
pub(crate) async fn counted(counts: &Counts, answer: impl Future<Output = Response>) -> Response {
    let started = tokio::time::Instant::now();
    let response = answer.await;
    counts.request(response.status().as_u16(), started.elapsed());
    response
}

/// Times and counts each request that comes by the router.
pub(crate) async fn count(
    State(app): State<Arc<App>>,
    request: Request,
    next: axum::middleware::Next,
) -> Response {
    counted(&app.counts, next.run(request)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atomic_is_read_from_the_query() {
        for (uri, expected) in [
            ("/v1/events", false),
            ("/v1/events?atomic=true", true),
            ("/v1/events?a=b&atomic=1", true),
            ("/v1/events?atomic", true),
            ("/v1/events?atomic=false", false),
        ] {
            assert_eq!(atomic(&uri.parse().unwrap()).unwrap(), expected, "{uri}");
        }
        assert!(atomic(&"/v1/events?atomic=maybe".parse().unwrap()).is_err());
    }
}
