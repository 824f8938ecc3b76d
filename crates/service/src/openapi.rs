//! What the OpenAPI documents of services that readers ask have in common: how a key is sent, and the answers that every
//! route with a key may give, which no handler declares.

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, Info, OpenApi, OpenApiBuilder, RefOr, ResponseBuilder, Schema,
};

use crate::keys;

/// A document without paths: its title, what the service does, and its schemas, with the two ways to send a key.
#[must_use]
pub fn outline(title: &str, version: &str, description: &str, schemas: Components) -> OpenApi {
    let mut info = Info::new(title, version);
    info.description = Some(description.into());
    let mut components = schemas;
    let in_header = ApiKey::Header(ApiKeyValue::new(keys::HEADER));
    components.add_security_scheme("api_key", SecurityScheme::ApiKey(in_header));
    let bearer = Http::new(HttpAuthScheme::Bearer);
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .build()
}

/// Adds `answers`, statuses with what they say, to each operation that takes a key and does not declare them itself: of
/// those about a body only where there is one. `body` gives the schema of an error's body on a path.
pub fn add_refusals(
    document: &mut OpenApi,
    answers: &[(u16, &str)],
    body: impl Fn(&str) -> RefOr<Schema>,
) {
    for (path, item) in &mut document.paths.paths {
        let operations = [
            &mut item.get,
            &mut item.post,
            &mut item.put,
            &mut item.delete,
        ];
        for operation in operations.into_iter().flatten() {
            let applying = answers.iter().filter(|answer| applies(operation, answer.0));
            let missing: Vec<_> = applying
                .map(|(status, words)| (status.to_string(), *words))
                .filter(|(status, _)| !operation.responses.responses.contains_key(status))
                .collect();
            for (status, words) in missing {
                let content = ContentBuilder::new().schema(Some(body(path))).build();
                let response = ResponseBuilder::new()
                    .description(words)
                    .content("application/json", content)
                    .build();
                let responses = &mut operation.responses.responses;
                responses.insert(status, RefOr::T(response));
            }
        }
    }
}

fn applies(operation: &Operation, status: u16) -> bool {
    let about_body = matches!(status, 413 | 415);
    operation.security.is_some() && (!about_body || operation.request_body.is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use utoipa::openapi::Ref;

    use super::*;

    #[test]
    fn each_route_with_a_key_says_how_it_refuses() {
        let keyed =
            json!({"security": [{"api_key": []}], "responses": {"200": {"description": "Yes."}}});
        let mut with_body = keyed.clone();
        with_body["requestBody"] = json!({"content": {}});
        with_body["responses"]["401"] = json!({"description": "Its own words."});
        let open = json!({"responses": {}});
        let mut document: OpenApi = serde_json::from_value(json!({
            "openapi": "3.1.0",
            "info": {"title": "t", "version": "1"},
            "paths": {"/a": {"get": keyed, "post": with_body}, "/health": {"get": open}},
        }))
        .unwrap();
        let answers = [(401, "No key."), (413, "Too large.")];
        add_refusals(&mut document, &answers, |path| {
            Ref::from_schema_name(format!("Of{path}")).into()
        });
        let document: Value = serde_json::to_value(&document).unwrap();
        let get = &document["paths"]["/a"]["get"]["responses"];
        assert_eq!(get["401"]["description"], "No key.");
        let schema = &get["401"]["content"]["application/json"]["schema"]["$ref"];
        assert_eq!(schema, "#/components/schemas/Of/a");
        assert!(get["413"].is_null(), "it has no body");
        let post = &document["paths"]["/a"]["post"]["responses"];
        assert_eq!(post["401"]["description"], "Its own words.");
        assert_eq!(post["413"]["description"], "Too large.");
        assert_eq!(document["paths"]["/health"]["get"]["responses"], json!({}));
    }
}
