#![doc = include_str!("../README.md")]

pub mod aggregates;
mod error;
pub mod forget;
pub mod key;
pub mod log;
mod parquet_file;
pub mod parts;
pub mod rows;
pub mod schema;
pub mod tail;

pub use error::ReadError;
