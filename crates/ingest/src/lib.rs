#![doc = include_str!("../README.md")]

mod app;
mod cloudwatch;
mod config;
mod counts;
mod http;
mod intake;
mod memory;
mod open_files;
mod queue;
mod run;
mod sample_ids;

pub use app::App;
pub use config::{Command, Config, METRICS_LISTEN, Packing};
pub use http::accept::Accept;
pub use http::answer::{Accepted, MAX_LISTED, RejectedEvent};
pub use http::operations::admin_routes;
pub use http::refusal::{ErrorBody, ErrorDetail};
pub use http::server::serve;
pub use run::run;
