//! The router: routes and their OpenAPI document, from the same declarations.

use std::iter;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use console::Console;
use service::keys::Access;
use service::metrics::{RequestMetrics, count_request};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::{self as swagger, SwaggerUi, Url};

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

/// The API of another service that answers on the same port, for the page that shows APIs.
#[derive(Clone)]
pub struct OtherApi {
    /// The name of the service.
    pub name: &'static str,
    /// Where its document is.
    pub url: &'static str,
    /// The document, where nobody else serves it there.
    pub document: Option<OpenApi>,
}

/// All routes of the service but for the console, which answers by the newest snapshot of `app`.
pub fn router(app: App, settings: QuerySettings) -> Router {
    build(app, settings, None, &[])
}

/// All routes of the service, with those of the console, and the APIs of `others` on the page that shows APIs.
pub fn router_with_console(
    app: App,
    settings: QuerySettings,
    console: &Console,
    others: &[OtherApi],
) -> Router {
    build(app, settings, Some(console), others)
}

fn build(
    app: App,
    settings: QuerySettings,
    console: Option<&Console>,
    others: &[OtherApi],
) -> Router {
    let lake = app.engine.lake.clone();
    let shared = Arc::new(Shared::new(app, settings));
    let with_key = OpenApiRouter::new()
        .routes(routes!(query::query))
        .routes(routes!(kinds::kinds))
        .routes(routes!(entities::entities))
        .routes(routes!(latest::latest))
        .routes(routes!(top::top))
        .routes(routes!(sql::post_sql, sql::get_sql))
        .merge(console::lake_routes(lake))
        .route_layer(from_fn_with_state(shared.clone(), check_key));
    let mut open = OpenApiRouter::new().routes(routes!(health::health));
    if let Some(console) = console {
        open = open.merge(console.live_routes());
    }
    let (mut router, mut document) = OpenApiRouter::with_openapi(openapi::outline())
        .merge(with_key)
        .merge(open)
        .split_for_parts();
    openapi::complete(&mut document);
    let own = Url::with_primary("query", DOCUMENT_OF_PAGE, true);
    let others_urls = others.iter().map(|other| Url::new(other.name, other.url));
    let mut page = SwaggerUi::new("/docs").url(DOCUMENT_OF_PAGE, document.clone());
    for other in others {
        if let Some(document) = &other.document {
            page = page.url(other.url, document.clone());
        }
    }
    let page = page.config(swagger::Config::new(iter::once(own).chain(others_urls)));
    // None that data could cause: the document is made of the declarations above.
    let document = Bytes::from(document.to_json().unwrap_or_default());
    let has_console = console.is_some();
    if let Some(console) = console {
        router = router.merge(console.routes());
    }
    router
        .route(
            "/",
            get(async move |headers: HeaderMap| health::front(has_console, &headers)),
        )
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
    let keys = &shared.app.keys;
    keys.admit(request.headers(), request.extensions(), Access::Read)
        .await?;
    Ok(next.run(request).await)
}
