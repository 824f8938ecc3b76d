#![doc = include_str!("../README.md")]

pub mod aggregates;
pub mod log;
pub mod parts;
pub mod rows;
