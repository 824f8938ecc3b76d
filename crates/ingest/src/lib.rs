#![doc = include_str!("../README.md")]

mod app;
mod cloudwatch;
mod config;
mod counts;
mod http;
mod intake;
mod memory;
mod open_files;
mod points;
mod queue;
mod run;
mod sample_ids;
mod told_infos;

pub use app::App;
pub use config::{Command, Config, METRICS_LISTEN, Packing, USES};
pub use http::accept::Accept;
pub use http::answer::{Accepted, MAX_LISTED, RejectedEvent};
pub use http::operations::admin_routes;
pub use http::refusal::{ErrorBody, ErrorDetail};
pub use http::server::serve;
pub use run::run;

/// How many bodies are read at a time off the runtime's own threads: one for each core, and one more, so that a key
/// which keeps all cores busy leaves a turn to others (`http::turns`).
pub fn readers() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from) + 1
}
