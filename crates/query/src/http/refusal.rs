//! Requests without an answer; the one place that turns errors into HTTP.

use std::time::Duration;

use aws::CallError;
use axum::Json;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use lake::ReadError;
use serde::{Deserialize, Serialize};
use service::errors::chain;
use service::keys::{KeyError, SCHEMES};
use tracing::error;
use utoipa::ToSchema;

use engine::TurnError;
use engine::kernels::ScanError;
use engine::read::PartError;
use engine::snapshot::Part;

/// When to come back after a `429` or `503`, in seconds: by then a query or two have ended.
const RETRY_AFTER_SECONDS: u64 = 1;

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
    #[schema(example = "unknown_signal")]
    pub code: String,
    /// The reason, for a reader.
    pub message: String,
    /// Line of the statement where the fault is, from 1, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Its column, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
}

/// Why a request has no other answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("no such route: GET / lists the routes")]
    UnknownRoute,
    #[cfg(not(feature = "sql"))]
    #[error(
        "this program was built without SQL: `cargo run -p query`, or `cargo run -p headwater --features sql`"
    )]
    NoSql,
    /// A statement that cannot be run, with the place of the fault where it is known.
    #[cfg(feature = "sql")]
    #[error("{message}")]
    Statement {
        code: &'static str,
        message: String,
        place: Option<(u64, u64)>,
    },
    #[cfg(feature = "sql")]
    #[error(
        "the query needs more memory than is left of MEMORY_LIMIT: ask for less time, fewer columns or fewer groups"
    )]
    TooMuchMemory,
    #[cfg(feature = "sql")]
    #[error(
        "the answer has more than {most} rows (MAX_ROWS): add a LIMIT, or ask for JSON, which says `truncated`"
    )]
    TooManyRows { most: usize },
    #[cfg(feature = "sql")]
    #[error(transparent)]
    ScanTooLarge(sql::ScanTooLarge),
    #[error("{0} is not allowed here: every route is read by GET, and /v1/sql by POST too")]
    MethodNotAllowed(Method),
    #[error("{0}")]
    InvalidParameter(String),
    #[error("no kind `{name}`: {nearest}")]
    UnknownKind { name: String, nearest: String },
    #[error("no signal `{name}`{of}: {nearest}")]
    UnknownSignal {
        name: String,
        of: String,
        nearest: String,
    },
    #[error("the query took longer than {}: ask for less time, or fewer signals or entities (the most is QUERY_TIMEOUT)", humantime::format_duration(*.0))]
    TimedOut(Duration),
    #[error("{0} queries wait already (MAX_WAITING_QUERIES): ask again")]
    TooManyQueries(u32),
    #[error(
        "the answer has more than {most} groups (MAX_GROUPS): ask for a longer step, less time, or fewer signals or entities"
    )]
    TooManyGroups { most: usize },
    #[error("the lake has been read in part only: ask again")]
    Starting,
    #[error("`{}` is gone or was replaced twice while it was read: ask again", .0.key)]
    PartGone(Part),
    #[error("{0}: query's log has more; the rest of the lake can be asked for")]
    PartBroken(String),
    #[error("S3 does not answer: ask again")]
    LakeUnavailable,
    #[error("S3 refuses to be read: query's log says why")]
    LakeRefused,
    #[error("a fault of query: its log has more")]
    Fault,
}

impl From<TurnError> for Refusal {
    fn from(error: TurnError) -> Refusal {
        match error {
            TurnError::TimedOut(limit) => Refusal::TimedOut(limit),
            TurnError::TooMany(waiting) => Refusal::TooManyQueries(waiting),
        }
    }
}

impl From<ScanError> for Refusal {
    fn from(error: ScanError) -> Refusal {
        let error = match error {
            ScanError::TooManyGroups { most } => return Refusal::TooManyGroups { most },
            ScanError::Part(PartError::Gone(part)) => return Refusal::PartGone(part),
            other => other,
        };
        let reason = chain(&error);
        error!(event = "query_failed", %reason, "a query has no answer: {reason}");
        match error {
            ScanError::Part(PartError::Call { source, .. }) => of_call(&source),
            ScanError::Part(part) => Refusal::PartBroken(part.to_string()),
            _ => Refusal::Fault,
        }
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Refusal {
        let reason = chain(&error);
        error!(event = "query_failed", %reason, "a query has no answer: {reason}");
        match error {
            ReadError::Call(call) => of_call(&call),
            ReadError::Content(..) | ReadError::Missing(_) => Refusal::Fault,
        }
    }
}

#[cfg(feature = "sql")]
impl From<sql::SqlError> for Refusal {
    fn from(error: sql::SqlError) -> Refusal {
        use sql::SqlError as E;
        let statement = |code| Refusal::Statement {
            code,
            message: error.to_string(),
            place: error.place(),
        };
        match &error {
            E::Syntax { .. } | E::Invalid { .. } => return statement("invalid_sql"),
            E::ReadOnly(_) => return statement("read_only"),
            _ => {}
        }
        match error {
            E::Starting => Refusal::Starting,
            E::Lake(error) => error.into(),
            E::Scan(error) => error.into(),
            E::Turn(error) => error.into(),
            E::Memory => Refusal::TooMuchMemory,
            E::ScanTooLarge(error) => Refusal::ScanTooLarge(error),
            other => {
                let reason = chain(&other);
                error!(event = "query_failed", %reason, "a query has no answer: {reason}");
                Refusal::Fault
            }
        }
    }
}

fn of_call(call: &CallError) -> Refusal {
    if call.is_transient() {
        Refusal::LakeUnavailable
    } else {
        Refusal::LakeRefused
    }
}

impl Refusal {
    pub(crate) fn parameter(name: &str, value: &str, wanted: &str) -> Refusal {
        Refusal::InvalidParameter(format!("`{name}` is `{value}`: {wanted}"))
    }

    #[cfg(feature = "sql")]
    fn place(&self) -> Option<(u64, u64)> {
        match self {
            Refusal::Statement { place, .. } => *place,
            _ => None,
        }
    }

    #[cfg(not(feature = "sql"))]
    fn place(&self) -> Option<(u64, u64)> {
        None
    }

    /// The status, and the stable code.
    pub(crate) fn status(&self) -> (StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Refusal::Key(error) => (error.status(), error.code()),
            #[cfg(not(feature = "sql"))]
            Refusal::NoSql => (S::NOT_IMPLEMENTED, "no_sql"),
            #[cfg(feature = "sql")]
            Refusal::Statement { code, .. } => (S::BAD_REQUEST, code),
            #[cfg(feature = "sql")]
            Refusal::TooManyRows { .. } => (S::PAYLOAD_TOO_LARGE, "too_many_rows"),
            #[cfg(feature = "sql")]
            Refusal::ScanTooLarge(_) => (S::PAYLOAD_TOO_LARGE, "scan_too_large"),
            #[cfg(feature = "sql")]
            Refusal::TooMuchMemory => (S::PAYLOAD_TOO_LARGE, "too_much_memory"),
            Refusal::UnknownRoute => (S::NOT_FOUND, "unknown_route"),
            Refusal::MethodNotAllowed(_) => (S::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Refusal::InvalidParameter(_) => (S::BAD_REQUEST, "invalid_parameter"),
            Refusal::UnknownKind { .. } => (S::BAD_REQUEST, "unknown_kind"),
            Refusal::UnknownSignal { .. } => (S::BAD_REQUEST, "unknown_signal"),
            Refusal::TimedOut(_) => (S::REQUEST_TIMEOUT, "timeout"),
            Refusal::TooManyQueries(_) => (S::TOO_MANY_REQUESTS, "too_many_queries"),
            Refusal::TooManyGroups { .. } => (S::PAYLOAD_TOO_LARGE, "too_many_groups"),
            Refusal::Starting => (S::SERVICE_UNAVAILABLE, "starting"),
            Refusal::PartGone(_) => (S::SERVICE_UNAVAILABLE, "part_gone"),
            Refusal::PartBroken(_) => (S::INTERNAL_SERVER_ERROR, "part_broken"),
            Refusal::LakeUnavailable => (S::SERVICE_UNAVAILABLE, "lake_unavailable"),
            Refusal::LakeRefused => (S::INTERNAL_SERVER_ERROR, "lake_refused"),
            Refusal::Fault => (S::INTERNAL_SERVER_ERROR, "internal_fault"),
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
        metrics::counter!("headwater_query_refusals_total", "code" => code).increment(1);
        let place = self.place();
        let error = ErrorDetail {
            code: code.to_owned(),
            message: self.to_string(),
            line: place.map(|(line, _)| line),
            column: place.map(|(_, column)| column),
        };
        let mut response = (status, Json(ErrorBody { error })).into_response();
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
