#![doc = include_str!("../README.md")]

pub mod kernels;
pub mod read;
pub mod snapshot;
