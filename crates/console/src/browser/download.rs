//! `GET /v1/lake/download`: the bytes of an object.

use std::sync::Arc;

use aws::ByteRange;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;

use super::folder::unreadable;
use super::object::KeyParameters;
use super::reading::Reading;
use crate::refusal::{ErrorBody, Refusal};

/// Bytes that are read at a time.
const PIECE: u64 = 8 * 1024 * 1024;

/// Why a download breaks off.
#[derive(Debug, thiserror::Error)]
enum BreakOff {
    #[error(transparent)]
    Call(#[from] aws::CallError),
    #[error("the object has changed while it was read")]
    Changed,
}

/// The bytes of an object, as they are.
#[utoipa::path(get, path = "/v1/lake/download", tag = "lake", params(KeyParameters),
    security(("api_key" = []), ("bearer" = [])), responses(
    (status = 200, description = "The bytes.", content_type = "application/octet-stream", body = Vec<u8>),
    (status = 400, description = "The key cannot be used.", body = ErrorBody),
    (status = 404, description = "There is no such object.", body = ErrorBody),
    (status = 429, description = "Too many objects are downloaded.", body = ErrorBody),
))]
pub(super) async fn download(
    State(reading): State<Arc<Reading>>,
    parameters: Result<Query<KeyParameters>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(KeyParameters { key }) = parameters.map_err(unreadable)?;
    let place = reading.download()?;
    let object = reading.find(&key).await?;
    let (size, name) = (object.size, file_name(&object.key));
    let pieces = stream::try_unfold((reading, object, place, 0), async |state| {
        let (reading, object, place, start) = state;
        if start >= object.size {
            return Ok::<_, BreakOff>(None);
        }
        let length = PIECE.min(object.size - start);
        let piece = reading
            .lake
            .get_some(&object.key, ByteRange::From { start, length })
            .await?;
        let piece: Bytes = match piece {
            Some(piece) if piece.etag == object.etag && piece.body.len() as u64 == length => {
                piece.body
            }
            _ => return Err(BreakOff::Changed),
        };
        Ok(Some((piece, (reading, object, place, start + length))))
    });
    let mut response = Body::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value| headers.insert(name, HeaderValue::from_static(value));
    // Never as what it may be: a browser must not run what senders wrote.
    set(header::CONTENT_TYPE, "application/octet-stream");
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::CACHE_CONTROL, "no-store");
    headers.insert(header::CONTENT_LENGTH, size.into());
    let disposition = format!("attachment; filename=\"{name}\"");
    if let Ok(disposition) = HeaderValue::try_from(disposition) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}

/// The last part of a key, of letters that every system takes in a file's name.
fn file_name(key: &str) -> String {
    let name = key.rsplit('/').next().unwrap_or(key).chars();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || ".-_=".contains(letter);
    name.map(|letter| if plain(letter) { letter } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_by_letters_that_no_header_or_system_takes_for_more() {
        assert_eq!(file_name("raw/year=2026/part-a.jsonl"), "part-a.jsonl");
        assert_eq!(file_name("x/\"; evil\r\n.html"), "___evil__.html");
    }
}
