#![doc = include_str!("../README.md")]

mod cli;
mod run;
mod run_args;
mod scenario;

mod scenarios;

mod bench;
mod corpus;
mod deployment;
mod footprint;
mod hosted_lake;
mod latency;
mod made_lake;
mod pipeline;
mod processes;
mod procfs;
mod raw_objects;
mod scrape;
mod stats;

mod bare;
mod floor;
mod load;

mod machine;
mod report;
mod row;
mod table;

pub use cli::Cli;
pub use run::run;
