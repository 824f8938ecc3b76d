//! Requests without an answer; the one place that turns errors into HTTP, in the form of the API that was asked.

use axum::Json;
use axum::extract::Request;
use axum::extract::rejection::JsonRejection;
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use service::keys::{KeyError, SCHEMES};
use utoipa::ToSchema;

use crate::journal::WriteError;

/// Most bytes of a body: a silence with a hundred matchers has less.
pub(crate) const MOST_BODY: usize = 64 * 1024;

/// Most characters of a comment or a name.
const MOST_TEXT: usize = 2_000;

/// When to come back after a `503`, in seconds: by then another process leads.
const RETRY_AFTER_SECONDS: u64 = 10;

/// The answer to a request that has no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// What is wrong.
    pub error: ErrorDetail,
}

/// What is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorDetail {
    /// A stable code.
    #[schema(example = "not_leader")]
    pub code: String,
    /// The reason, for a reader.
    pub message: String,
}

/// Why a request has no other answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("no such route: GET / lists the routes")]
    UnknownRoute,
    #[error("{0} is not allowed here: GET / lists the routes")]
    MethodNotAllowed(Method),
    #[error("{0}")]
    InvalidParameter(String),
    #[error("{0}")]
    InvalidBody(String),
    #[error("the body has more than {0} bytes")]
    LargeBody(usize),
    #[error("send the body as `content-type: application/json`")]
    NoJson,
    #[error("no {what} `{id}`")]
    NotFound { what: &'static str, id: String },
    #[error("there are {0} silences already: let some end")]
    TooManySilences(usize),
    #[error("another process leads, or none does yet: ask again")]
    NotLeader,
}

impl From<WriteError> for Refusal {
    fn from(_: WriteError) -> Refusal {
        Refusal::NotLeader
    }
}

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Refusal {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Refusal::LargeBody(MOST_BODY),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Refusal::NoJson,
            _ => Refusal::InvalidBody(rejection.body_text()),
        }
    }
}

impl Refusal {
    pub(crate) fn parameter(name: &str, value: &str, wanted: &str) -> Refusal {
        Refusal::InvalidParameter(format!("`{name}` is `{value}`: {wanted}"))
    }

    /// Checks texts of people.
    ///
    /// # Errors
    ///
    /// If one of them is too long.
    pub(crate) fn check_texts(names: &str, texts: [&str; 2]) -> Result<(), Refusal> {
        if texts.iter().all(|text| text.chars().count() <= MOST_TEXT) {
            return Ok(());
        }
        let message = format!("{names} have at most {MOST_TEXT} characters");
        Err(Refusal::InvalidBody(message))
    }

    /// The status, and the stable code.
    fn status(&self) -> (StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Refusal::Key(error) => (error.status(), error.code()),
            Refusal::UnknownRoute => (S::NOT_FOUND, "unknown_route"),
            Refusal::MethodNotAllowed(_) => (S::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Refusal::InvalidParameter(_) => (S::BAD_REQUEST, "invalid_parameter"),
            Refusal::InvalidBody(_) => (S::BAD_REQUEST, "invalid_body"),
            Refusal::LargeBody(_) => (S::PAYLOAD_TOO_LARGE, "large_body"),
            Refusal::NoJson => (S::UNSUPPORTED_MEDIA_TYPE, "no_json"),
            Refusal::NotFound { .. } => (S::NOT_FOUND, "not_found"),
            Refusal::TooManySilences(_) => (S::TOO_MANY_REQUESTS, "too_many_silences"),
            Refusal::NotLeader => (S::SERVICE_UNAVAILABLE, "not_leader"),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code) = self.status();
        let retry_after = match &self {
            Refusal::Key(error) => error.retry_after(),
            _ => None,
        };
        let retry_after = retry_after.unwrap_or(RETRY_AFTER_SECONDS);
        metrics::counter!("headwater_alerts_refusals_total", "code" => code).increment(1);
        let error = ErrorDetail {
            code: code.to_owned(),
            message: self.to_string(),
        };
        let mut response = (
            status,
            Json(ErrorBody {
                error: error.clone(),
            }),
        )
            .into_response();
        response.extensions_mut().insert(error);
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
        response
    }
}

/// Whether a path is one of Alertmanager's API.
pub(super) fn is_of_alertmanager(path: &str) -> bool {
    path.starts_with("/api/v2/")
}

/// Whether a path is one of Prometheus' API whose errors have its form too.
pub(super) fn is_of_prometheus(path: &str) -> bool {
    ["/api/v1/rules", "/api/v1/alerts"].contains(&path)
}

/// The refusal in the form of the API that was asked: Alertmanager's is the text alone, as JSON; Prometheus' says
/// `errorType`.
pub(crate) async fn in_form_of_api(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    let Some(ErrorDetail { message, .. }) = response.extensions().get() else {
        return response;
    };
    let body = if is_of_alertmanager(&path) {
        json!(message)
    } else if is_of_prometheus(&path) {
        let kind = if response.status().is_client_error() {
            "bad_data"
        } else {
            "unavailable"
        };
        json!({"status": "error", "errorType": kind, "error": message})
    } else {
        return response;
    };
    let (mut head, _) = response.into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, body.to_string().into())
}
