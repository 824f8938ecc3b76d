//! Keeps the types of undeclared signals in `_schema/<kind>.json`.

use aws::{Condition, Lake, PutOutcome};
use contract::Kind;
use lake::key::schema_key;
use lake::rows::{ColumnType, Columns, SignalTypes};

use crate::put::put;

/// The kind's columns, after the types of new `signals` are stored. Entries never change, so runs that add some at the
/// same time agree.
pub(crate) async fn columns(
    lake: &Lake,
    kind: &Kind,
    signals: &[(String, ColumnType)],
) -> anyhow::Result<Columns> {
    let key = schema_key(&kind.name);
    loop {
        let (mut types, condition) = match lake.get(&key).await? {
            // An object that is not ours to read is replaced: the types then follow the data.
            Some(object) => (
                serde_json::from_slice::<SignalTypes>(&object.body).unwrap_or_default(),
                Condition::IfMatch(object.etag),
            ),
            None => (SignalTypes::default(), Condition::IfAbsent),
        };
        if types.add(kind, signals) {
            let body = serde_json::to_vec_pretty(&types)?;
            if put(lake, &key, body, None, condition).await? == PutOutcome::ConditionFailed {
                continue;
            }
        }
        return Ok(Columns::new(kind, types));
    }
}
