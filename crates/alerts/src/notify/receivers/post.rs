//! What the receivers' requests have in common.

use bytes::Bytes;
use http::{Request, Uri, header};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

/// The header that has a notification's id.
const ID_HEADER: &str = "idempotency-key";

/// A POST of JSON. The address may hold a secret, and does not show in the error.
pub(super) fn post(url: &str, body: &impl Serialize, id: &str) -> Result<Request<Bytes>, String> {
    let uri: Uri = url
        .parse()
        .map_err(|error| format!("the address is none: {error}"))?;
    let body =
        serde_json::to_vec(body).map_err(|error| format!("the message has no JSON: {error}"))?;
    Request::post(uri)
        .header(header::CONTENT_TYPE, "application/json")
        .header(
            header::USER_AGENT,
            concat!("Headwater/", env!("CARGO_PKG_VERSION")),
        )
        .header(ID_HEADER, id)
        .body(body.into())
        .map_err(|error| format!("the request cannot be made: {error}"))
}

pub(super) fn exposed(secret: &SecretString) -> &str {
    secret.expose_secret()
}

/// The text, cut at a number of characters.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
        None => text.to_owned(),
    }
}
