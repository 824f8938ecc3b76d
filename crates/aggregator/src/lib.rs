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

pub use cloudwatch::EXPORTED;
pub use config::{Cli, Command, Config};
pub use lake::aggregates::sketch::{ACCURACY, DamagedSketch, EXACT, Sketch};
pub use lake::aggregates::stats::Stats;
pub use lake::log::summary::Summary;
pub use rebuild::rebuild;
pub use run::{Progress, once, watch};
