//! Sorts the events of a commit's raw objects by kind, event hour and bucket of ids. Each object is read once; the rows
//! wait in memory, and past a bound in a file on disk, until their hour is written.

mod file;
mod gather;
mod store;

pub(crate) use gather::{Gather, Gathered, Limits, PUT_OFF_BYTES};
pub(crate) use store::HourBlocks;
