//! The OpenAPI document, but for the paths, which the handlers declare.

use service::keys;
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Info, OpenApiBuilder};

use super::refusal::{ErrorBody, ErrorDetail};

#[derive(OpenApi)]
#[openapi(components(schemas(ErrorBody, ErrorDetail)))]
struct Schemas;

/// The document without its paths.
pub(crate) fn outline() -> utoipa::openapi::OpenApi {
    let mut info = Info::new("Headwater alerts", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "Rules and alerts as Prometheus shows them, alerts and silences as Alertmanager 2 does, and what became of \
         each notification."
            .into(),
    );
    let mut components = Schemas::openapi().components.unwrap_or_default();
    let in_header = ApiKey::Header(ApiKeyValue::new(keys::HEADER));
    components.add_security_scheme("api_key", SecurityScheme::ApiKey(in_header));
    let bearer = Http::new(HttpAuthScheme::Bearer);
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .build()
}
