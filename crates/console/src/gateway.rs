//! What the page asks of the query service and of alerts: the session stands for the key, which the browser never has.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use axum::response::{IntoResponse, Response};
use http_body_util::Limited;
use service::keys::{Access, Key};
use tower_service::Service;

use crate::refusal::Refusal;
use crate::session::check_change;
use crate::shared::Shared;

/// Most bytes of a request's body.
pub(crate) const MOST_BODY: usize = 1024 * 1024;

/// Longest time until an answer begins. Queries have a shorter one of their own (`QUERY_TIMEOUT`), which is a setting.
const TIMEOUT: Duration = Duration::from_secs(120);

/// What of a request's headers reaches the services: no cookie, no credential, nothing about the connection.
const FORWARDED: [HeaderName; 4] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
];

/// Asks the query service.
pub(crate) async fn query(
    State(shared): State<Arc<Shared>>,
    Path(path): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let (mut request, key) = forwarded(&shared, "/console/api", &path, request)?;
    request.extensions_mut().insert(key);
    let answer = shared.query.clone().call(request);
    let answer = tokio::time::timeout(TIMEOUT, answer).await;
    let Ok(response) = answer.map_err(|_| Refusal::TimedOut(TIMEOUT.as_secs()))?;
    Ok(answered(response))
}

/// Asks alerts.
pub(crate) async fn alerts(
    State(shared): State<Arc<Shared>>,
    Path(path): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let (request, key) = forwarded(&shared, "/console/alerts", &path, request)?;
    if !request.uri().path().starts_with("/api/") {
        return Err(Refusal::UnknownRoute);
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        key.check_access(Access::Admin)?;
    }
    shared.alerts.call(request, &key).await.map(answered)
}

/// The request as the service behind `prefix` gets it, if its session may ask, and the key of the session.
fn forwarded(
    shared: &Shared,
    prefix: &str,
    decoded: &str,
    request: Request,
) -> Result<(Request, Arc<Key>), Refusal> {
    let session = shared.session(request.headers())?;
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        check_change(request.headers())?;
    }
    // What a path means must not depend on who resolves it.
    if decoded
        .split(['/', '\\'])
        .any(|segment| segment == ".." || segment == ".")
    {
        return Err(Refusal::UnknownRoute);
    }
    let (mut head, body) = request.into_parts();
    let path = head.uri.path_and_query().map(PathAndQuery::as_str);
    let path = path
        .and_then(|path| path.strip_prefix(prefix))
        .unwrap_or("/");
    head.uri = path.parse::<Uri>().map_err(|_| Refusal::UnknownRoute)?;
    let mut headers = HeaderMap::new();
    for name in FORWARDED {
        if let Some(value) = head.headers.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    headers.insert(header::HOST, HeaderValue::from_static("console"));
    head.headers = headers;
    // What the server knows of the connection, such as how to upgrade it, is not the services' either.
    head.extensions.clear();
    let body = Body::new(Limited::new(body, MOST_BODY));
    Ok((Request::from_parts(head, body), session.key))
}

/// The answer as the page gets it.
fn answered(response: Response) -> Response {
    let mut response = response.into_response();
    let headers = response.headers_mut();
    headers.remove(header::SET_COOKIE);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}
