//! The parts of `curated/` as Parquet.

pub mod part_file;
