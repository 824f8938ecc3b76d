//! Bodies as the senders' own libraries write them, and what they become.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bodies;
mod fuzz;
mod influx;
mod infos;
mod otlp;
mod prometheus;
