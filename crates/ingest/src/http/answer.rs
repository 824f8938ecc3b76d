//! What clients are answered; the one place that turns errors into HTTP.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use contract::{BodyError, Rejection};
use hyper::body::{Frame, SizeHint};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::memory::budget::{Budget, Buffer, Exhausted};
use crate::memory::pages::Expected;
use crate::queue::pack_sender::CommitError;

/// Most refused events that an answer lists; `rejected_count` counts them all.
pub const MAX_LISTED: usize = 10_000;

/// When to come back after a `429` or `503`, in seconds: by then a send or two have ended.
const RETRY_AFTER_SECONDS: u64 = 1;

/// Most bytes of the list in one answer: more than 10,000 refused events take unless their reasons
/// are long.
const MAX_LIST_BYTES: usize = 4 * 1024 * 1024;

/// Bytes that all lists may take: those that are being made, and those that clients have not read.
pub(crate) const LISTS_BYTES: usize = 8 * 1024 * 1024;

/// Bytes that any list may take beside those: so no client that leaves long answers unread keeps
/// others from having short ones.
const FREE_LIST_BYTES: usize = 4 * 1024;

/// The answer to events: how many SQS has, and which were refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    /// Events that are durably in the queue.
    pub accepted: usize,
    /// The refused events, the first 10,000 of them; fewer where their reasons take megabytes.
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

/// The list of refused events while it grows: as JSON, so that it takes little memory.
#[derive(Debug)]
pub(crate) struct Listed {
    json: Buffer,
    events: usize,
}

impl Listed {
    /// An empty list, whose memory is taken from what all lists may take.
    pub(crate) fn within(lists: &Budget) -> Listed {
        Listed {
            json: lists.buffer().with_free(FREE_LIST_BYTES),
            events: 0,
        }
    }

    /// Lists the event at `index`, unless the list is as long as one may be.
    pub(crate) fn add(&mut self, index: usize, rejection: Rejection) -> Result<(), Exhausted> {
        if self.events >= MAX_LISTED || self.json.len() >= MAX_LIST_BYTES {
            return Ok(());
        }
        let mut event = match self.events {
            0 => Vec::new(),
            _ => vec![b','],
        };
        serde_json::to_writer(&mut event, &RejectedEvent::new(index, rejection))
            .expect("texts and numbers can be written as JSON");
        self.json.append(&event, Expected::Any)?;
        self.events += 1;
        Ok(())
    }

    /// The answer, an [`Accepted`]. The list's share of the memory is held until it has been sent.
    pub(crate) fn answer(self, accepted: usize, rejected_count: usize) -> Response {
        let status = match accepted {
            0 => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::ACCEPTED,
        };
        let body = match rejected_count {
            0 => format!(r#"{{"accepted":{accepted},"rejected":[],"rejected_count":0}}"#).into(),
            _ => Body::new(Pieces([
                format!(r#"{{"accepted":{accepted},"rejected":["#).into(),
                self.json.into_bytes(),
                format!(r#"],"rejected_count":{rejected_count}}}"#).into(),
            ])),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }

    #[cfg(test)]
    pub(crate) fn events(&self) -> Vec<RejectedEvent> {
        let list = [b"[", &self.json[..], b"]"].concat();
        serde_json::from_slice(&list).unwrap()
    }
}

/// A body of known length in three pieces, one after the other.
struct Pieces([Bytes; 3]);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let left = self.0.iter_mut().find(|piece| !piece.is_empty());
        Poll::Ready(left.map(|piece| Ok(Frame::data(std::mem::take(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.iter().all(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|piece| piece.len() as u64).sum())
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

#[cfg(test)]
mod tests {
    use contract::{Kinds, parse_sent};
    use http_body_util::BodyExt;

    use super::*;

    fn rejection() -> Rejection {
        let now = "2025-10-04T12:35:00Z".parse().unwrap();
        parse_sent(&Kinds::builtin(), None, r#"{"vehicle_id":"a\"b"}"#, now).unwrap_err()
    }

    async fn read(response: Response) -> Accepted {
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[tokio::test]
    async fn an_answer_lists_each_refused_event() {
        let lists = Budget::new(LISTS_BYTES);
        let none = Listed::within(&lists).answer(3, 0);
        assert_eq!(none.status(), StatusCode::ACCEPTED);
        let answer = read(none).await;
        assert_eq!(
            (answer.accepted, answer.rejected, answer.rejected_count),
            (3, vec![], 0)
        );
        let mut listed = Listed::within(&lists);
        for index in [1, 4] {
            listed.add(index, rejection()).unwrap();
        }
        let two = listed.answer(0, 2);
        assert_eq!(two.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let answer = read(two).await;
        let expected = [1, 4].map(|index| RejectedEvent::new(index, rejection()));
        assert_eq!(answer.rejected, expected);
        assert_eq!((answer.accepted, answer.rejected_count), (0, 2));
    }

    #[tokio::test]
    async fn a_long_list_holds_its_memory_until_it_is_sent_and_a_short_one_needs_none() {
        let lists = Budget::new(100_000);
        let mut long = Listed::within(&lists);
        let mut fitted = 0;
        while long.add(fitted, rejection()).is_ok() {
            fitted += 1;
        }
        assert!((100..1000).contains(&fitted), "{fitted}");
        let answer = long.answer(1, fitted);
        assert!(lists.used() > 50_000, "{}", lists.used());
        let mut short = Listed::within(&lists);
        (0..20).for_each(|index| short.add(index, rejection()).unwrap());
        assert_eq!(read(short.answer(1, 20)).await.rejected.len(), 20);
        drop(answer);
        assert_eq!(lists.used(), 0);
    }
}
