#![doc = include_str!("../README.md")]

mod config;
mod cost;
mod demo;
mod folder;
mod look;
mod parts;
mod serve;

pub use config::{Cli, Command, DemoConfig, ServeConfig};
pub use cost::{CostConfig, Plan, Table, compare};
pub use demo::{Report, demo};
pub use serve::serve;
