#![doc = include_str!("../README.md")]

mod alerts;
mod config;
mod deployment;
mod drain;
mod faults;
mod findings;
mod instance;
mod load;
mod logs;
mod plan;
mod processes;
mod proxy;
mod reader;
mod report;
mod rounds;
mod run;

pub use alerts::AlertsConfig;
pub use config::{Command, Config};
pub use findings::Findings;
pub use reader::Reader;
pub use run::run;
