#![doc = include_str!("../README.md")]

mod answer;
mod breakage;
mod cell;
mod client;
mod commands;
mod compress;
mod config;
mod fleet;
mod generator;
mod plan;
mod replay;
mod retry;
mod send;
mod summary;
mod vehicle;

pub use answer::{Answer, PostError, Rejected};
pub use breakage::Breakage;
pub use client::{Client, ClientConfig, ClientCounts, ClientError};
pub use commands::{Outcome, run};
pub use compress::Compression;
pub use config::{Command, Config, FleetConfig, ReplayConfig, TargetConfig};
pub use fleet::{Fleet, FleetEvent};
pub use generator::{Class, Generator, Sent};
pub use plan::{Plan, PlanError};
pub use replay::{
    Mapping, MappingError, Replay, ReplayCounts, ReplayError, Skip, Speed, SpeedError, is_ndjson,
};
pub use send::{Outgoing, SendError, SendOptions, send};
pub use summary::Summary;
