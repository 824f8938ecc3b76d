//! Statements over a lake in this process.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../landing/mod.rs"]
mod landing;
mod refused;
mod stage;
mod streams;
mod tables;
mod told;
