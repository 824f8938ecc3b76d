#![doc = include_str!("../README.md")]

mod app;
mod cloudwatch;
mod config;
pub mod http;
#[cfg(feature = "sql")]
mod postgres;
mod run;

pub use app::App;
pub use config::{Command, Config, METRICS_LISTEN, USES};
#[cfg(feature = "sql")]
pub use postgres::PgSettings;
pub use run::{Started, run, start, wire};
