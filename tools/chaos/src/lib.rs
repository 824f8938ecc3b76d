#![doc = include_str!("../README.md")]

mod config;
mod drain;
mod faults;
mod findings;
mod guarded;
mod load;
mod plan;
mod processes;
mod proxy;
mod reader;
mod report;
mod rounds;
mod run;
mod stand;

pub use config::CrashConfig;
pub use findings::Findings;
pub use reader::Reader;
pub use run::run;
