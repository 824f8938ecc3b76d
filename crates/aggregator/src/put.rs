//! Puts objects with the content type of their key's ending.

use std::collections::HashMap;

use aws::{CallError, Condition, Lake, PutOutcome};
use bytes::Bytes;

/// Puts the object if the condition holds; `note` is a name and a number for the object's metadata.
pub(crate) async fn put(
    lake: &Lake,
    key: &str,
    body: impl Into<Bytes>,
    note: Option<(&str, u64)>,
    condition: Condition,
) -> Result<PutOutcome, CallError> {
    let content_type = match key.rsplit('.').next() {
        Some("parquet") => "application/vnd.apache.parquet",
        Some("jsonl") => "application/x-ndjson",
        _ => "application/json",
    };
    let note = note.map(|(name, number)| (name.to_owned(), number.to_string()));
    let metadata = HashMap::from_iter(note);
    lake.put(key, body.into(), content_type, metadata, condition)
        .await
}
