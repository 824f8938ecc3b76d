//! From batches to the lake: a batch comes in; its dead letters, its objects and the deletion of its messages go out.
//! The order matters for what a crash in between would do:
//!
//! 1. Dead letters are sent. A crash now sends them again.
//! 2. One object for each arrival hour is put. A crash now leaves events that come again.
//! 3. Only then are the messages deleted whose letters and lines are all kept.

pub(crate) mod latency;
mod report;
pub(crate) mod writer;
