//! `GET /v1/lake/object`: how an object begins.

use std::sync::Arc;

use aws::{ByteRange, ObjectInfo};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::first_lines::first_lines;
use super::folder::unreadable;
use super::parquet_rows::parquet_rows;
use super::reading::Reading;
use crate::refusal::{ErrorBody, Refusal};

/// Lines and rows that are shown.
pub(super) const SHOWN: usize = 50;

/// Bytes of text that are read: 50 lines of 4 KiB, and some.
const TEXT_BYTES: u64 = 256 * 1024;

/// Which object is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct KeyParameters {
    /// The key of the object.
    pub(super) key: String,
}

/// How an object begins.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct BeginningBody {
    key: String,
    /// Bytes.
    size: u64,
    /// RFC 3339; null where S3 does not tell it.
    last_modified: Option<String>,
    /// `jsonl`, `json`, `parquet` or `other`, by the ending of the key.
    form: &'static str,
    /// The first 50 lines of a text, each cut at 4 KiB; fewer where they stand past the first 256 KiB.
    lines: Vec<String>,
    /// Rows of a Parquet file.
    pub(super) rows: Option<u64>,
    /// Columns of a Parquet file.
    pub(super) schema: Vec<ColumnBody>,
    /// The first 50 rows of a Parquet file. Numbers and booleans are JSON's, everything else a text, cut at 4 KiB.
    pub(super) first_rows: Vec<Map<String, Value>>,
    /// Why the object, or a part of it, cannot be shown; null where all is shown.
    pub(super) error: Option<String>,
}

/// A column.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ColumnBody {
    pub(super) name: String,
    /// Arrow's name of the type.
    #[serde(rename = "type")]
    pub(super) data_type: String,
}

/// The first lines or rows of an object. A bounded part of it is read, whatever its size.
#[utoipa::path(get, path = "/v1/lake/object", tag = "lake", params(KeyParameters),
    security(("api_key" = []), ("bearer" = [])), responses(
    (status = 200, description = "How the object begins.", body = BeginningBody),
    (status = 400, description = "The key cannot be used.", body = ErrorBody),
    (status = 404, description = "There is no such object.", body = ErrorBody),
    (status = 429, description = "Too many objects are looked into.", body = ErrorBody),
))]
pub(super) async fn object(
    State(reading): State<Arc<Reading>>,
    parameters: Result<Query<KeyParameters>, QueryRejection>,
) -> Result<Json<BeginningBody>, Refusal> {
    let Query(KeyParameters { key }) = parameters.map_err(unreadable)?;
    let _look = reading.look()?;
    let found = reading.find(&key).await?;
    let form = form(&key);
    let mut body = BeginningBody {
        key,
        size: found.size,
        last_modified: found.last_modified.map(contract::format_millis),
        form,
        ..BeginningBody::default()
    };
    if found.size == 0 {
        body.error = Some("the object is empty".to_owned());
    } else if form == "parquet" {
        parquet_rows(&reading.lake, &found, &mut body).await?;
    } else if let Some(bytes) = beginning(&reading, &found).await? {
        match first_lines(&bytes, found.size > bytes.len() as u64) {
            Some(lines) => body.lines = lines,
            None => body.error = Some("the object is no text: download it".to_owned()),
        }
    } else {
        body.error = Some("the object has gone meanwhile".to_owned());
    }
    Ok(Json(body))
}

async fn beginning(
    reading: &Reading,
    object: &ObjectInfo,
) -> Result<Option<bytes::Bytes>, Refusal> {
    let range = ByteRange::From {
        start: 0,
        length: object.size.min(TEXT_BYTES),
    };
    let got = reading.lake.get_some(&object.key, range).await?;
    Ok(got.map(|got| got.body))
}

fn form(key: &str) -> &'static str {
    match key.rsplit_once('.').map(|(_, ending)| ending) {
        Some("jsonl" | "ndjson") => "jsonl",
        Some("json") => "json",
        Some("parquet") => "parquet",
        _ => "other",
    }
}
