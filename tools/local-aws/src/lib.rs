#![doc = include_str!("../README.md")]

mod client;
mod cloud;
mod dispatch;
mod faults;
mod guard;
mod hex;
mod http_bodies;
mod s3;
mod server;
mod sqs;
mod wall_clock;

pub use cloud::{Builder, LocalAws};
pub use faults::{FaultKind, Faults};
pub use server::serve;
pub use sqs::{QueueCounts, QueuedMessage};
