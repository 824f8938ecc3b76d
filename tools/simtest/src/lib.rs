#![doc = include_str!("../README.md")]

pub mod attack;
pub mod campaign;
pub mod chance;
pub mod clients;
pub mod config;
pub mod events;
pub mod laws;
pub mod life;
pub mod plan;
pub mod processes;
pub mod run;
pub mod socket;
pub mod strange;
pub mod trace;
pub mod wire;
pub mod world;
