#![doc = include_str!("../README.md")]

mod answer;
mod app;
mod auth;
mod body;
mod budget;
mod cloudwatch;
mod commit;
mod config;
mod connections;
mod counts;
mod gather;
mod handlers;
mod intake;
mod memory;
mod open_files;
mod openapi;
mod probe;
mod routes;
mod send;
mod server;
mod unfold;

pub use answer::{Accepted, ErrorBody, ErrorDetail, MAX_LISTED, RejectedEvent};
pub use app::App;
pub use config::{Command, Config, Packing};
pub use routes::router;
pub use server::run;
