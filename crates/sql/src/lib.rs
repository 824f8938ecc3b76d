//! SQL over the lake: DataFusion over the snapshots, readers and kernels of `engine`.

mod answer;
mod bounds;
pub mod catalog;
mod counters;
mod database;
mod error;
mod format;
mod functions;
mod join_limits;
pub mod kernel_rule;
mod large_stack;
mod memory;
mod public;
mod scan_budget;
mod settings;
mod statement;
mod tables;
mod views;
pub mod wire;

pub use answer::Answer;
pub use database::{Database, SessionOptions};
pub use error::SqlError;
pub use format::{Encoder, Format, type_name};
pub use scan_budget::ScanTooLarge;
pub use settings::SqlSettings;
pub use statement::{check, parse, parse_one};
pub use tables::KindTable;
