//! The files: bytes come in, batches of rows go out, each with its `file`, `path` and `row`.
//!
//! A row that cannot be read costs that row alone, and is in the counts of its file.

mod cells;
mod csv;
mod json;
mod parquet_file;
mod source;
mod table;
mod text;

pub(crate) use csv::CsvForm;
pub(crate) use source::{Format, Input, Reading};
pub(crate) use table::InputTable;
pub(crate) use text::encoding_of;
