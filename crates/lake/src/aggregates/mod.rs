//! Statistics of an hour, as they are kept in `aggregates/`.

pub mod bins;
pub mod merge_sorted;
pub mod sketch;
pub mod stats;
