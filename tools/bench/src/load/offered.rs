//! The load that a service is offered.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Events of a bulk post.
pub(crate) const BATCH: usize = 500;

/// How a service is loaded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OfferedLoad {
    /// Events of a post.
    pub(crate) batch: usize,
    pub(crate) connections: usize,
    pub(crate) amount: Amount,
    /// Events a second; `None` is as fast as they are accepted.
    pub(crate) rate: Option<f64>,
    /// The CA of the service, if it speaks https.
    pub(crate) ca: Option<PathBuf>,
}

/// How much is sent.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Amount {
    /// Each event of the corpus, once.
    Corpus,
    /// This number of posts.
    Posts(u64),
    /// New posts for this number of seconds.
    Seconds(f64),
}

impl OfferedLoad {
    /// Bulk posts, as users send them who can wait.
    pub(crate) fn bulk(amount: Amount) -> OfferedLoad {
        OfferedLoad {
            batch: BATCH,
            connections: 16,
            amount,
            rate: None,
            ca: None,
        }
    }

    /// One event a post.
    pub(crate) fn single(connections: usize, amount: Amount) -> OfferedLoad {
        OfferedLoad {
            batch: 1,
            connections,
            amount,
            rate: None,
            ca: None,
        }
    }
}
