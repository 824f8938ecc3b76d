//! What is asked of the judge.

use service::terminal::Progress;

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
