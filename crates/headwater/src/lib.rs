#![doc = include_str!("../README.md")]

mod config;
mod demo;
mod folder;
mod look;
mod parts;
mod serve;

pub use config::{Cli, Command, DemoConfig, ServeConfig};
pub use demo::{Report, demo};
pub use serve::serve;
