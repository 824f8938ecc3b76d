//! The parts of one commit: rows come in, one Parquet object for each kind and hour goes out, without ids that stand
//! in parts of earlier commits; a line that is left out goes to `_aside/` with its reason.

pub(crate) mod aside;
pub(crate) mod part_store;
pub(crate) mod seen_ids;
