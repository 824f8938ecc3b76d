//! The router: routes and their OpenAPI document, from the same declarations.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{Method, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use service::keys::Access;
use service::metrics::{RequestMetrics, count_request};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::refusal::{MOST_BODY, Refusal, in_form_of_api};
use super::state::ApiState;
use super::{alerts, deliveries, figures, openapi, prometheus, silences, status};

/// How requests are counted.
const REQUESTS: RequestMetrics = RequestMetrics {
    total: "headwater_alerts_requests_total",
    seconds: "headwater_alerts_request_seconds",
};

/// The routes that ask for a key.
fn with_key() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(prometheus::rules))
        .routes(routes!(prometheus::alerts))
        .routes(routes!(alerts::alerts))
        .routes(routes!(alerts::groups))
        .routes(routes!(silences::list, silences::set))
        .routes(routes!(silences::one, silences::expire))
        .routes(routes!(status::status))
        .routes(routes!(status::receivers))
        .routes(routes!(status::build_info))
        .routes(routes!(deliveries::deliveries))
        .routes(routes!(deliveries::retry))
        .routes(routes!(deliveries::forget))
        .routes(routes!(
            deliveries::acknowledgements,
            deliveries::acknowledge
        ))
        .routes(routes!(figures::figures))
}

/// The OpenAPI document of the service, for who shows several services together.
pub fn document() -> utoipa::openapi::OpenApi {
    let routes = OpenApiRouter::with_openapi(openapi::outline())
        .merge(with_key())
        .routes(routes!(status::health));
    openapi::complete(routes.into_openapi())
}

/// All routes of the service.
pub fn router(state: ApiState) -> Router {
    let with_key = with_key().route_layer(from_fn_with_state(state.clone(), check_key));
    let (router, document) = OpenApiRouter::with_openapi(openapi::outline())
        .merge(with_key)
        .routes(routes!(status::health))
        .split_for_parts();
    // None that data could cause: the document is made of the declarations above.
    let document = openapi::complete(document);
    let document = Bytes::from(document.to_json().unwrap_or_default());
    router
        .route("/", get(status::index))
        .route(
            "/openapi.json",
            get(async move || ([(header::CONTENT_TYPE, "application/json")], document)),
        )
        .route_layer(from_fn_with_state(REQUESTS, count_request))
        .layer(DefaultBodyLimit::max(MOST_BODY))
        .fallback(async || Refusal::UnknownRoute)
        .method_not_allowed_fallback(async |method: Method| Refusal::MethodNotAllowed(method))
        .layer(from_fn(in_form_of_api))
        .with_state(state)
}

async fn check_key(
    State(state): State<ApiState>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let access = match *request.method() {
        Method::GET | Method::HEAD => Access::Read,
        _ => Access::Admin,
    };
    let (headers, extensions) = (request.headers(), request.extensions());
    state.keys.admit(headers, extensions, access).await?;
    Ok(next.run(request).await)
}
