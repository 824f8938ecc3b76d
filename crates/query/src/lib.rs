#![doc = include_str!("../README.md")]

mod app;
mod cloudwatch;
mod config;
pub mod http;
pub mod kernels;
mod metrics;
mod planted_defects;
pub mod read;
mod run;
mod server;
pub mod snapshot;

pub use app::App;
pub use config::{Command, Config, METRICS_LISTEN};
pub use run::run;
