//! Sign-in, sign-out, the link that is printed at the start, and reports of what the page was kept from loading.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use service::keys::{Access, Key};
use tokio::time::{Instant, sleep};

use super::cookie;
use super::origin::{check_change, check_read};
use crate::refusal::Refusal;
use crate::shared::Shared;

/// Most bytes of a sign-in.
const MOST_LOGIN: usize = 4 * 1024;

/// Most bytes of a report.
const MOST_REPORT: usize = 16 * 1024;

/// Failures that wait to be answered at a time; one more is refused at once.
pub(crate) const MOST_WAITING: usize = 64;

/// Time between two reports that are logged; all are counted.
const LOG_EVERY: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
struct Login {
    key: String,
}

/// Takes a read key, and sets the cookie of a new session.
pub(crate) async fn login(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Refusal> {
    check_read(request.headers())?;
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let address = address.map(|ConnectInfo(address)| address.ip());
    if let Some(seconds) = shared.sign_ins.refused(address) {
        return Err(Refusal::TooManySignIns(seconds));
    }
    let (head, body) = request.into_parts();
    let body = read(body, MOST_LOGIN).await?;
    let login: Login = serde_json::from_slice(&body)
        .map_err(|error| Refusal::InvalidBody(format!("send {{\"key\":\"…\"}}: {error}")))?;
    let key = shared.keys.find(&login.key);
    let key = key.filter(|key| key.scope().allows(Access::Read));
    let Some(key) = key else {
        let delay = shared.sign_ins.failed(address);
        let Ok(_place) = shared.failures.try_acquire() else {
            return Err(Refusal::TooManySignIns(1));
        };
        sleep(delay).await;
        return Err(Refusal::WrongKey);
    };
    let response = StatusCode::NO_CONTENT.into_response();
    begin(&shared, &head.headers, key, response)
}

/// Opens a one-time link.
pub(crate) async fn open(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Refusal> {
    let tokens = request.uri().query().unwrap_or_default().split('&');
    let token = tokens.filter_map(|pair| pair.strip_prefix("token=")).next();
    let token = token.map(|token| percent_decode_str(token).decode_utf8_lossy());
    if !token.is_some_and(|token| shared.sessions.take_link(&token)) {
        return Ok(Redirect::to("/console/?link=used").into_response());
    }
    begin(
        &shared,
        request.headers(),
        // Whoever has the link started the service.
        Key::own(),
        Redirect::to("/console/").into_response(),
    )
}

fn begin(
    shared: &Shared,
    asked: &HeaderMap,
    key: Arc<Key>,
    mut response: Response,
) -> Result<Response, Refusal> {
    tracing::info!(
        event = "signed_in",
        key = key.name(),
        "a session of the console begins"
    );
    let begun = shared.sessions.begin(key);
    let (value, session) = begun.map_err(|error| {
        tracing::error!(
            event = "no_session",
            error = format!("{error:#}"),
            "cannot begin a session"
        );
        Refusal::Stopping
    })?;
    metrics::counter!("headwater_console_sign_ins_total").increment(1);
    let lasts = shared.sessions.left(&session);
    if let Some(cookie) = cookie::set(asked, &value, lasts) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    no_store(&mut response);
    Ok(response)
}

/// Ends the session.
pub(crate) async fn logout(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    check_change(&headers)?;
    if let Some(cookie) = cookie::sent_session(&headers) {
        shared.sessions.end(cookie);
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Some(cookie) = cookie::set(&headers, "", Duration::ZERO) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    no_store(&mut response);
    Ok(response)
}

/// What the session may see, and until when.
#[derive(Debug, Serialize)]
struct SessionBody {
    expires_at: String,
    /// Whether SQL is answered.
    sql: bool,
    /// Whether alerts are here.
    alerts: bool,
    /// The name of the key that began the session.
    key: String,
    /// Whether it may silence and acknowledge.
    admin: bool,
}

/// Says until when the session lasts.
pub(crate) async fn session(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let session = shared.session(&headers)?;
    let mut response = Json(SessionBody {
        expires_at: contract::format_millis(session.expires_at),
        sql: shared.has_sql,
        alerts: shared.alerts.is_here(),
        key: session.key.name().to_owned(),
        admin: session.key.scope().allows(Access::Admin),
    })
    .into_response();
    no_store(&mut response);
    Ok(response)
}

/// Takes a report of a browser that the page's policy kept something from being loaded.
pub(crate) async fn csp(State(shared): State<Arc<Shared>>, request: Request) -> StatusCode {
    metrics::counter!("headwater_console_csp_reports_total").increment(1);
    let Ok(body) = read(request.into_body(), MOST_REPORT).await else {
        return StatusCode::PAYLOAD_TOO_LARGE;
    };
    let is_due = {
        let mut logged = shared
            .report_logged
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_due = logged.is_none_or(|at: Instant| at.elapsed() >= LOG_EVERY);
        if is_due {
            *logged = Some(Instant::now());
        }
        is_due
    };
    if is_due {
        let report: String = String::from_utf8_lossy(&body).chars().take(1000).collect();
        tracing::warn!(
            event = "csp_report",
            report,
            "a browser kept the console from loading something"
        );
    }
    StatusCode::NO_CONTENT
}

async fn read(body: Body, most: usize) -> Result<bytes::Bytes, Refusal> {
    to_bytes(body, most)
        .await
        .map_err(|_| Refusal::LargeBody(most))
}

fn no_store(response: &mut Response) {
    let value = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, value);
}
