#![doc = include_str!("../README.md")]

mod cloudwatch;
mod commit;
mod config;
mod fold;
mod log;
mod parts;
mod planted_defects;
mod put;
mod rebuild;
mod run;
mod schema;

pub use cloudwatch::EXPORTED;
pub use config::{Cli, Command, Config};
pub use lake::log::Summary;
pub use rebuild::rebuild;
pub use run::{once, watch};
