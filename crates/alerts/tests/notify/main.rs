//! The log, the notifier and the API over a lake in this process, in paused time, with receivers that fail in every
//! way, processes that are killed and frozen, and answers of S3 that are lost.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod api;
mod crash;
mod journal;
mod large;
mod lifecycle;
mod network;
mod quiet;
mod receivers;
mod refusals;
mod stage;
mod storm;
mod trouble;
