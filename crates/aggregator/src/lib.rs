#![doc = include_str!("../README.md")]

mod aggregates;
mod aside;
mod columns;
mod commits;
mod config;
mod curate;
mod curated;
mod discover;
mod group;
mod rebuild;
mod run;
mod sketch;
mod stats;
mod summary;

pub use config::{Cli, Command, Config};
pub use rebuild::rebuild;
pub use run::{Progress, once, watch};
pub use sketch::{ACCURACY, DamagedSketch, EXACT, Sketch};
pub use stats::Stats;
pub use summary::Summary;
