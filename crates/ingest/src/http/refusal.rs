//! Requests that are refused as a whole; the one place that turns errors into HTTP.

use std::time::Duration;

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use contract::BodyError;
use serde::{Deserialize, Serialize};
use service::keys::{KeyError, SCHEMES};
use utoipa::ToSchema;

use crate::memory::budget::Exhausted;
use crate::queue::pack_sender::CommitError;

/// When to come back after a `429` or `503`, in seconds: by then a send or two have ended.
pub(crate) const RETRY_AFTER_SECONDS: u64 = 1;

/// The answer to a request that was refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// What is wrong.
    pub error: ErrorDetail,
}

/// What is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorDetail {
    /// A stable code.
    #[schema(example = "invalid_json")]
    pub code: String,
    /// The reason, for a reader.
    pub message: String,
}

/// Why a request is refused as a whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("no such route: events go to POST /v1/events, GET / lists the routes")]
    UnknownRoute,
    #[error("{0} is not allowed here: the header `allow` names the methods that are")]
    MethodNotAllowed(axum::http::Method),
    #[error("no such kind: the kinds are {kinds}")]
    UnknownKind { kinds: String },
    #[error("`{parameter}` is `{value}`: send `true` or `false`")]
    InvalidQuery {
        parameter: &'static str,
        value: String,
    },
    #[error(
        "content type `{0}` is not taken: send `application/json`, or `application/x-ndjson` for one event a line; the \
         tool `import` takes CSV and Parquet"
    )]
    UnsupportedType(String),
    #[error("content type `{0}` is not one of this protocol: send {1}")]
    UnsupportedForm(String, &'static str),
    #[error("{0}")]
    InvalidPrecision(String),
    #[error(transparent)]
    Malformed(protocols::Malformed),
    #[error("content encoding `{0}` is not taken: send `gzip`, `zstd` or none")]
    UnsupportedEncoding(String),
    #[error(
        "content encodings `{0}` are not taken together: compress once, and send one `content-encoding`, `gzip` or `zstd`"
    )]
    SeveralEncodings(String),
    #[error("transfer encoding `{0}` is not taken: send `chunked` alone, or `content-length`")]
    UnsupportedTransfer(String),
    #[error("{0} `host` headers: HTTP/1.1 asks for exactly one")]
    WrongHost(usize),
    #[error("the body has more than {limit} bytes: send fewer events at a time")]
    BodyTooLarge { limit: usize },
    #[error("the body unfolds to more than {limit} bytes: send fewer events at a time")]
    UnfoldsTooLarge { limit: usize },
    #[error("the body has more than {limit} events: send fewer at a time")]
    TooManyEvents { limit: usize },
    #[error("{0}")]
    EventTooLarge(String),
    #[error("{0}")]
    EventNotJson(String),
    #[error("{0}")]
    NotCertified(String),
    #[error("the body did not arrive within {}", humantime::format_duration(*.0))]
    BodyTooSlow(Duration),
    #[error("the body broke off: {0}")]
    BodyBroken(String),
    #[error("the body is not {encoding}, as `content-encoding` says: {reason}")]
    NotEncoded {
        encoding: &'static str,
        reason: String,
    },
    #[error("the body's {encoding} is past a bound: {reason}")]
    EncodedPastBound {
        encoding: &'static str,
        reason: String,
    },
    #[error(transparent)]
    NoEvents(#[from] BodyError),
    #[error("too many events wait for the queue: send the same events again later")]
    Overloaded,
    #[error(
        "many events of the body are refused, and clients have yet to read too many long answers: send the same events \
         again later, or fewer at a time"
    )]
    AnswersUnread,
    #[error("too many connections: send the same events again later")]
    TooManyConnections,
    #[error(
        "the queue refused the events, and would again: none was taken; ingest's log says what its operator must mend"
    )]
    QueueRefused,
    #[error(
        "{0}; some events may be in the queue: send the same again, which is safe because they keep their ids, all but \
         samples of metrics without an `event_id`"
    )]
    Unconfirmed(CommitError),
    #[error("the events could not be worked on: send the same again")]
    Interrupted,
    #[error("a fault of ingest: its log has more; the same events would meet it again")]
    Fault,
}

impl From<CommitError> for Refusal {
    fn from(error: CommitError) -> Refusal {
        match error {
            CommitError::Refused => Refusal::QueueRefused,
            passing => Refusal::Unconfirmed(passing),
        }
    }
}

impl From<Exhausted> for Refusal {
    fn from(Exhausted: Exhausted) -> Refusal {
        Refusal::Overloaded
    }
}

impl Refusal {
    /// The status, and the stable code.
    pub(crate) fn status(&self) -> (StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Refusal::Key(error) => (error.status(), error.code()),
            Refusal::UnknownRoute => (S::NOT_FOUND, "unknown_route"),
            Refusal::MethodNotAllowed(_) => (S::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Refusal::UnknownKind { .. } => (S::NOT_FOUND, "unknown_kind"),
            Refusal::InvalidQuery { .. } => (S::BAD_REQUEST, "invalid_query"),
            Refusal::UnsupportedType(_) | Refusal::UnsupportedForm(..) => {
                (S::UNSUPPORTED_MEDIA_TYPE, "unsupported_content_type")
            }
            Refusal::InvalidPrecision(_) => (S::BAD_REQUEST, "invalid_query"),
            Refusal::Malformed(_) => (S::BAD_REQUEST, "malformed"),
            Refusal::UnsupportedEncoding(_) | Refusal::SeveralEncodings(_) => {
                (S::UNSUPPORTED_MEDIA_TYPE, "unsupported_content_encoding")
            }
            Refusal::UnsupportedTransfer(_) => {
                (S::NOT_IMPLEMENTED, "unsupported_transfer_encoding")
            }
            Refusal::WrongHost(_) => (S::BAD_REQUEST, "invalid_host"),
            Refusal::BodyTooLarge { .. } | Refusal::UnfoldsTooLarge { .. } => {
                (S::PAYLOAD_TOO_LARGE, "body_too_large")
            }
            Refusal::TooManyEvents { .. } => (S::PAYLOAD_TOO_LARGE, "too_many_events"),
            Refusal::EventTooLarge(_) => (S::PAYLOAD_TOO_LARGE, "too_large"),
            Refusal::NotCertified(_) => (S::FORBIDDEN, "forbidden"),
            Refusal::BodyTooSlow(_) => (S::REQUEST_TIMEOUT, "body_too_slow"),
            Refusal::BodyBroken(_) => (S::BAD_REQUEST, "body_broken"),
            Refusal::NotEncoded { .. } | Refusal::EncodedPastBound { .. } => {
                (S::BAD_REQUEST, "invalid_encoding")
            }
            Refusal::NoEvents(BodyError::Empty) => (S::BAD_REQUEST, "empty_body"),
            Refusal::NoEvents(BodyError::NotUtf8(_)) => (S::BAD_REQUEST, "not_utf8"),
            Refusal::NoEvents(BodyError::NotJson(_) | BodyError::BreaksOff { .. })
            | Refusal::EventNotJson(_) => (S::BAD_REQUEST, "invalid_json"),
            Refusal::Overloaded => (S::TOO_MANY_REQUESTS, "overloaded"),
            Refusal::AnswersUnread => (S::TOO_MANY_REQUESTS, "answers_unread"),
            Refusal::TooManyConnections => (S::SERVICE_UNAVAILABLE, "too_many_connections"),
            Refusal::QueueRefused => (S::INTERNAL_SERVER_ERROR, "queue_refused"),
            Refusal::Unconfirmed(CommitError::Stopping) => (S::SERVICE_UNAVAILABLE, "stopping"),
            Refusal::Unconfirmed(_) => (S::SERVICE_UNAVAILABLE, "unconfirmed"),
            Refusal::Interrupted => (S::SERVICE_UNAVAILABLE, "interrupted"),
            Refusal::Fault => (S::INTERNAL_SERVER_ERROR, "internal_fault"),
        }
    }

    /// The answer's body.
    pub(crate) fn body(&self) -> ErrorBody {
        ErrorBody {
            error: ErrorDetail {
                code: self.code().to_owned(),
                message: self.to_string(),
            },
        }
    }

    /// Counts the refusal by its code.
    pub(crate) fn count(&self) {
        count(self.code());
    }

    /// The stable code, for metrics.
    pub(crate) fn code(&self) -> &'static str {
        self.status().1
    }
}

/// Counts a refused request by its code.
pub(crate) fn count(code: &'static str) {
    metrics::counter!("headwater_ingest_refusals_total", "code" => code).increment(1);
}

impl Refusal {
    /// Puts the headers that go with the refusal.
    pub(crate) fn put_headers(&self, response: &mut Response) {
        let retry_after = match &self {
            Refusal::Key(error) => error.retry_after(),
            _ => None,
        };
        let retry_after = retry_after.unwrap_or(RETRY_AFTER_SECONDS);
        let status = response.status();
        let headers = response.headers_mut();
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, SCHEMES);
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, retry_after.into());
            }
            _ => {}
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, _) = self.status();
        let mut response = (status, Json(self.body())).into_response();
        self.put_headers(&mut response);
        response
    }
}
