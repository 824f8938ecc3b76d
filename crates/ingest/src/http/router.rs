//! The router: routes and their OpenAPI document, from the same declarations.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use tower_service::Service;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::http::refusal::Refusal;
use crate::http::{events, openapi, operations, spoken};

/// All routes of the service; what is none of them is answered by `others`, if that has the route. So is `GET /` for
/// browsers, which ask for HTML.
pub(crate) fn router(app: Arc<App>, others: Router) -> Router {
    let others = others.fallback(async || Refusal::UnknownRoute);
    let (router, declared) = OpenApiRouter::with_openapi(openapi::outline())
        .routes(routes!(events::post_events))
        .routes(routes!(events::post_events_of_kind))
        .routes(routes!(events::post_metrics))
        .routes(routes!(spoken::post_otlp))
        .routes(routes!(spoken::post_remote_write))
        .routes(routes!(spoken::post_lines_v1))
        .routes(routes!(spoken::post_lines_v2))
        .routes(routes!(spoken::post_lines_v3))
        .routes(routes!(operations::health))
        .split_for_parts();
    let document = Bytes::from(openapi::document(&declared, &app.kinds).to_string());
    let front = others.clone();
    router
        .route(
            "/",
            get(move |request: Request| front_page(front.clone(), request)),
        )
        .route(
            "/openapi.json",
            get(async move || ([(header::CONTENT_TYPE, "application/json")], document)),
        )
        // InfluxDB's clients ask it whether anybody is there.
        .route("/ping", get(async || StatusCode::NO_CONTENT))
        .fallback_service(others)
        .method_not_allowed_fallback(async |method: Method| Refusal::MethodNotAllowed(method))
        .with_state(app)
}

async fn front_page(mut others: Router, request: Request) -> Response {
    let accept = request.headers().get(header::ACCEPT);
    let accept = accept.and_then(|accept| accept.to_str().ok());
    if accept.is_some_and(|accept| accept.contains("text/html")) {
        let Ok(response) = others.call(request).await;
        if response.status() != StatusCode::NOT_FOUND {
            return response;
        }
    }
    operations::index().await.into_response()
}
