#![doc = include_str!("../README.md")]

mod aggregates;
mod aside;
mod bins;
mod cloudwatch;
mod columns;
mod commits;
mod config;
mod curate;
mod curated;
mod discover;
mod entities;
mod gather;
mod group;
mod ids;
mod known;
mod published;
mod rebuild;
mod run;
mod sketch;
mod sorted;
mod stats;
mod summary;
mod values;

pub use cloudwatch::EXPORTED;
pub use config::{Cli, Command, Config};
pub use rebuild::rebuild;
pub use run::{Progress, once, watch};
pub use sketch::{ACCURACY, DamagedSketch, EXACT, Sketch};
pub use stats::Stats;
pub use summary::Summary;
