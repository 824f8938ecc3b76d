#![doc = include_str!("../README.md")]

mod commands;
mod config;
mod event;
mod exit;
mod replay;
mod simulate;
mod summary;

pub use commands::run;
pub use config::{Command, Config, FleetConfig, ReplayConfig, TargetConfig};
pub use event::{Class, DueEvent};
pub use exit::Exit;
pub use replay::{Replay, ReplayCounts, ReplayError, Skip, Speed, SpeedError};
pub use sender::{
    Answer, Client, ClientConfig, ClientCounts, ClientError, Compression, Ended, HttpAnswer,
    HttpClient, HttpError, PostError, Rejected, SendError, SendOptions, Trust, send,
};
pub use simulate::{Breakage, Fleet, FleetEvent, Generator, Plan, PlanError, SimulatedEvent};
pub use summary::Summary;

/// A post of the simulator's events that has ended.
pub type Posted = sender::Posted<DueEvent>;
