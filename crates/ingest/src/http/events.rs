//! The routes that take events: from the head of a request to its answer. The declarations of the handlers are also
//! what the OpenAPI document is made from.

use std::pin::pin;
use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Uri, header, request};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use contract::METRIC;
use protocols::Form;
use service::keys::{Access, Key, KeyError};
use service::supervise;
use service::tls::Client;
use tracing::error;

use crate::app::App;
use crate::http::answer::{Accepted, RejectedList};
use crate::http::body::{self, Encoding, EventsBody};
use crate::http::peer::Peer;
use crate::http::refusal::{ErrorBody, Refusal};
use crate::http::seats::Seat;
use crate::http::spoken::{self, Spoken};
use crate::http::unfold::unfold;
use crate::intake::{BodyReader, Intake};
use crate::memory::budget::Buffer;

/// Bodies up to this size are read on the runtime's own threads: one or two milliseconds of work at most, which is
/// when they are full of tiny events that are all refused.
const INLINE_BYTES: usize = 16 * 1024;

/// Takes events of any kind.
#[utoipa::path(
    post,
    path = "/v1/events",
    tag = "events",
    params(("atomic" = Option<bool>, Query, description = "Take all events or none.")),
    responses(
        (status = 202, description = "The accepted events are durably in the queue.", body = Accepted),
        (status = 400, description = "Not JSON, not UTF-8, empty, not in its content encoding, or a query parameter that is not understood.", body = ErrorBody),
        (status = 401, description = "No key, a wrong key, or two.", body = ErrorBody),
        (status = 403, description = "The key may not send these events; the message says what it may.", body = ErrorBody),
        (status = 408, description = "The body did not arrive in time.", body = ErrorBody),
        (status = 413, description = "The body or a single event is too large, or the body has too many events.", body = ErrorBody),
        (status = 415, description = "Another content type or encoding.", body = ErrorBody),
        (status = 422, description = "No event was good; with `atomic=true`, one was not.", body = Accepted),
        (status = 429, description = "The key has sent as much as it may, or too much waits for the queue or for clients: come back after `Retry-After`.", body = ErrorBody),
        (status = 500, description = "The queue refuses events, until its operator has mended it; or a fault.", body = ErrorBody),
        (status = 501, description = "Another transfer encoding than `chunked`.", body = ErrorBody),
        (status = 503, description = "The queue did not confirm, or there are too many connections: the same events again are safe.", body = ErrorBody),
    ),
    security(("api_key" = [])),
)]
pub(crate) async fn post_events(
    State(app): State<Arc<App>>,
    Extension(seat): Extension<Arc<Seat>>,
    request: Request,
) -> Response {
    respond(&app, Route::AnyKind, &seat, &Peer::of(&request), request).await
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
        (status = 400, description = "Not JSON, not UTF-8, empty, not in its content encoding, or a query parameter that is not understood.", body = ErrorBody),
        (status = 401, description = "No key, a wrong key, or two.", body = ErrorBody),
        (status = 403, description = "The key may not send these events; the message says what it may.", body = ErrorBody),
        (status = 404, description = "No such kind; the message names the declared ones.", body = ErrorBody),
        (status = 408, description = "The body did not arrive in time.", body = ErrorBody),
        (status = 413, description = "The body or a single event is too large, or the body has too many events.", body = ErrorBody),
        (status = 415, description = "Another content type or encoding.", body = ErrorBody),
        (status = 422, description = "No event was good; with `atomic=true`, one was not.", body = Accepted),
        (status = 429, description = "The key has sent as much as it may, or too much waits for the queue or for clients: come back after `Retry-After`.", body = ErrorBody),
        (status = 500, description = "The queue refuses events, until its operator has mended it; or a fault.", body = ErrorBody),
        (status = 501, description = "Another transfer encoding than `chunked`.", body = ErrorBody),
        (status = 503, description = "The queue did not confirm, or there are too many connections: the same events again are safe.", body = ErrorBody),
    ),
    security(("api_key" = [])),
)]
pub(crate) async fn post_events_of_kind(
    State(app): State<Arc<App>>,
    Extension(seat): Extension<Arc<Seat>>,
    kind: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    // A name that is not UTF-8 is no declared kind.
    let kind = kind.map(|Path(kind)| kind).unwrap_or_default();
    respond(&app, Route::Kind(kind), &seat, &Peer::of(&request), request).await
}

/// Takes metrics: events of the kind `metric`, each with a name and a value. Two that say the same are two samples,
/// unless they have the same `event_id`.
#[utoipa::path(
    post,
    path = "/metrics",
    tag = "events",
    params(("atomic" = Option<bool>, Query, description = "Take all metrics or none.")),
    responses(
        (status = 202, description = "The accepted metrics are durably in the queue.", body = Accepted),
        (status = 400, description = "Not JSON, not UTF-8, empty, not in its content encoding, or a query parameter that is not understood.", body = ErrorBody),
        (status = 401, description = "No key, where one is asked for; a wrong key, or two.", body = ErrorBody),
        (status = 403, description = "The key may not send metrics; the message says what it may.", body = ErrorBody),
        (status = 408, description = "The body did not arrive in time.", body = ErrorBody),
        (status = 413, description = "The body or a single metric is too large, or the body has too many metrics.", body = ErrorBody),
        (status = 415, description = "Another content type or encoding.", body = ErrorBody),
        (status = 422, description = "No metric was good; with `atomic=true`, one was not.", body = Accepted),
        (status = 429, description = "The key has sent as much as it may, or too much waits for the queue or for clients: come back after `Retry-After`.", body = ErrorBody),
        (status = 500, description = "The queue refuses events, until its operator has mended it; or a fault.", body = ErrorBody),
        (status = 501, description = "Another transfer encoding than `chunked`.", body = ErrorBody),
        (status = 503, description = "The queue did not confirm, or there are too many connections: metrics that have an `event_id` may be sent again without counting twice.", body = ErrorBody),
    ),
    security(("api_key" = []), ()),
)]
pub(crate) async fn post_metrics(
    State(app): State<Arc<App>>,
    Extension(seat): Extension<Arc<Seat>>,
    request: Request,
) -> Response {
    respond(&app, Route::Metrics, &seat, &Peer::of(&request), request).await
}

/// What a route says of its events.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    AnyKind,
    Kind(String),
    Metrics,
    Spoken(Spoken),
}

/// What a request's head says of its body.
struct Head {
    key: Arc<Key>,
    kind: Option<String>,
    atomic: bool,
    content: Content,
    encoding: Encoding,
    /// Who may send events of itself alone; none where events are of any entity.
    client: Option<Arc<Client>>,
}

/// How a body tells its events.
#[derive(Debug, Clone, Copy)]
enum Content {
    Events(contract::Format),
    Points(Form),
}

/// Answers a request whose body is events.
pub(crate) async fn respond<B: EventsBody>(
    app: &Arc<App>,
    route: Route,
    seat: &Seat,
    peer: &Peer,
    request: axum::http::Request<B>,
) -> Response {
    let (parts, mut body) = request.into_parts();
    // Such a client sends its body only once it is told to.
    let holds_body_back = parts.headers.contains_key(header::EXPECT);
    let refusals = match &route {
        Route::Spoken(spoken) => Some(spoken.refusals(&parts.headers)),
        _ => None,
    };
    let head = head(app, route, peer, &parts);
    if let Err(Refusal::Key(error)) = &head
        && error.is_of_stranger()
    {
        let address = peer.address.map(|address| address.ip());
        Box::pin(app.keys.refuse(error, address, &parts.headers)).await;
    }
    // The head is a slice of the connection's read buffer, and keeps all of it.
    drop(parts);
    let answered = match head {
        Ok(head) => accept_events(app, head, seat, &mut body).await,
        Err(refusal) => Err(refusal),
    };
    let refusal = match answered {
        Ok(answer) => return answer,
        Err(refusal) => refusal,
    };
    refusal.count();
    if matches!(refusal, Refusal::Overloaded) {
        seat.overloaded();
    }
    if !holds_body_back && !matches!(refusal, Refusal::BodyTooSlow(_)) {
        Box::pin(body::drain(&mut body, app.max_body_bytes)).await;
    }
    match refusals {
        Some(form) => spoken::refused(form, &refusal),
        None => refusal.into_response(),
    }
}

fn head(app: &App, route: Route, peer: &Peer, request: &request::Parts) -> Result<Head, Refusal> {
    let key = match app.keys.check_of_sender(&request.headers) {
        Err(KeyError::Missing) if is_open(app, &route, &request.headers) => app.own_key.clone(),
        checked => checked?,
    };
    key.check_access(Access::Write)?;
    let kind = match &route {
        Route::AnyKind => None,
        Route::Kind(name) if app.kind(name).is_some() => Some(name.clone()),
        Route::Kind(_) => {
            return Err(Refusal::UnknownKind {
                kinds: app.kinds.names(),
            });
        }
        Route::Metrics => Some(METRIC.to_owned()),
        // A rule may say another one.
        Route::Spoken(_) => None,
    };
    if let Some(kind) = kind.as_deref().and_then(|name| app.kind(name))
        && !key.scope().allows_kind(&kind.name)
    {
        return Err(key
            .forbidden(&format!("send events of `{}`", kind.name))
            .into());
    }
    key.begin(app.keys.now())?;
    let (atomic, content, encoding) = match route {
        Route::Spoken(spoken) => {
            let said = spoken.said(&request.headers, &request.uri)?;
            (false, Content::Points(said.form), said.encoding)
        }
        _ => {
            let format = body::format(&request.headers)?;
            let encoding = body::encoding(&request.headers)?;
            (atomic(&request.uri)?, Content::Events(format), encoding)
        }
    };
    Ok(Head {
        key,
        kind,
        atomic,
        content,
        encoding,
        client: peer.client.clone().filter(|_| app.binds_entities),
    })
}

/// Whether a request without a key is taken. Not one of a web page, which any site that a user of this machine looks at
/// could send: browsers name the page's origin.
fn is_open(app: &App, route: &Route, headers: &HeaderMap) -> bool {
    let of_metrics = matches!(route, Route::Metrics | Route::Spoken(_));
    app.metrics_open && of_metrics && !headers.contains_key(header::ORIGIN)
}

/// Reads the body, commits its good events to the queue, and says which were refused.
async fn accept_events<B: EventsBody>(
    app: &Arc<App>,
    head: Head,
    seat: &Seat,
    body: &mut B,
) -> Result<Response, Refusal> {
    let mut arriving = app.group_commit.arriving(head.key.number());
    let bytes = {
        let (limit, buffer) = (app.max_body_bytes, app.budget.buffer());
        let mut read = pin!(body::read(body, limit, buffer));
        match body::at_once(read.as_mut()).await {
            Some(bytes) => bytes?,
            None => {
                let longest = app.body_timeout;
                let slow = body::in_time(read, longest, seat.called_off(), || arriving.give_up());
                // Boxed, as everything that few requests need: every connection's future has room for all of it.
                Box::pin(slow).await?
            }
        }
    };
    seat.works();
    app.counts.body(bytes.len());
    head.key.use_bytes(bytes.len(), app.clock.now());

    let (atomic, key) = (head.atomic, head.key.clone());
    let inline = head.encoding == Encoding::Identity && bytes.len() <= INLINE_BYTES;
    let now = contract::now_millis_precision(app.clock.now());
    let read = {
        let app = app.clone();
        move || read_events(&app, &head, now, bytes)
    };
    let (mut intake, points) = if inline {
        read()?
    } else {
        Box::pin(off_the_runtime(app, &key, read)).await?
    };

    for (code, count) in &intake.reasons {
        app.counts.rejected(code.as_str(), *count);
    }
    let rejected_count = intake.rejected_count();
    if atomic && rejected_count > 0 {
        intake.events = 0;
    }
    let to_send = intake.to_send();
    if to_send > 0 {
        let lines = intake.lines;
        app.group_commit.commit(lines, to_send, arriving).await?;
        key.count_taken(to_send);
        // Not before the queue has them, for the sender comes back with what it has not.
        app.told_infos.add(now.date_naive(), &intake.infos);
    }
    Ok(match points {
        Some((form, read)) => spoken::response(form.answer(&read)),
        None => intake.rejected.answer(intake.events, rejected_count),
    })
}

/// The events of a body, and what became of its points where it tells such.
type ReadBody = (Intake, Option<(Form, protocols::Read)>);

/// Unfolds and reads a body: what takes CPU time.
fn read_events(
    app: &App,
    head: &Head,
    now: DateTime<Utc>,
    body: Buffer,
) -> Result<ReadBody, Refusal> {
    let (key, sent) = (&head.key, body.len());
    let body = unfold(head.encoding, body, app.max_body_bytes, app.budget.buffer())?;
    key.use_bytes(body.len().saturating_sub(sent), now);
    let reader = BodyReader {
        key,
        names: head.client.as_ref().map(|client| &*client.names),
        kinds: &app.kinds,
        expected: head.kind.as_deref().and_then(|name| app.kind(name)),
        max_events: app.max_body_events.min(key.limits().most_events()),
        now,
        ids: &app.sample_ids,
        told: &app.told_infos,
    };
    let intake = Intake::new(app.budget.buffer(), RejectedList::within(&app.lists));
    let read = match head.content {
        Content::Events(format) => reader
            .read(body, format, intake)
            .map(|intake| (intake, None)),
        Content::Points(form) => reader
            .read_points(body, form, &app.mapping, intake)
            .map(|(intake, read)| (intake, Some((form, read)))),
    };
    match &read {
        Ok((intake, _)) => key.use_events(intake.to_send() + intake.rejected_count()),
        Err(Refusal::TooManyEvents { limit }) => key.use_events(*limit),
        Err(_) => {}
    }
    read
}

/// Runs `work` on a thread of its own, so that it delays no other request, when it is the key's turn.
async fn off_the_runtime<T: Send + 'static>(
    app: &App,
    key: &Key,
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let turn = app.turns.turn(key.number()).await;
    let work = move || {
        // Until the work is done, also where the client has left meanwhile.
        let _turn = turn;
        work()
    };
    tokio::task::spawn_blocking(work).await.map_err(|ended| {
        if ended.is_panic() {
            let reason = supervise::joined::<()>("reading a body", Err(ended));
            error!(event = "request_broken", ?reason, "a body was not read");
            Refusal::Fault
        } else {
            Refusal::Interrupted
        }
    })?
}

/// Whether the query asks to take all events or none.
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
