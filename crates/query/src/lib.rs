#![doc = include_str!("../README.md")]

mod app;
mod cloudwatch;
mod config;
mod metrics;
mod planted_defects;
mod run;
mod server;
pub mod snapshot;

pub use app::App;
pub use config::{Command, Config, METRICS_LISTEN};
pub use run::run;
