#![doc = include_str!("../README.md")]

mod bare;
mod bench;
mod chart;
mod cli;
mod corpus;
mod floor;
mod http;
mod lake;
mod load;
mod machine;
mod process;
mod procfs;
mod report;
mod run;
mod scenarios;
mod scrape;
mod stand;
mod stats;
mod table;

pub use cli::Cli;
pub use run::run;
