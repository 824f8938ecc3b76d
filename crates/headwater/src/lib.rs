#![doc = include_str!("../README.md")]

mod config;
mod cost;
mod data_folder;
mod demo;
mod lake_samples;
mod pipeline;
mod serve;

pub use config::{Cli, Command, DemoConfig, ServeConfig};
pub use cost::{Bill, CostConfig, Table, compare, report};
pub use demo::{Report, demo};
pub use serve::serve;
