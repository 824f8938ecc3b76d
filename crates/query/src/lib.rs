#![doc = include_str!("../README.md")]

mod metrics;
mod planted_defects;
pub mod snapshot;
