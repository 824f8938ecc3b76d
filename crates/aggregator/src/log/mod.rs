//! The log of commits: what was taken in, and what there is to take in. A commit has one number, one intent and one end,
//! whoever writes them.

pub(crate) mod discover;
