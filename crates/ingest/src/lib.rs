#![doc = include_str!("../README.md")]

mod app;
mod cloudwatch;
mod config;
mod counts;
mod http;
mod intake;
mod memory;
mod queue;

pub use app::App;
pub use config::{Command, Config, Packing};
pub use http::answer::{Accepted, ErrorBody, ErrorDetail, MAX_LISTED, RejectedEvent};
pub use http::routes::router;
pub use http::server::run;
