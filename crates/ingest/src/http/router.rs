//! The router: routes and their OpenAPI document, from the same declarations.

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, header};
use axum::routing::get;
use bytes::Bytes;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::http::refusal::Refusal;
use crate::http::{events, openapi, operations};

/// All routes of the service; what is none of them is answered by `others`, if that has the route.
pub(crate) fn router(app: Arc<App>, others: Router) -> Router {
    let others = others.fallback(async || Refusal::UnknownRoute);
    let (router, declared) = OpenApiRouter::with_openapi(openapi::outline())
        .routes(routes!(events::post_events))
        .routes(routes!(events::post_events_of_kind))
        .routes(routes!(events::post_metrics))
        .routes(routes!(operations::health))
        .split_for_parts();
    let document = Bytes::from(openapi::document(&declared, &app.kinds).to_string());
    router
        .route("/", get(operations::index))
        .route(
            "/openapi.json",
            get(async move || ([(header::CONTENT_TYPE, "application/json")], document)),
        )
        .fallback_service(others)
        .method_not_allowed_fallback(async |method: Method| Refusal::MethodNotAllowed(method))
        .with_state(app)
}
