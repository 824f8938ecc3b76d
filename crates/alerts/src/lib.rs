#![doc = include_str!("../README.md")]

pub mod api;
mod cloudwatch;
pub mod commands;
mod config;
pub mod evaluate;
pub mod expr;
pub mod journal;
pub mod live;
pub mod matcher;
pub mod model;
pub mod notify;
pub mod rules;
mod serve;

pub use config::{Command, Config, METRICS_LISTEN, USES};
pub use serve::{API, Service, Started, run, start};
