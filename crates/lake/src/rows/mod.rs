//! Rows from lines of JSON: the lines of `raw/` come in as blocks of rows, unsorted, for each kind and event hour; the
//! blocks of an hour, or of one bucket of its ids, go out as one batch in the layout of `curated/`: sorted by entity,
//! time and id, each id once. Nothing here calls S3.

mod block;
mod buckets;
mod column_type;
pub(crate) mod columns;
mod derive;
mod entities;
mod few_lines;
mod gather;
mod growing_rows;
pub(crate) mod hour_rows;
mod ids;
pub(crate) mod lines;
mod long_columns;
mod more;
mod pick;
mod signal_set;
mod values;

pub use block::{Block, Content, Span};
pub use buckets::{Bucket, Buckets, MAX_BUCKETS};
pub use column_type::ColumnType;
pub use columns::{Admission, Columns, SignalTypes, is_derived, signal_of, signals_in};
pub use few_lines::{FewLines, FewRows, LinesError, kept_lines};
pub use gather::{
    Added, Gathering, KindHour, MAX_LINE_BYTES, Refused, Taken, admissions, too_long,
};
pub use hour_rows::{HourRows, LeftOut};
pub use ids::{id_hash, stable_hash};
pub use long_columns::LongColumns;
pub use more::MORE;
pub(crate) use more::More;
pub use signal_set::SignalSet;
pub(crate) use values::value_at;
