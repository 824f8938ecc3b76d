//! Hourly statistics of each entity and signal: the rows of a part come in, and are merged into what the hour has;
//! Parquet and JSONL of the hour go out. Merging in any order gives the same counts and quantiles, so it does not
//! matter in which order events came; whoever merges sees to it that no event is counted twice.

mod bins;
mod file;
mod merge_sorted;
mod sketch;
pub(crate) mod sketch_bytes;
mod small_parquet;
mod state;
mod stats;
mod stored;

pub use bins::ACCURACY;
pub use file::{AggregateFile, COMMIT, counted_by_file, counted_through, from_parquet, has_entity};
pub use sketch::{EXACT, Sketch};
pub use sketch_bytes::DamagedSketch;
pub use state::{Aggregates, Entity};
pub use stats::Stats;
pub use stored::StoredStats;
