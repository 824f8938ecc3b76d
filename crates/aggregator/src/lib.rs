#![doc = include_str!("../README.md")]

mod aggregates;
mod cloudwatch;
mod commit;
mod config;
mod log;
mod parts;
mod rebuild;
mod rows;
mod run;
mod summary;

pub use aggregates::sketch::{ACCURACY, DamagedSketch, EXACT, Sketch};
pub use aggregates::stats::Stats;
pub use cloudwatch::EXPORTED;
pub use config::{Cli, Command, Config};
pub use rebuild::rebuild;
pub use run::{once, watch};
pub use summary::Summary;
