//! The parts of `curated/`: rows come in, one Parquet object for each commit, kind and hour goes out; what could not
//! become a row goes to `_aside/` with its reason.

pub(crate) mod aside;
pub(crate) mod seen_ids;
