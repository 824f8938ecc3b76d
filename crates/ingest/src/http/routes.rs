//! The router: routes and their OpenAPI document from the same declarations; and the shorter way
//! past it for events.

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, Request, Uri, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::http::answer::Refusal;
use crate::http::connections::Seat;
use crate::http::handlers::Route;
use crate::http::{handlers, openapi};

/// All routes of the service.
pub fn router(app: Arc<App>) -> Router {
    let (router, declared) = OpenApiRouter::with_openapi(openapi::outline())
        .routes(routes!(handlers::post_events))
        .routes(routes!(handlers::post_events_of_kind))
        .routes(routes!(handlers::health))
        .routes(routes!(handlers::livez))
        .routes(routes!(handlers::readyz))
        .routes(routes!(handlers::metrics_text))
        .split_for_parts();
    let document = Bytes::from(openapi::document(&declared, &app.kinds).to_string());
    router
        .route("/", get(handlers::index))
        .route(
            "/openapi.json",
            get(async move || ([(header::CONTENT_TYPE, "application/json")], document)),
        )
        .fallback(async || Refusal::UnknownRoute)
        .method_not_allowed_fallback(async |method: Method| Refusal::MethodNotAllowed(method))
        .layer(from_fn_with_state(app.clone(), handlers::count))
        .with_state(app)
}

/// Answers what comes by connections.
pub(crate) struct Front {
    pub(crate) app: Arc<App>,
    router: Router,
}

impl Front {
    pub(crate) fn new(app: Arc<App>) -> Front {
        let router = router(app.clone());
        Front { app, router }
    }

    /// Answers a request. Events go past the router, whose layers cost more time than an event's
    /// own way does.
    pub(crate) async fn answer(
        &self,
        seat: &Arc<Seat>,
        mut request: Request<Incoming>,
    ) -> Response {
        if request.method() == Method::POST
            && let Some(route) = events_route(request.uri())
        {
            let answer = handlers::respond(&self.app, route, Some(seat), request);
            return handlers::counted(&self.app.counts, answer).await;
        }
        request.extensions_mut().insert(seat.clone());
        let routed = TowerToHyperService::new(self.router.clone()).call(request);
        Box::pin(routed).await.into_response()
    }
}

/// The route of events that the router would take for this, where that is plain to see.
fn events_route(uri: &Uri) -> Option<Route> {
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
    fn only_plain_paths_of_events_go_past_the_router() {
        let route = |path: &str| events_route(&path.parse().unwrap());
        assert_eq!(route("/v1/events"), Some(Route::AnyKind));
        assert_eq!(route("/v1/events?atomic=true"), Some(Route::AnyKind));
        assert_eq!(route("/v1/events/pm"), Some(Route::Kind("pm".into())));
        for other in [
            "/",
            "/v1/events/",
            "/v1/events/a/b",
            "/v1/events/%70m",
            "/v1/eventsx",
        ] {
            assert_eq!(route(other), None, "{other}");
        }
    }
}
