//! Rows of raw objects, as a commit would make them.

use std::sync::Arc;

use arrow::error::ArrowError;
use contract::{Code, Kinds};
use lake::rows::{Buckets, Columns, Gathering, HourRows, SignalTypes, admissions};

use crate::metrics;
use crate::snapshot::hot::ObjectRows;

/// The rows of one object, each id once in its hour. Signals that have no type yet get one in `types`, which has the
/// types of each kind; lines that are no event of a declared kind are counted and left out.
///
/// # Errors
///
/// If the texts of a column take more than the 2 GiB that Arrow's offsets reach.
pub(super) fn rows_of(
    kinds: &Arc<Kinds>,
    types: &mut [SignalTypes],
    key: &str,
    body: &[u8],
) -> Result<ObjectRows, ArrowError> {
    let of_kind = |name: &str| {
        let number = kinds.iter().position(|kind| kind.name == name)?;
        types.get(number)
    };
    let admissions = admissions(kinds, of_kind);
    let mut gathering = Gathering::new(kinds.clone(), admissions, Buckets::new(0, 1));
    gathering.add_declared(0, 0, body, |refused| {
        metrics::refused(refused.reason);
        if refused.reason == Code::UnknownKind.as_str() {
            tracing::debug!(
                event = "unknown_kind",
                object.key = key,
                detail = refused.detail,
                "left out an event of a kind that is not declared here: see CONTRACTS"
            );
        }
    });
    let mut rows = Vec::new();
    for ((number, hour), _bucket, block) in gathering.take()?.blocks {
        let (Some(kind), Some(types)) = (kinds.iter().nth(number), types.get_mut(number)) else {
            continue;
        };
        types.add(kind, block.signal_types(kind));
        let of_hour = HourRows::of(kinds.clone(), number, vec![block], None, |_| {});
        let columns = Columns::new(kind, types.clone());
        let (batch, _more_values) = of_hour.into_batch(&columns)?;
        rows.push(((number, hour), batch));
    }
    Ok(ObjectRows {
        key: key.into(),
        rows,
    })
}
