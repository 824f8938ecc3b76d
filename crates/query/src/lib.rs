#![doc = include_str!("../README.md")]

mod app;
mod cloudwatch;
mod config;
mod connections;
pub mod http;
pub mod kernels;
mod metrics;
mod planted_defects;
pub mod read;
mod run;
pub mod snapshot;

pub use app::App;
pub use config::{Command, Config, METRICS_LISTEN};
pub use run::run;
