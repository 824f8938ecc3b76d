//! The types of undeclared signals, as stored: `_schema/<kind>.json`.

use aws::Lake;
use contract::Kinds;
use futures::{StreamExt, TryStreamExt, stream};

use crate::error::ReadError;
use crate::key::schema_key;
use crate::rows::SignalTypes;

/// The stored types of each kind, in the order of [`Kinds::iter`]; empty for a kind without any. One request for each
/// kind that is not long.
///
/// # Errors
///
/// [`ReadError::Content`] if an object holds something else.
pub async fn signal_types(lake: &Lake, kinds: &Kinds) -> Result<Vec<SignalTypes>, ReadError> {
    let reads = kinds.iter().map(async |kind| {
        if kind.is_long() {
            return Ok(SignalTypes::default());
        }
        let key = schema_key(&kind.name);
        let Some(object) = lake.get(&key).await? else {
            return Ok(SignalTypes::default());
        };
        serde_json::from_slice(&object.body)
            .map_err(|error| ReadError::Content(format!("`{key}`"), error.into()))
    });
    let reads: Vec<_> = reads.collect();
    stream::iter(reads).buffered(8).try_collect().await
}
