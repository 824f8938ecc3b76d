//! Kills `alerts` while it notifies receivers that fail in every way, and counts what arrives.
//!
//! All alerts fire at the beginning and end 15 s later; each is told by a message of its own, as firing and as resolved.
//! A life of the process ends at a random moment while messages are on their way. Beside them stand five alerts, one in
//! each state that a restart could lose.

mod config;
mod feed;
mod receivers;
mod run;
mod settings;
mod states;
mod tally;

pub use config::AlertsConfig;
pub(crate) use run::run;
