//! The OpenAPI document, but for the paths, which the handlers declare.

use utoipa::openapi::{ObjectBuilder, OpenApi, Ref, RefOr, Schema, Type};
use utoipa::{OpenApi as _, PartialSchema, ToSchema};

use super::refusal::{ErrorBody, ErrorDetail, is_of_alertmanager, is_of_prometheus};

#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(ErrorBody, ErrorDetail)))]
struct Schemas;

const DESCRIPTION: &str = "Rules and alerts as Prometheus shows them, alerts and silences as Alertmanager 2 does, and \
    what became of each notification.";

/// What every route with a key may answer.
const REFUSALS: [(u16, &str); 6] = [
    (400, "A parameter or the body cannot be used."),
    (401, "No key, a wrong key, or two."),
    (403, "The key may not do this."),
    (413, "The body is too large."),
    (415, "The body is not sent as `application/json`."),
    (429, "The key has asked as often as it may."),
];

/// The document without its paths.
pub(crate) fn outline() -> OpenApi {
    let schemas = Schemas::openapi().components.unwrap_or_default();
    let version = env!("CARGO_PKG_VERSION");
    service::openapi::outline("Headwater alerts", version, DESCRIPTION, schemas)
}

/// Adds to a document with all its paths what each of them may answer.
pub(crate) fn complete(mut document: OpenApi) -> OpenApi {
    service::openapi::add_refusals(&mut document, &REFUSALS, error_of);
    document
}

/// The form of an error, as the API that the path belongs to has it.
fn error_of(path: &str) -> RefOr<Schema> {
    if is_of_alertmanager(path) {
        return String::schema();
    }
    if is_of_prometheus(path) {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let fields = ["status", "errorType", "error"];
        let error = fields.into_iter().fold(ObjectBuilder::new(), |all, name| {
            all.property(name, text()).required(name)
        });
        return Schema::Object(error.build()).into();
    }
    Ref::from_schema_name(ErrorBody::name()).into()
}
