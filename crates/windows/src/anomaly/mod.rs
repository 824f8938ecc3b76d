//! Anomalies: each series is scored when one of its panes is over, and each episode of high scores is one moment.

mod detector;
mod episodes;
mod moment;

pub(crate) use episodes::Episodes;
pub use moment::{Method, Moment};
