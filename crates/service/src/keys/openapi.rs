//! What keys add to the OpenAPI document of a service.

use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response, ResponseBuilder};

/// Answers to a request because of its key.
const ANSWERS: [(&str, &str); 3] = [
    ("401", "No key, one that is not accepted, or several."),
    (
        "403",
        "The key may not do this; the message says what it may.",
    ),
    (
        "429",
        "The key has asked as often as it may, or too much is asked at once: come back after `Retry-After`.",
    ),
];

/// Adds the answers because of keys to all paths of a document; those that an operation declares itself stay. Their
/// bodies have the schema of this name, if there is one.
pub fn declare(document: &mut OpenApi, body: Option<&str>) {
    for item in document.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
            &mut item.patch,
        ];
        for operation in operations.into_iter().flatten() {
            for (status, description) in ANSWERS {
                let response = || answer(description, body);
                let responses = &mut operation.responses.responses;
                responses.entry(status.to_owned()).or_insert_with(response);
            }
        }
    }
}

fn answer(description: &str, body: Option<&str>) -> RefOr<Response> {
    let mut response = ResponseBuilder::new().description(description);
    if let Some(name) = body {
        let content = Content::new(Some(Ref::from_schema_name(name)));
        response = response.content("application/json", content);
    }
    RefOr::T(response.build())
}
