//! The parts of one commit: rows come in, Parquet objects of each kind and hour go out, without ids that stand in parts
//! of earlier commits; a line that is left out goes to `_aside/` with its reason.

pub(crate) mod aside;
pub(crate) mod part_store;
