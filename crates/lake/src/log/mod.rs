//! The log of commits, as read: which raw objects are in `curated/`, and which commit is under way. Commit numbers
//! have no gaps, and commit n is begun only after commit n - 1 is done, so at most one commit is under way.

mod commits;
mod names;
mod summary;

pub use commits::{
    ByHour, Checkpoint, Done, DoneCommit, Intent, Log, Plan, intents, is_done, of_hour,
    older_names, read_done, read_intent, read_plan,
};
pub use names::{HashedNames, Names};
pub use summary::Summary;
