//! The log of commits, as read: which raw objects are in `curated/`, and which commit is under way. Commit numbers
//! have no gaps, and commit n is begun only after commit n - 1 is done, so at most one commit is under way.

mod commits;
mod summary;

pub use commits::{Checkpoint, Done, Intent, Log, intents, read_intent};
pub use summary::Summary;
