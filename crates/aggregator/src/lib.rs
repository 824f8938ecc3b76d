#![doc = include_str!("../README.md")]

mod budget;
mod cloudwatch;
mod commit;
mod config;
mod fold;
mod forget;
mod hour;
mod log;
mod names;
mod parts;
mod planted_defects;
mod put;
mod put_off;
mod rebuild;
mod run;
mod schema;
mod spill;
mod workers;

pub use cloudwatch::EXPORTED;
pub use config::{Cli, Command, Config, NamesAction, USES};
pub use forget::{ForgetReport, Wanted, forget};
pub use lake::log::Summary;
pub use log::discover::LOOK_BACK;
pub use names::names;
pub use rebuild::rebuild;
pub use run::{RAW_PER_PART, once, watch};
