//! Keeps the types of undeclared signals in `_schema/<kind>.json`.

use std::sync::Arc;

use anyhow::Context;
use aws::{Condition, Lake, PutOutcome};
use contract::{Kind, Kinds};
use lake::key::schema_key;
use lake::rows::{Admission, ColumnType, Columns, SignalTypes};
use tokio::sync::OnceCell;

use crate::put::put;

/// The stored types of the kinds of which a commit has events. Those of a kind are read once, when its first event
/// comes: most commits have events of few of the kinds that are declared.
pub(crate) struct StoredTypes<'a> {
    lake: &'a Lake,
    kinds: &'a Kinds,
    /// By kind.
    read: Vec<OnceCell<SignalTypes>>,
    admissions: Arc<[Admission]>,
}

impl<'a> StoredTypes<'a> {
    pub(crate) fn new(lake: &'a Lake, kinds: &'a Kinds) -> StoredTypes<'a> {
        StoredTypes {
            lake,
            kinds,
            read: kinds.iter().map(|_| OnceCell::new()).collect(),
            admissions: kinds.iter().map(Admission::unknown).collect(),
        }
    }

    /// By kind; that of a kind is known once [`know`](Self::know) was called for it.
    pub(crate) fn admissions(&self) -> &Arc<[Admission]> {
        &self.admissions
    }

    /// Reads the types of the kind of this number, unless they have been read.
    pub(crate) async fn know(&self, number: usize) -> anyhow::Result<()> {
        let kind = self.kinds.iter().nth(number);
        let kind = kind.context("rows are of a kind that is not declared")?;
        let types = self.read[number].get_or_try_init(async || {
            let stored = read(self.lake, &kind.name).await?;
            anyhow::Ok(stored.map(|(types, _)| types).unwrap_or_default())
        });
        self.admissions[number].know(kind, Some(types.await?));
        Ok(())
    }

    /// The types of the kind of this number; none if they were not read.
    pub(crate) fn get(&self, number: usize) -> Option<&SignalTypes> {
        self.read.get(number)?.get()
    }
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
