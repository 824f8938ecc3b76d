//! `GET /v1/lake`: what stands directly under a prefix.

use std::sync::Arc;

use axum::Json;
use axum::extract::Query;
use axum::extract::State;
use axum::extract::rejection::QueryRejection;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::reading::{Reading, check};
use crate::refusal::{ErrorBody, Refusal};

/// Most folders and objects of a page.
const PAGE: usize = 1000;

/// Which part of the lake is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct FolderParameters {
    /// The beginning of keys, up to a `/`; the whole lake if absent.
    #[param(example = "raw/year=2026/")]
    #[serde(default)]
    prefix: String,
    /// The `next` of the page before.
    after: Option<String>,
}

/// What stands directly under a prefix.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FolderBody {
    prefix: String,
    /// Longer prefixes, each with the `/` at its end, in byte order.
    folders: Vec<String>,
    /// In byte order.
    objects: Vec<ObjectBody>,
    /// What to send as `after` for the next page; null at the end.
    next: Option<String>,
}

/// An object.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ObjectBody {
    key: String,
    /// Bytes.
    size: u64,
    /// RFC 3339; null where S3 does not tell it.
    last_modified: Option<String>,
}

/// The folders and objects directly under a prefix, at most 1,000 at a time.
#[utoipa::path(get, path = "/v1/lake", tag = "lake", params(FolderParameters),
    security(("api_key" = []), ("bearer" = [])), responses(
    (status = 200, description = "What is there.", body = FolderBody),
    (status = 400, description = "A parameter cannot be used.", body = ErrorBody),
))]
pub(super) async fn folder(
    State(reading): State<Arc<Reading>>,
    parameters: Result<Query<FolderParameters>, QueryRejection>,
) -> Result<Json<FolderBody>, Refusal> {
    let Query(FolderParameters { prefix, after }) = parameters.map_err(unreadable)?;
    check("prefix", &prefix)?;
    let after = after.filter(|after| !after.is_empty());
    if let Some(after) = &after {
        check("after", after)?;
    }
    let found = reading
        .lake
        .list_folder(&prefix, after.as_deref(), PAGE)
        .await?;
    Ok(Json(FolderBody {
        prefix,
        folders: found.folders,
        objects: found
            .objects
            .into_iter()
            .map(|object| ObjectBody {
                key: object.key,
                size: object.size,
                last_modified: object.last_modified.map(contract::format_millis),
            })
            .collect(),
        next: found.next,
    }))
}

pub(super) fn unreadable(rejection: QueryRejection) -> Refusal {
    Refusal::InvalidParameter(rejection.body_text())
}
