#![doc = include_str!("../README.md")]

pub mod config;
pub mod run;

pub mod batcher;
pub mod commit;
pub mod decode;
pub mod heartbeat;
mod latency;
pub mod letter;
pub mod object;
pub mod outage;
pub mod receive;
pub mod room;

pub mod dlq;
pub mod metrics;

pub use config::Config;
pub use run::{Consumer, run};
