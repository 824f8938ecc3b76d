//! The log of commits.

pub mod commits;
pub mod summary;
