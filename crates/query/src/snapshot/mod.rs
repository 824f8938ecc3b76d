//! What a query reads: the lake at one moment.

mod hour_data;

pub use hour_data::{HourData, Part};
