#![doc = include_str!("../README.md")]

mod config;
mod run;

mod pipeline;

mod batch;
mod receive;
mod write;

pub mod dlq;
pub mod metrics;

pub use config::{Config, METRICS_LISTEN};
pub use run::{Consumer, run};
