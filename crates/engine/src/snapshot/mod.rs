//! What a query reads: the lake at one moment, and the newest such moment.
//!
//! The log of commits comes in, then the objects of `raw/` that no commit names. Out goes a [`Snapshot`]: the parts up
//! to a commit, and hot rows, in which each event that has landed stands once.

mod arrivals;
mod compute;
mod follow;
mod hot;
mod hour_data;
mod keeper;
mod part_ids;
mod part_lists;
mod put_off;
mod raw_objects;
mod read_objects;
mod settings;
#[allow(clippy::module_inception, reason = "the file is named for its type")]
mod snapshot;

pub use arrivals::{Arrival, Arrivals};
pub use hour_data::{HourData, Part};
pub use keeper::{Refreshed, Snapshots};
pub use settings::SnapshotSettings;
pub use snapshot::Snapshot;
