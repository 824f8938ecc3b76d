//! The console over a lake in this process: who gets in, what reaches the services, what the live stream tells, and
//! what is shown of objects that nobody should have to read whole.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod gateway;
mod lake;
mod live;
mod sessions;
mod stage;
mod tls;
