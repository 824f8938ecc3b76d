#![doc = include_str!("../README.md")]

mod commands;
mod config;
mod event;
mod exit;
mod post;
mod replay;
mod simulate;

pub use commands::run;
pub use config::{Command, Config, FleetConfig, ReplayConfig, TargetConfig};
pub use event::{Class, DueEvent};
pub use exit::Exit;
pub use post::{
    Answer, Client, ClientConfig, ClientCounts, ClientError, Compression, Ended, HttpAnswer,
    HttpClient, HttpError, PostError, Posted, Rejected, SendError, SendOptions, Summary, send,
};
pub use replay::{Replay, ReplayCounts, ReplayError, Skip, Speed, SpeedError};
pub use simulate::{Breakage, Fleet, FleetEvent, Generator, Plan, PlanError, SimulatedEvent};
