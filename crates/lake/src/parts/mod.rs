//! The parts of `curated/`: a batch of rows becomes one Parquet object of a commit, kind and event hour, and comes
//! back whole, by some of its rows, or as ids alone. An id stands in one part of its hour only.

mod content;
pub(crate) mod digest;
mod part_file;

pub use crate::parquet_file::some_rows;
pub use content::content;
pub use digest::{IdHashes, Meeting, meeting};
pub use part_file::{DIGEST_ROWS, before, between, first_after, ids, read, to_parquet};
