//! Faults of the demo: services that are killed and frozen while events flow.

mod process;
mod schedule;

pub(crate) use process::{Control, spawn};
pub(crate) use schedule::Faults;
