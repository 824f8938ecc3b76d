#![doc = include_str!("../README.md")]

#[allow(clippy::module_inception, reason = "the file is named for its type")]
mod engine;
pub mod kernels;
pub mod metrics;
mod planted_defects;
pub mod read;
pub mod snapshot;
mod stored_types;
mod turns;

pub use engine::Engine;
pub use stored_types::StoredTypes;
pub use turns::{Turn, TurnError, Turns};
