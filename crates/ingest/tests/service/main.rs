//! The service over the embedded SQS: every answer, and what reached the queue.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bad_input;
mod beside;
mod bodies;
mod clients;
mod delivery;
mod drain;
mod events;
mod harness;
mod infos;
mod keys;
mod metrics;
mod operations;
mod overload;
mod process;
mod senders;
mod sharing;
mod tls;
