#![doc = include_str!("../README.md")]

mod commands;
mod config;
mod error;
mod event;
mod events;
mod exit;
mod input;
mod mapping;
mod progress;
mod report;

pub use commands::run;
pub use config::{Config, StartAt};
pub use error::ImportError;
pub use exit::Exit;
