#![doc = include_str!("../README.md")]

pub mod config;
pub mod run;

pub mod batch;
mod latency;
pub mod receive;
pub mod write;

pub mod dlq;
pub mod metrics;

pub use config::Config;
pub use run::{Consumer, run};
