//! The OpenAPI document: what the handlers declare, and the schemas of the declared kinds.

use contract::Kinds;
use serde_json::{Value, json};
use service::keys;
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::openapi::{Info, OpenApiBuilder};

use crate::http::answer::{Accepted, RejectedEvent};
use crate::http::refusal::{ErrorBody, ErrorDetail};

#[derive(OpenApi)]
#[openapi(components(schemas(Accepted, RejectedEvent, ErrorBody, ErrorDetail)))]
struct Schemas;

/// The document without its paths.
pub(crate) fn outline() -> utoipa::openapi::OpenApi {
    let mut info = Info::new("Headwater ingest", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "Takes telemetry events into a durable queue. `202` is answered once the queue has them. A retry of the \
         same events is safe: an event without `event_id` gets one from its content. Only samples of metrics are to be \
         retried with an `event_id` of the sender: without it, two that say the same are two samples."
            .into(),
    );
    let mut components = Schemas::openapi().components.unwrap_or_default();
    components.add_security_scheme(
        "api_key",
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new(keys::HEADER))),
    );
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .build()
}

/// The document with its paths, and the schemas of the kinds as bodies of the event routes.
pub(crate) fn document(declared: &utoipa::openapi::OpenApi, kinds: &Kinds) -> Value {
    let mut document = serde_json::to_value(declared).unwrap_or_default();
    let mut names = Vec::new();
    let mut references = Vec::new();
    for kind in kinds.iter() {
        let schema = format!("Event.{}", kind.name);
        references.push(json!({"$ref": format!("#/components/schemas/{schema}")}));
        document["components"]["schemas"][schema] = kind.json_schema();
        names.push(kind.name.clone());
    }
    names.extend(kinds.iter().flat_map(|kind| kind.aliases.clone()));
    document["components"]["schemas"]["Event"] =
        json!({"description": "An event of one of the declared kinds.", "anyOf": references});
    for (path, of) in [
        ("/v1/events", "Event"),
        ("/v1/events/{kind}", "Event"),
        ("/metrics", "Event.metric"),
    ] {
        document["paths"][path]["post"]["requestBody"] = request_body(of);
    }
    // Absent from the outline, which has no paths.
    let kind = "/paths/~1v1~1events~1{kind}/post/parameters/0/schema";
    if let Some(kind) = document.pointer_mut(kind) {
        kind["enum"] = json!(names);
    }
    document
}

fn request_body(schema: &str) -> Value {
    let event = json!({"$ref": format!("#/components/schemas/{schema}")});
    json!({
        "required": true,
        "description": "One event, an array of them, or one a line. May be compressed: `content-encoding: gzip` or `zstd`.",
        "content": {
            "application/json": {"schema": {"oneOf": [event, {"type": "array", "minItems": 1, "items": event}]}},
            "application/x-ndjson": {"schema": {"type": "string", "description": "One event a line."}},
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_in_the_outline_has_its_schema() {
        let document = document(&outline(), &Kinds::builtin());
        let text = document.to_string();
        for reference in text
            .split("#/components/schemas/")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
        {
            assert!(
                document["components"]["schemas"][reference].is_object(),
                "{reference}"
            );
        }
        assert_eq!(document["openapi"], "3.1.0");
    }
}
