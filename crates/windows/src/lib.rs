#![doc = include_str!("../README.md")]

mod anomaly;
mod settings;
mod stat;
mod store;
mod watermark;
mod windows;

pub use anomaly::{Method, Moment};
pub use settings::{Counts, PANE, Settings};
pub use stat::Stat;
pub use watermark::{Intake, Watermark, WatermarkSettings};
pub use windows::{Changed, Observed, Series, SeriesId, Windows};
