//! The lake to look through: what stands under a prefix, what an object begins with, and its bytes. Whatever the size
//! of an object, a bounded part of it is in memory.

mod download;
mod first_lines;
mod folder;
mod object;
mod parquet_rows;
mod reading;

use std::sync::Arc;

use aws::Lake;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use reading::Reading;

/// The routes `/v1/lake…` over this lake, with their part of the OpenAPI document. Whoever mounts them asks for a key.
pub fn lake_routes<S: Clone + Send + Sync + 'static>(lake: Lake) -> OpenApiRouter<S> {
    OpenApiRouter::new()
        .routes(routes!(folder::folder))
        .routes(routes!(object::object))
        .routes(routes!(download::download))
        .with_state(Arc::new(Reading::new(lake)))
}
