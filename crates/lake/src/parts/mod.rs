//! The parts of `curated/`: rows of one kind and event hour become a Parquet object of a commit, and come back whole,
//! by row groups, by some rows, or as ids alone. An id stands in one part of its hour only. The rows of a row group are
//! sorted by entity and time; a part whose rows were too many for memory has several, each with all sorts of entities.

mod content;
pub(crate) mod digest;
mod names;
mod part_file;

pub use crate::parquet_file::some_rows;
pub use content::content;
pub use digest::{IdHashes, Meeting, meeting};
pub use names::signal_names;
pub use part_file::{
    DIGEST_ROWS, PartWriter, before, between, each_row_group, emptied, filtered, first_after, ids,
    may_have_entity, read, to_parquet,
};
