//! Rows from lines of JSON: the lines of `raw/` come in, and for each kind and event hour a batch of columns goes out,
//! in the layout of `curated/`: sorted by entity, time and id, each id once. Nothing here calls S3.

pub(crate) mod columns;
mod entities;
mod gather;
pub(crate) mod hour_rows;
mod ids;
pub(crate) mod lines;
mod values;

pub use columns::{ColumnType, Columns, SignalTypes, signal_of};
pub use gather::{Gathering, LeftOut, RowsByHour};
pub use hour_rows::{Content, HourRows, Span};
pub use ids::id_hash;
