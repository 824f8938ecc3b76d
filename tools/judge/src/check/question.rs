//! What is asked of the judge.

use indicatif::ProgressBar;

use crate::arrivals::Arrivals;
use crate::scope::Scope;

/// Which parts of the lake are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Places {
    /// `raw/` and `curated/`.
    #[default]
    Both,
    /// `raw/` alone.
    Raw,
    /// `curated/` alone.
    Curated,
}

/// Told how far the reading has come.
pub trait Progress: Send + Sync {
    /// `done` of `all` objects are read.
    fn objects(&self, done: u64, all: u64);
}

/// For a caller who does not want to be told.
impl Progress for () {
    fn objects(&self, _: u64, _: u64) {}
}

impl Progress for ProgressBar {
    fn objects(&self, done: u64, all: u64) {
        self.set_length(all);
        self.set_position(done);
    }
}

/// What is asked of the judge.
pub struct Question<'a> {
    /// Which part of the lake counts.
    pub scope: &'a Scope,
    /// Which parts of the lake are read.
    pub places: Places,
    /// When raw objects were first seen, for latencies.
    pub arrivals: Option<&'a Arrivals>,
    /// Told how far the reading has come.
    pub progress: &'a dyn Progress,
}

impl<'a> Question<'a> {
    /// About `raw/` and `curated/`, without latencies.
    pub fn new(scope: &'a Scope) -> Question<'a> {
        Question {
            scope,
            places: Places::Both,
            arrivals: None,
            progress: &(),
        }
    }
}
