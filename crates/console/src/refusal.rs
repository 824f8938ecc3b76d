//! Requests without an answer; the one place that turns errors into HTTP.

use aws::CallError;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use service::keys::KeyError;
use utoipa::ToSchema;

/// The answer to a request that has no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ErrorBody {
    /// What is wrong.
    pub error: ErrorDetail,
}

/// What is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ErrorDetail {
    /// A stable code.
    #[schema(example = "no_session")]
    pub code: String,
    /// The reason, for a reader.
    pub message: String,
}

/// Why a request has no other answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("no session, or it ran out: sign in with a read key")]
    NoSession,
    #[error("the key opens no console: it must be one of query's, and may `read`")]
    WrongKey,
    #[error("too many sign-ins failed: wait {0} s")]
    TooManySignIns(u64),
    #[error(
        "the request comes from another site: `Origin` or `Sec-Fetch-Site` is not that of this host"
    )]
    ForeignOrigin,
    #[error(
        "a request with a session that changes something, or opens a WebSocket, must have an `Origin`"
    )]
    NoOrigin,
    #[error("{0}")]
    InvalidBody(String),
    #[error("the body has more than {0} bytes")]
    LargeBody(usize),
    #[error("{0}")]
    InvalidParameter(String),
    #[error("no such route")]
    UnknownRoute,
    #[error("alerts are not here: set ALERTS_URL and ALERTS_KEY, or run `headwater serve`")]
    NoAlerts,
    #[error("alerts do not answer: {0}")]
    AlertsAway(String),
    #[error("alerts refuse the key of the console: see ALERTS_KEY")]
    AlertsRefused,
    #[error("no answer within {0} s")]
    TimedOut(u64),
    #[error("the live stream has {0} clients already (LIVE_MAX_CLIENTS)")]
    TooManyClients(u32),
    #[error("this service is stopping")]
    Stopping,
    #[error("send `Upgrade: websocket`, or `Accept: text/event-stream`")]
    NoUpgrade,
    #[error("no object has the key `{0}`")]
    NoObject(String),
    #[error("{0} objects are read already: ask again")]
    TooManyReads(usize),
    #[error("S3 does not answer: ask again")]
    LakeUnavailable,
    #[error("S3 refuses to be read: the log says why")]
    LakeRefused,
}

impl From<CallError> for Refusal {
    fn from(error: CallError) -> Refusal {
        let reason = service::errors::chain(&error);
        tracing::error!(event = "lake_call_failed", %reason, "an object has no answer: {reason}");
        if error.is_transient() {
            Refusal::LakeUnavailable
        } else {
            Refusal::LakeRefused
        }
    }
}

impl Refusal {
    /// The status, and the stable code.
    pub(crate) fn status(&self) -> (StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Refusal::Key(error) => (error.status(), error.code()),
            Refusal::NoSession => (S::UNAUTHORIZED, "no_session"),
            Refusal::WrongKey => (S::UNAUTHORIZED, "wrong_key"),
            Refusal::TooManySignIns(_) => (S::TOO_MANY_REQUESTS, "too_many_sign_ins"),
            Refusal::ForeignOrigin => (S::FORBIDDEN, "foreign_origin"),
            Refusal::NoOrigin => (S::FORBIDDEN, "no_origin"),
            Refusal::InvalidBody(_) => (S::BAD_REQUEST, "invalid_body"),
            Refusal::LargeBody(_) => (S::PAYLOAD_TOO_LARGE, "large_body"),
            Refusal::InvalidParameter(_) => (S::BAD_REQUEST, "invalid_parameter"),
            Refusal::UnknownRoute => (S::NOT_FOUND, "unknown_route"),
            Refusal::NoAlerts => (S::NOT_FOUND, "no_alerts"),
            Refusal::AlertsAway(_) => (S::BAD_GATEWAY, "alerts_away"),
            Refusal::AlertsRefused => (S::BAD_GATEWAY, "alerts_refused"),
            Refusal::TimedOut(_) => (S::GATEWAY_TIMEOUT, "timeout"),
            Refusal::TooManyClients(_) => (S::SERVICE_UNAVAILABLE, "too_many_clients"),
            Refusal::Stopping => (S::SERVICE_UNAVAILABLE, "stopping"),
            Refusal::NoUpgrade => (S::UPGRADE_REQUIRED, "no_upgrade"),
            Refusal::NoObject(_) => (S::NOT_FOUND, "no_object"),
            Refusal::TooManyReads(_) => (S::TOO_MANY_REQUESTS, "too_many_reads"),
            Refusal::LakeUnavailable => (S::SERVICE_UNAVAILABLE, "lake_unavailable"),
            Refusal::LakeRefused => (S::INTERNAL_SERVER_ERROR, "lake_refused"),
        }
    }

    fn retry_after(&self) -> Option<u64> {
        match self {
            Refusal::Key(error) => error.retry_after(),
            Refusal::TooManySignIns(seconds) => Some(*seconds),
            Refusal::TooManyClients(_) => Some(5),
            Refusal::TooManyReads(_) | Refusal::LakeUnavailable | Refusal::Stopping => Some(1),
            _ => None,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code) = self.status();
        metrics::counter!("headwater_console_refusals_total", "code" => code).increment(1);
        let retry_after = self.retry_after();
        let error = ErrorDetail {
            code: code.to_owned(),
            message: self.to_string(),
        };
        let mut response = (status, Json(ErrorBody { error })).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UPGRADE_REQUIRED {
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        }
        response
    }
}
