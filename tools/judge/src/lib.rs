#![doc = include_str!("../README.md")]

mod arrivals;
mod case;
mod check;
mod columns;
mod commands;
mod config;
mod content;
mod cost;
pub mod curated;
mod error;
mod examples;
mod identity;
mod latency;
mod ledger;
pub mod letters;
mod raw;
pub mod recount;
mod scope;
mod send;
mod verdict;
mod wait;

pub use arrivals::Arrivals;
pub use check::{Places, Question, judge};
pub use commands::run;
pub use config::{CheckConfig, Cli, Command, Config, LettersConfig, RunConfig};
pub use cost::Cost;
pub use error::JudgeError;
pub use examples::EXAMPLES;
pub use identity::{Identity, kind_name};
pub use latency::Latency;
pub use ledger::{Certainty, Ledger, LedgerError};
pub use scope::Scope;
pub use send::{EventsWithIds, SendOptions, Sender, Sent};
pub use verdict::{Fault, Finding, Verdict};
pub use wait::{Drained, wait_for_aggregates, wait_for_all, wait_for_drain};
