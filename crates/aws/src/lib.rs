#![doc = include_str!("../README.md")]

mod clock;
mod connect;
mod endpoint;
mod error;
mod explain;
mod lake;
mod meter;
mod queue;
mod settings;
pub mod setup;
mod timeouts;

pub use clock::Clock;
pub use connect::Aws;
pub use endpoint::NotAnEndpoint;
pub use error::CallError;
pub use explain::Explained;
pub use lake::Lake;
pub use lake::object::{
    ByteRange, Condition, Fetched, Folder, Head, Object, ObjectInfo, OldVersion, PutOutcome,
};
pub use meter::{Meter, PRICES_AS_OF, Usage, price_per_request};
pub use queue::Queue;
pub use queue::batch::{MAX_BATCH_BYTES, MAX_ENTRIES, retry_delays};
pub use queue::message::{Depth, Message, Outgoing};
pub use settings::{CreateSettings, DlqSettings, LakeSettings, QueueSettings};
