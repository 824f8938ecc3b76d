//! The dead-letter queue: listing, showing, replaying and purging its letters.
//!
//! SQS has no way to look at a message without receiving it. So each operation receives every
//! letter once, hides it meanwhile, and makes it visible again at its end. Each look counts as a
//! receive of the letter, which harms nothing: a dead-letter queue has no redrive of its own.

mod list;
mod purge;
mod replay;
mod summary;
mod sweep;

pub use list::{Listing, list, show};
pub use purge::{Purged, purge};
pub use replay::{Replayed, replay};
pub use summary::{Letter, Summary, reason_of, unfold};
pub use sweep::Filter;
