//! The dead-letter queue: letters are listed, shown, replayed and purged.
//!
//! SQS has no way to look at a message without receiving it. So each operation receives every
//! letter once, hides it meanwhile, and makes it visible again at its end. Each look counts as a
//! receive of the letter, which harms nothing: a dead-letter queue has no redrive of its own.

mod filter;
mod list;
mod purge;
mod replay;
mod summary;
mod sweep;

pub use filter::{Filter, OfEntity};
pub use list::{Listing, Shown, list, show};
pub use purge::{Purged, purge};
pub use replay::{Replayed, replay};
pub use summary::{Letter, Summary};
pub use sweep::Looked;

pub use crate::receive::dead_letter::UNDECODABLE;
