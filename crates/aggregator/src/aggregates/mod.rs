//! Hourly aggregates: the rows of a part come in and are folded into what the hour has, once; Parquet and JSONL of
//! the hour go out.

pub(crate) mod file;
pub(crate) mod fold;
