#![doc = include_str!("../README.md")]

// The program: many runs, or one.
pub mod campaign;
pub mod config;
pub mod run;
pub mod subject;

// The seed's decisions, and the attacks among which it chooses.
pub mod attack;
pub mod chance;
pub mod plan;

// The world of a run: its cloud, its time, its processes and the wire between them.
pub mod follow;
pub mod forget;
pub mod life;
pub mod processes;
pub mod query;
pub mod socket;
pub mod stage;
pub mod trace;
pub mod wire;
pub mod world;

// The load, and the laws that must hold under it.
pub mod clients;
pub mod events;
pub mod laws;
pub mod strange;

// The runs of `alerts`: their load, their receivers and their laws.
pub mod alerts;
