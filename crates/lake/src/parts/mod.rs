//! The parts of `curated/`: a batch of rows becomes one Parquet object for each commit, kind and event hour, and comes
//! back whole, by some of its rows, or as ids alone. An id stands in one part of its hour only.

mod content;
mod part_file;

pub use crate::parquet_file::some_rows;
pub use content::has_content;
pub use part_file::{before, ids, read, to_parquet};
