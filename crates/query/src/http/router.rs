//! The router: routes and their OpenAPI document, from the same declarations.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use service::metrics::{RequestMetrics, count_request};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::SwaggerUi;

use crate::app::App;
use crate::http::refusal::Refusal;
use crate::http::settings::QuerySettings;
use crate::http::shared::Shared;
use crate::http::{entities, health, kinds, latest, openapi, query, sql, top};

/// How requests are counted.
const REQUESTS: RequestMetrics = RequestMetrics {
    total: "headwater_query_requests_total",
    seconds: "headwater_query_request_seconds",
};

/// The document again: where ingest answers on the same port, `/openapi.json` is that of ingest.
const DOCUMENT_OF_PAGE: &str = "/docs/query.json";

/// All routes of the service, which answers by the newest snapshot of `app`.
pub fn router(app: App, settings: QuerySettings) -> Router {
    let shared = Arc::new(Shared::new(app, settings));
    let with_key = OpenApiRouter::new()
        .routes(routes!(query::query))
        .routes(routes!(kinds::kinds))
        .routes(routes!(entities::entities))
        .routes(routes!(latest::latest))
        .routes(routes!(top::top))
        .routes(routes!(sql::post_sql, sql::get_sql))
        .route_layer(from_fn_with_state(shared.clone(), check_key));
    let (router, document) = OpenApiRouter::with_openapi(openapi::outline())
        .merge(with_key)
        .routes(routes!(health::health))
        .split_for_parts();
    let page = SwaggerUi::new("/docs").url(DOCUMENT_OF_PAGE, document.clone());
    // None that data could cause: the document is made of the declarations above.
    let document = Bytes::from(document.to_json().unwrap_or_default());
    router
        .route("/", get(health::index))
        .route(
            "/openapi.json",
            get(async move || ([(header::CONTENT_TYPE, "application/json")], document)),
        )
        .merge(page)
        .route_layer(from_fn_with_state(REQUESTS, count_request))
        .fallback(async || Refusal::UnknownRoute)
        .method_not_allowed_fallback(async |method: Method| Refusal::MethodNotAllowed(method))
        .with_state(shared)
}

async fn check_key(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    shared.keys.check_with_bearer(request.headers())?;
    Ok(next.run(request).await)
}
