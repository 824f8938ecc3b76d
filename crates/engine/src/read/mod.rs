//! Reads the parts of `curated/` by column: a part and the columns come in, the bytes of these columns' chunks go out,
//! ready to be decoded. Footers and chunks are kept in memory, each up to a bound in bytes; only what is missing is
//! asked of S3. A part is read under the ETag that it was listed with, or not at all.

mod bounded_cache;
mod first_rows;
mod footer;
mod part_error;
mod part_reader;
mod sparse_file;

pub use first_rows::{FirstRows, first_rows};
pub use part_error::PartError;
pub use part_reader::{PartReader, ReadSettings};

pub(crate) use footer::{ENTITY, Footer, RowGroup, SIGNAL, TIME};
pub(crate) use part_reader::Chunks;
