//! The shorter way of events, past the router: a post of one event costs more CPU in layers of a router than in its
//! own handling.
//!
//! Router, metrics looked up by name and timers for each request together cost 3 to 6 µs of 28 to 43 µs a post of one
//! event (2026-11-21), and 16 connections came to 7,400 posts/s rather than 12,300; the router alone was not
//! measured. Today such a post takes 25.65 µs where a bare axum handler takes 14.9 (docs/benchmarks.md,
//! `ingest-single`).

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, Uri, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use tokio::time::Instant;

use crate::app::App;
use crate::http::body;
use crate::http::events::{Route, respond};
use crate::http::peer::Peer;
use crate::http::refusal::Refusal;
use crate::http::router::router;
use crate::http::seats::Seat;
use crate::http::spoken::Spoken;

/// Answers requests: events by themselves, all others by the router.
pub(crate) struct FastPath {
    pub(crate) app: Arc<App>,
    router: Router,
}

impl FastPath {
    pub(crate) fn new(app: Arc<App>, others: Router) -> FastPath {
        let router = router(app.clone(), others);
        FastPath { app, router }
    }

    /// Answers a request, and times and counts it.
    pub(crate) async fn answer(
        &self,
        seat: &Arc<Seat>,
        peer: &Peer,
        request: Request<Incoming>,
    ) -> Response {
        let started = Instant::now();
        let response = match (
            body::check_head(&request),
            events_route(request.method(), request.uri()),
        ) {
            (Err(refusal), _) => Box::pin(self.refused(refusal, request)).await,
            (Ok(()), Some(route)) => respond(&self.app, route, seat, peer, request).await,
            (Ok(()), None) => Box::pin(self.routed(seat.clone(), peer, request)).await,
        };
        let status = response.status().as_u16();
        self.app.counts.request(status, started.elapsed());
        response
    }

    /// Answers a request whose head is against HTTP: what follows on the connection cannot be trusted.
    async fn refused(&self, refusal: Refusal, request: Request<Incoming>) -> Response {
        refusal.count();
        body::drain(&mut request.into_body(), self.app.max_body_bytes).await;
        let mut response = refusal.into_response();
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
        response
    }

    async fn routed(
        &self,
        seat: Arc<Seat>,
        peer: &Peer,
        mut request: Request<Incoming>,
    ) -> Response {
        request.extensions_mut().insert(seat.clone());
        peer.tell(&mut request);
        if request.body().is_end_stream() {
            seat.works();
        }
        let service = TowerToHyperService::new(self.router.clone());
        let response = service.call(request).await.into_response();
        if response.body().size_hint().exact().is_some() {
            return response;
        }
        // Until its last piece is sent the connection is at work: a stream of events may go on for hours.
        seat.works();
        let sending = Sending(seat);
        let mut response = response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let _held = &sending;
                frame
            }))
        });
        response.extensions_mut().insert(StillSends);
        response
    }
}

/// Says of an answer that its seat waits for the next request only once the answer's body has ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StillSends;

/// The seat of an answer that is being sent.
struct Sending(Arc<Seat>);

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.waits();
    }
}

/// The route of events that the router would choose, where the path is plain: without escapes or further segments.
fn events_route(method: &Method, uri: &Uri) -> Option<Route> {
    if method != Method::POST {
        return None;
    }
    if uri.path() == "/metrics" {
        return Some(Route::Metrics);
    }
    if let Some(spoken) = Spoken::of(uri.path()) {
        return Some(Route::Spoken(spoken));
    }
    let rest = uri.path().strip_prefix("/v1/events")?;
    if rest.is_empty() {
        return Some(Route::AnyKind);
    }
    let kind = rest.strip_prefix('/')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let is_plain = !kind.is_empty() && kind.bytes().all(plain);
    is_plain.then(|| Route::Kind(kind.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_posts_to_plain_paths_of_events_go_past_the_router() {
        let route = |path: &str| events_route(&Method::POST, &path.parse().unwrap());
        assert_eq!(route("/v1/events"), Some(Route::AnyKind));
        assert_eq!(route("/v1/events?atomic=true"), Some(Route::AnyKind));
        assert_eq!(route("/v1/events/pm"), Some(Route::Kind("pm".into())));
        assert_eq!(route("/metrics"), Some(Route::Metrics));
        assert_eq!(route("/v1/metrics"), Some(Route::Spoken(Spoken::Otlp)));
        for other in [
            "/",
            "/v1/events/",
            "/v1/events/a/b",
            "/v1/events/%70m",
            "/v1/eventsx",
            "/metrics/",
        ] {
            assert_eq!(route(other), None, "{other}");
        }
        let events = "/v1/events".parse().unwrap();
        assert_eq!(events_route(&Method::GET, &events), None);
    }
}
