//! The router: routes and their OpenAPI document from the same declarations.

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, header};
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use bytes::Bytes;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::Refusal;
use crate::app::App;
use crate::{handlers, openapi};

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
