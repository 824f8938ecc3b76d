#![doc = include_str!("../README.md")]

mod config;
mod run;

mod message;
pub mod rules;

mod broker;
mod deliver;
mod metrics;

pub use broker::Address;
pub use config::{Config, METRICS_LISTEN, RuleSettings};
pub use run::Bridge;
