//! Routes of other senders' protocols: what their heads say, and answers as they have them. The declarations of the
//! handlers are also what the OpenAPI document is made from.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use protocols::{Answer, Api, Content, Form, Precision};

use crate::app::App;
use crate::http::body::{self, Encoding};
use crate::http::events::{Route, respond};
use crate::http::peer::Peer;
use crate::http::refusal::Refusal;
use crate::http::seats::Seat;

/// A protocol that a route speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoken {
    Otlp,
    RemoteWrite,
    Lines(Api),
}

/// What a head says of a body in a protocol.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said {
    pub(crate) form: Form,
    pub(crate) encoding: Encoding,
}

impl Spoken {
    /// The protocol of a path.
    pub(crate) fn of(path: &str) -> Option<Spoken> {
        Some(match path {
            "/v1/metrics" => Spoken::Otlp,
            "/api/v1/write" => Spoken::RemoteWrite,
            "/write" => Spoken::Lines(Api::V1),
            "/api/v2/write" => Spoken::Lines(Api::V2),
            "/api/v3/write_lp" => Spoken::Lines(Api::V3),
            _ => return None,
        })
    }

    /// Reads the head.
    pub(crate) fn said(self, headers: &HeaderMap, uri: &Uri) -> Result<Said, Refusal> {
        let form = match self {
            Spoken::Otlp => Form::otlp(content(headers)).ok_or_else(|| {
                unsupported(headers, "`application/x-protobuf` or `application/json`")
            })?,
            Spoken::RemoteWrite => Form::remote_write(content(headers)).ok_or_else(|| {
                unsupported(
                    headers,
                    "`application/x-protobuf`, with the parameter `proto` for 2.0",
                )
            })?,
            Spoken::Lines(api) => Form::Lines(api, precision(api, uri)?),
        };
        let encoding = match self {
            Spoken::RemoteWrite if is_snappy(headers) => Encoding::Snappy,
            _ => body::encoding(headers)?,
        };
        Ok(Said { form, encoding })
    }

    /// How refusals are told to a request with this head, also where it cannot be read.
    pub(crate) fn refusals(self, headers: &HeaderMap) -> Form {
        match self {
            Spoken::Otlp => Form::otlp(content(headers)).unwrap_or(Form::OtlpJson),
            Spoken::RemoteWrite => Form::RemoteWrite1,
            Spoken::Lines(api) => Form::Lines(api, Precision::Nanos),
        }
    }
}

fn content(headers: &HeaderMap) -> Content<'_> {
    let value = headers.get(header::CONTENT_TYPE);
    Content::of(value.and_then(|value| value.to_str().ok()))
}

fn unsupported(headers: &HeaderMap, taken: &'static str) -> Refusal {
    let sent = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let sent = String::from_utf8_lossy(sent.unwrap_or_default());
    Refusal::UnsupportedForm(sent.chars().take(60).collect(), taken)
}

/// Remote write knows no other encoding, and some senders name none.
fn is_snappy(headers: &HeaderMap) -> bool {
    let named = headers.get(header::CONTENT_ENCODING);
    named.is_none_or(|named| named.as_bytes().eq_ignore_ascii_case(b"snappy"))
}

fn precision(api: Api, uri: &Uri) -> Result<Precision, Refusal> {
    let mut pairs = uri.query().unwrap_or_default().split('&');
    let named = pairs.find_map(|pair| pair.strip_prefix("precision="));
    match named.filter(|named| !named.is_empty()) {
        Some(named) => named.parse().map_err(Refusal::InvalidPrecision),
        None if api == Api::V3 => Ok(Precision::Auto),
        None => Ok(Precision::Nanos),
    }
}

/// The refusal as the protocol tells it. What passes is told by a status that each sender comes back after: of these
/// protocols none does after `408`, and OTLP's senders do not after `500`.
pub(crate) fn refused(form: Form, refusal: &Refusal) -> Response {
    let (status, _) = refusal.status();
    let status = match refusal {
        Refusal::BodyTooSlow(_) | Refusal::QueueRefused => StatusCode::SERVICE_UNAVAILABLE,
        _ => status,
    };
    let mut response = response(form.refused(status.as_u16(), &refusal.to_string()));
    refusal.put_headers(&mut response);
    response
}

/// The answer over HTTP.
pub(crate) fn response(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    if let Some(of) = answer.content_type {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(of));
    }
    for (name, value) in answer.headers {
        if let Ok(value) = value.parse() {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// Takes OpenTelemetry's metrics (OTLP over HTTP), in Protocol Buffers or JSON. Each value is a sample of the kind
/// `metric`, unless a rule of SENDERS says another one.
#[utoipa::path(
    post,
    path = "/v1/metrics",
    tag = "other senders",
    request_body(content((Vec<u8> = "application/x-protobuf"), (serde_json::Value = "application/json")), description = "`ExportMetricsServiceRequest`. May be compressed with gzip or zstd."),
    responses(
        (status = 200, description = "The accepted data points are durably in the queue; `partial_success` counts the others, and says why."),
        (status = 400, description = "The body is no `ExportMetricsServiceRequest`."),
        (status = 401, description = "No key, where one is asked for; a wrong key, or two."),
        (status = 403, description = "The key may not send metrics."),
        (status = 413, description = "The body is too large, or has too many samples."),
        (status = 415, description = "Another content type or encoding."),
        (status = 429, description = "The key has sent as much as it may, or too much waits for the queue: come back after `Retry-After`."),
        (status = 501, description = "Another transfer encoding than `chunked`."),
        (status = 503, description = "The queue did not confirm, or there are too many connections: the same again is safe."),
    ),
    security(("api_key" = []), ()),
)]
pub(crate) async fn post_otlp(
    State(app): State<Arc<App>>,
    Extension(seat): Extension<Arc<Seat>>,
    request: Request,
) -> Response {
    let route = Route::Spoken(Spoken::Otlp);
    respond(&app, route, &seat, &Peer::of(&request), request).await
}

/// Takes Prometheus remote write, 1.0 and 2.0.
#[utoipa::path(
    post,
    path = "/api/v1/write",
    tag = "other senders",
    request_body(content_type = "application/x-protobuf", content = Vec<u8>, description = "A message in snappy's block format."),
    responses(
        (status = 204, description = "The samples are durably in the queue."),
        (status = 400, description = "A sample was refused, and the others are in the queue; or the body is no such message."),
        (status = 401, description = "No key, where one is asked for; a wrong key, or two."),
        (status = 403, description = "The key may not send metrics."),
        (status = 413, description = "The body is too large, or has too many samples."),
        (status = 415, description = "Another content type or encoding."),
        (status = 429, description = "The key has sent as much as it may, or too much waits for the queue: come back after `Retry-After`."),
        (status = 501, description = "Another transfer encoding than `chunked`."),
        (status = 503, description = "The queue did not confirm, or there are too many connections: the same again is safe."),
    ),
    security(("api_key" = []), ()),
)]
pub(crate) async fn post_remote_write(
    State(app): State<Arc<App>>,
    Extension(seat): Extension<Arc<Seat>>,
    request: Request,
) -> Response {
    let route = Route::Spoken(Spoken::RemoteWrite);
    respond(&app, route, &seat, &Peer::of(&request), request).await
}

/// Takes InfluxDB's line protocol as InfluxDB 2 does.
#[utoipa::path(
    post,
    path = "/api/v2/write",
    tag = "other senders",
    params(("precision" = Option<String>, Query, description = "Unit of the times: `ns`, `us`, `ms` or `s`.")),
    request_body(content_type = "text/plain", content = Option<String>, description = "Line protocol. May be compressed with gzip or zstd."),
    responses(
        (status = 204, description = "The lines are durably in the queue."),
        (status = 400, description = "A line was refused, and the others are in the queue; or `precision` is not understood. The body says which and why."),
        (status = 401, description = "No key, where one is asked for; a wrong key, or two."),
        (status = 403, description = "The key may not send metrics."),
        (status = 413, description = "The body is too large, or has too many samples."),
        (status = 415, description = "Another content type or encoding."),
        (status = 429, description = "The key has sent as much as it may, or too much waits for the queue: come back after `Retry-After`."),
        (status = 501, description = "Another transfer encoding than `chunked`."),
        (status = 503, description = "The queue did not confirm, or there are too many connections: the same again is safe."),
    ),
    security(("api_key" = []), ()),
)]
pub(crate) async fn post_lines_v2(
    State(app): State<Arc<App>>,
    Extension(seat): Extension<Arc<Seat>>,
    request: Request,
) -> Response {
    let route = Route::Spoken(Spoken::Lines(Api::V2));
    respond(&app, route, &seat, &Peer::of(&request), request).await
}

/// Takes InfluxDB's line protocol as InfluxDB 1 does.
#[utoipa::path(
    post,
    path = "/write",
    tag = "other senders",
    params(("precision" = Option<String>, Query, description = "Unit of the times: `ns`, `us`, `ms` or `s`.")),
    request_body(content_type = "text/plain", content = Option<String>, description = "Line protocol. May be compressed with gzip or zstd."),
    responses(
        (status = 204, description = "The lines are durably in the queue."),
        (status = 400, description = "A line was refused, and the others are in the queue; or `precision` is not understood. The body says which and why."),
        (status = 401, description = "No key, where one is asked for; a wrong key, or two."),
        (status = 403, description = "The key may not send metrics."),
        (status = 413, description = "The body is too large, or has too many samples."),
        (status = 415, description = "Another content type or encoding."),
        (status = 429, description = "The key has sent as much as it may, or too much waits for the queue: come back after `Retry-After`."),
        (status = 501, description = "Another transfer encoding than `chunked`."),
        (status = 503, description = "The queue did not confirm, or there are too many connections: the same again is safe."),
    ),
    security(("api_key" = []), ()),
)]
pub(crate) async fn post_lines_v1(
    State(app): State<Arc<App>>,
    Extension(seat): Extension<Arc<Seat>>,
    request: Request,
) -> Response {
    let route = Route::Spoken(Spoken::Lines(Api::V1));
    respond(&app, route, &seat, &Peer::of(&request), request).await
}

/// Takes InfluxDB's line protocol as InfluxDB 3 does.
#[utoipa::path(
    post,
    path = "/api/v3/write_lp",
    tag = "other senders",
    params(("precision" = Option<String>, Query, description = "Unit of the times: `ns`, `us`, `ms` or `s`.")),
    request_body(content_type = "text/plain", content = Option<String>, description = "Line protocol. May be compressed with gzip or zstd."),
    responses(
        (status = 204, description = "The lines are durably in the queue."),
        (status = 400, description = "A line was refused, and the others are in the queue; or `precision` is not understood. The body says which and why."),
        (status = 401, description = "No key, where one is asked for; a wrong key, or two."),
        (status = 403, description = "The key may not send metrics."),
        (status = 413, description = "The body is too large, or has too many samples."),
        (status = 415, description = "Another content type or encoding."),
        (status = 429, description = "The key has sent as much as it may, or too much waits for the queue: come back after `Retry-After`."),
        (status = 501, description = "Another transfer encoding than `chunked`."),
        (status = 503, description = "The queue did not confirm, or there are too many connections: the same again is safe."),
    ),
    security(("api_key" = []), ()),
)]
pub(crate) async fn post_lines_v3(
    State(app): State<Arc<App>>,
    Extension(seat): Extension<Arc<Seat>>,
    request: Request,
) -> Response {
    let route = Route::Spoken(Spoken::Lines(Api::V3));
    respond(&app, route, &seat, &Peer::of(&request), request).await
}
