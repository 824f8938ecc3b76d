#![doc = include_str!("../README.md")]

mod banner;
mod config;
mod configs;
mod cost;
mod data_folder;
mod demo;
mod faults;
mod keys_command;
mod lake_samples;
mod output;
mod pipeline;
#[cfg(feature = "sql")]
mod query_command;
mod report_page;
mod serve;
mod status;

pub use config::{Cli, Command, DemoConfig, QueryConfig, QueryFormat, ServeConfig};
pub use cost::{Bill, CostConfig, Table, compare, report};
pub use demo::{Report, demo};
pub use keys_command::{KeysCommand, KeysConfig, May, NewKeyConfig, keys};
pub use output::write_stdout;
#[cfg(feature = "sql")]
pub use query_command::query;
pub use serve::serve;
