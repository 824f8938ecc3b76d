//! Statements over a lake in this process.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod refused;
mod stage;
mod tables;
