//! An answer with how fresh it is.

use axum::Json;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use engine::snapshot::Snapshot;

/// The header that says until when the answer has all that had landed, RFC 3339.
pub(crate) const FRESH_UNTIL: HeaderName = HeaderName::from_static("x-headwater-fresh-until");

/// An answer, and the snapshot's freshness.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    body: T,
    fresh_until: Option<String>,
}

impl<T> Answer<T> {
    pub(crate) fn new(body: T, snapshot: &Snapshot) -> Answer<T> {
        Answer {
            body,
            fresh_until: snapshot.fresh_until().map(contract::format_millis),
        }
    }
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.body).into_response();
        let fresh_until = self
            .fresh_until
            .and_then(|time| HeaderValue::try_from(time).ok());
        if let Some(fresh_until) = fresh_until {
            response.headers_mut().insert(FRESH_UNTIL, fresh_until);
        }
        response
    }
}
