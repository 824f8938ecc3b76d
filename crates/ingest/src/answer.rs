//! What clients are answered; the one place that turns errors into HTTP.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use contract::{BodyError, Rejection};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::budget::Exhausted;
use crate::send::CommitError;

/// Most refused events that an answer lists; `rejected_count` counts them all.
pub const MAX_LISTED: usize = 10_000;

/// When to come back after a `429` or `503`, in seconds: by then a send or two have ended.
const RETRY_AFTER_SECONDS: u64 = 1;

/// The answer to events: how many SQS has, and which were refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    /// Events that are durably in the queue.
    pub accepted: usize,
    /// The refused events, the first 10,000 of them.
    #[schema(max_items = 10000)]
    pub rejected: Vec<RejectedEvent>,
    /// How many events were refused.
    pub rejected_count: usize,
}

/// An event that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RejectedEvent {
    /// Its place among the events of the body, from 0.
    pub index: usize,
    /// What is wrong, as a stable code.
    #[schema(example = "missing_field")]
    pub code: String,
    /// The field at fault, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "vehicle_id")]
    pub field: Option<String>,
    /// The reason, for a reader.
    pub message: String,
}

impl RejectedEvent {
    pub(crate) fn new(index: usize, rejection: Rejection) -> RejectedEvent {
        RejectedEvent {
            index,
            code: rejection.code.as_str().to_owned(),
            field: rejection.field,
            message: rejection.message,
        }
    }
}

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        let status = if self.accepted > 0 {
            StatusCode::ACCEPTED
        } else {
            StatusCode::UNPROCESSABLE_ENTITY
        };
        (status, Json(self)).into_response()
    }
}

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
    #[error("no API key: send one in the header `x-api-key`")]
    NoKey,
    #[error("the API key in `x-api-key` is not known")]
    WrongKey,
    #[error("more than one `x-api-key` header: send exactly one")]
    SeveralKeys,
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
        "content type `{0}` is not taken: send `application/json`, or `application/x-ndjson` for one event a line"
    )]
    UnsupportedType(String),
    #[error("content encoding `{0}` is not taken: send `gzip`, `zstd` or none")]
    UnsupportedEncoding(String),
    #[error("the body has more than {limit} bytes: send fewer events at a time")]
    BodyTooLarge { limit: usize },
    #[error("the body unfolds to more than {limit} bytes: send fewer events at a time")]
    UnfoldsTooLarge { limit: usize },
    #[error("{0}")]
    EventTooLarge(String),
    #[error("{0}")]
    EventNotJson(String),
    #[error("the body did not arrive within {}", humantime::format_duration(*.0))]
    BodyTooSlow(Duration),
    #[error("the body broke off: {0}")]
    BodyBroken(String),
    #[error("the body is not {encoding}, as `content-encoding` says: {reason}")]
    NotEncoded {
        encoding: &'static str,
        reason: String,
    },
    #[error(transparent)]
    NoEvents(#[from] BodyError),
    #[error("too many events wait for the queue: send the same events again later")]
    Overloaded,
    #[error(
        "{0}; some events may be in the queue: send the same again, which is safe because they keep their ids"
    )]
    Unconfirmed(CommitError),
    #[error("the events could not be worked on: send the same again")]
    Interrupted,
}

impl From<Exhausted> for Refusal {
    fn from(Exhausted: Exhausted) -> Refusal {
        Refusal::Overloaded
    }
}

impl From<CommitError> for Refusal {
    fn from(error: CommitError) -> Refusal {
        Refusal::Unconfirmed(error)
    }
}

impl Refusal {
    /// The status, and the stable code.
    fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Refusal::NoKey => (StatusCode::UNAUTHORIZED, "missing_api_key"),
            Refusal::WrongKey => (StatusCode::UNAUTHORIZED, "wrong_api_key"),
            Refusal::SeveralKeys => (StatusCode::UNAUTHORIZED, "several_api_keys"),
            Refusal::UnknownRoute => (StatusCode::NOT_FOUND, "unknown_route"),
            Refusal::MethodNotAllowed(_) => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Refusal::UnknownKind { .. } => (StatusCode::NOT_FOUND, "unknown_kind"),
            Refusal::InvalidQuery { .. } => (StatusCode::BAD_REQUEST, "invalid_query"),
            Refusal::UnsupportedType(_) => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_content_type",
            ),
            Refusal::UnsupportedEncoding(_) => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_content_encoding",
            ),
            Refusal::BodyTooLarge { .. } | Refusal::UnfoldsTooLarge { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large")
            }
            Refusal::EventTooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Refusal::EventNotJson(_) => (StatusCode::BAD_REQUEST, "invalid_json"),
            Refusal::BodyTooSlow(_) => (StatusCode::REQUEST_TIMEOUT, "body_too_slow"),
            Refusal::BodyBroken(_) => (StatusCode::BAD_REQUEST, "body_broken"),
            Refusal::NotEncoded { .. } => (StatusCode::BAD_REQUEST, "invalid_encoding"),
            Refusal::NoEvents(BodyError::Empty) => (StatusCode::BAD_REQUEST, "empty_body"),
            Refusal::NoEvents(BodyError::NotUtf8(_)) => (StatusCode::BAD_REQUEST, "not_utf8"),
            Refusal::NoEvents(BodyError::NotJson(_)) => (StatusCode::BAD_REQUEST, "invalid_json"),
            Refusal::Overloaded => (StatusCode::TOO_MANY_REQUESTS, "overloaded"),
            Refusal::Unconfirmed(CommitError::Stopping) => {
                (StatusCode::SERVICE_UNAVAILABLE, "stopping")
            }
            Refusal::Unconfirmed(_) => (StatusCode::SERVICE_UNAVAILABLE, "unconfirmed"),
            Refusal::Interrupted => (StatusCode::SERVICE_UNAVAILABLE, "interrupted"),
        }
    }

    /// The stable code, for metrics.
    pub(crate) fn code(&self) -> &'static str {
        self.status().1
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code) = self.status();
        let error = ErrorDetail {
            code: code.to_owned(),
            message: self.to_string(),
        };
        let mut response = (status, Json(ErrorBody { error })).into_response();
        let headers = response.headers_mut();
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(
                    header::WWW_AUTHENTICATE,
                    HeaderValue::from_static("ApiKey header=\"x-api-key\""),
                );
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS.into());
            }
            _ => {}
        }
        response
    }
}
