//! New events of `raw/` within seconds, for a service that follows them: [`Tail`].
//!
//! Names of raw parts sort by arrival ([`contract::raw_part_name`]), so a poll lists from a little before the newest
//! name. Now and then a wider listing, the *sweep*, finds parts that landed long after the time in their names.
//! Objects and events that come again are dropped. All of this state is in memory; nothing is written to the lake.

mod events;
mod follow;
mod position;
mod seen;
mod settings;

pub use events::{NewEvents, NewObject};
pub use follow::{Tail, TailProgress};
pub use settings::{TailCounts, TailSettings};
