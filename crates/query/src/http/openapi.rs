//! The OpenAPI document, but for the paths, which the handlers declare.

use utoipa::openapi::{OpenApi, Ref};
use utoipa::{OpenApi as _, ToSchema};

use crate::http::refusal::{ErrorBody, ErrorDetail};

#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(ErrorBody, ErrorDetail)))]
struct Schemas;

const DESCRIPTION: &str = "Answers questions about the lake, each event once: also those that were posted a moment \
    ago. The header `x-headwater-fresh-until` says until when an answer has all that had landed.";

/// What every route with a key may answer.
const REFUSALS: [(u16, &str); 7] = [
    (400, "A parameter or the body cannot be used."),
    (401, "No key, a wrong key, or two."),
    (403, "The key may not read."),
    (
        408,
        "It took longer than QUERY_TIMEOUT, or the request's own `timeout`.",
    ),
    (413, "The body is too large, or the answer would be."),
    (
        429,
        "Too many queries wait already, or the key has asked as often as it may.",
    ),
    (503, "The lake cannot be read."),
];

/// The document without its paths.
pub(crate) fn outline() -> OpenApi {
    let schemas = Schemas::openapi().components.unwrap_or_default();
    let version = env!("CARGO_PKG_VERSION");
    service::openapi::outline("Headwater query", version, DESCRIPTION, schemas)
}

/// Adds to a document with all its paths what each of them may answer.
pub(crate) fn complete(document: &mut OpenApi) {
    service::openapi::add_refusals(document, &REFUSALS, |_| {
        Ref::from_schema_name(ErrorBody::name()).into()
    });
}
