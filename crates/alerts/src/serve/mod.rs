//! The service: one process leads, which means that it evaluates, writes the log and notifies; any other one stands by.

mod evaluating;
mod figures;
mod front;
mod rules_view;
mod run;
mod shared;
mod start;
mod term;
mod told;

pub use run::{Service, run};
pub use start::{API, Started, start};
