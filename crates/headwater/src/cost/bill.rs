//! A bill and its items.

use serde::Serialize;

/// Names of the items of a bill, in the order of [`Bill::dollars`]: transport from HTTP to S3, requests to
/// S3, bytes kept in S3, and tasks on Fargate.
pub(super) const ITEMS: [&str; 4] = ["queue or stream", "S3 requests", "S3 storage", "Fargate"];

/// The bill of a month for one way to bring the events into the lake.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bill {
    /// Name of the way, such as `Headwater` or `Firehose`.
    pub name: &'static str,
    /// Aggregators that the load needs; 0 for a way without one. More than one need lanes, which are not built: such a
    /// bill is for what does not exist.
    pub lanes: u32,
    /// US dollars by item: queue or stream, S3 requests, S3 storage, Fargate.
    pub dollars: [f64; 4],
    /// Sum of `dollars`.
    pub total: f64,
    /// US dollars a million events for requests alone: to the queue or stream, and to S3.
    pub requests_per_million: f64,
}

impl Bill {
    /// Whether one aggregator is too little for the load.
    pub fn needs_lanes(&self) -> bool {
        self.lanes > 1
    }
}
