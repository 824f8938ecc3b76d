//! Keeps the types of undeclared signals in `_schema/<kind>.json`.

use std::collections::HashMap;

use anyhow::Context;
use aws::{Condition, Lake, PutOutcome};
use contract::{Kind, Kinds};
use futures::{StreamExt, TryStreamExt, stream};
use lake::key::schema_key;
use lake::rows::{ColumnType, Columns, SignalTypes};

use crate::put::put;

/// The stored types of each kind that has some, by the kind's name. A long kind has none.
pub(crate) async fn read_all(
    lake: &Lake,
    kinds: &Kinds,
) -> anyhow::Result<HashMap<String, SignalTypes>> {
    let wide = || kinds.iter().filter(|kind| !kind.is_long());
    let reads: Vec<_> = wide().map(|kind| read(lake, &kind.name)).collect();
    let names = wide().map(|kind| kind.name.clone());
    let read: Vec<_> = stream::iter(reads).buffered(8).try_collect().await?;
    let stored = names.zip(read);
    Ok(stored
        .filter_map(|(name, stored)| Some((name, stored?.0)))
        .collect())
}

/// The stored types of a kind and the ETag of their object; none if nothing is stored.
pub(crate) async fn read(lake: &Lake, kind: &str) -> anyhow::Result<Option<(SignalTypes, String)>> {
    let key = schema_key(kind);
    let Some(object) = lake.get(&key).await? else {
        return Ok(None);
    };
    // Replaced by other types, columns of earlier and later parts would differ.
    let types = serde_json::from_slice(&object.body).with_context(|| {
        format!("cannot read `{key}`: restore an earlier version of it, or run the release that wrote it")
    })?;
    Ok(Some((types, object.etag)))
}

/// The kind's columns, after the types of new signals are stored, as far as the kind may have more. `stored` are the
/// types as they were read.
pub(crate) async fn columns(
    lake: &Lake,
    kind: &Kind,
    stored: SignalTypes,
    new: &[(String, ColumnType)],
) -> anyhow::Result<Columns> {
    let new = || new.iter().map(|(name, r#type)| (name.as_str(), *r#type));
    if !stored.clone().add(kind, new()) {
        return Ok(Columns::new(kind, stored));
    }
    let types = change(lake, &kind.name, |types| types.add(kind, new())).await?;
    Ok(Columns::new(kind, types))
}

/// Changes the stored types of a kind; `with` says whether it has changed anything. Returns the types that are stored
/// then.
pub(crate) async fn change(
    lake: &Lake,
    kind: &str,
    with: impl Fn(&mut SignalTypes) -> bool,
) -> anyhow::Result<SignalTypes> {
    loop {
        let (mut types, condition) = match read(lake, kind).await? {
            Some((types, etag)) => (types, Condition::IfMatch(etag)),
            None => (SignalTypes::default(), Condition::IfAbsent),
        };
        if !with(&mut types) {
            return Ok(types);
        }
        let body = serde_json::to_vec_pretty(&types)?;
        let outcome = put(lake, &schema_key(kind), body, None, condition).await?;
        if outcome != PutOutcome::ConditionFailed {
            return Ok(types);
        }
    }
}
