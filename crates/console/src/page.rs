//! The page and its files, with the headers that keep everything else out of it.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::refusal::Refusal;
use crate::shared::Shared;

/// The views that have a URL of their own; `/console/` is the first.
const VIEWS: [&str; 8] = [
    "now", "entity", "top", "alerts", "moments", "streams", "lake", "sql",
];

/// What the page may load and do.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; font-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; \
    report-uri /console/csp";

/// The page; it shows the sign-in where there is no session.
pub(crate) async fn page(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    shared.assets.page(&headers)
}

/// The page, by the URL of one of its views.
pub(crate) async fn view(
    State(shared): State<Arc<Shared>>,
    Path(view): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    if VIEWS.contains(&view.as_str()) {
        Ok(shared.assets.page(&headers))
    } else {
        Err(Refusal::UnknownRoute)
    }
}

/// A file of the page.
pub(crate) async fn asset(
    State(shared): State<Arc<Shared>>,
    Path((hash, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let file = shared.assets.file(&hash, &name, &headers);
    file.unwrap_or_else(|| Refusal::UnknownRoute.into_response())
}

/// Adds the headers of everything under `/console/`.
pub(crate) async fn guard(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
