#![doc = include_str!("../README.md")]

mod body;
mod client;
mod clock;
mod cloud;
mod dispatch;
mod faults;
mod hex;
mod s3;
mod server;
mod sqs;

pub use cloud::{Builder, LocalAws};
pub use faults::{FaultKind, Faults};
pub use server::serve;
pub use sqs::{QueueCounts, QueuedMessage};
