//! The load that a service is offered.

use std::net::SocketAddr;

use crate::corpus::Corpus;
use crate::load::LoadArgs;

/// Events of a bulk post.
pub(crate) const BATCH: usize = 500;

/// How a service is loaded.
#[derive(Debug, Clone)]
pub(crate) struct OfferedLoad {
    /// Events of a post.
    pub(crate) batch: usize,
    pub(crate) connections: usize,
    pub(crate) amount: Amount,
    /// Events a second; `None` is as fast as they are accepted.
    pub(crate) rate: Option<f64>,
}

/// How much is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Amount {
    /// Each event of the corpus, once.
    Corpus,
    /// This number of posts.
    Posts(u64),
    /// What is accepted in this time.
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
        }
    }

    /// One event a post.
    pub(crate) fn single(connections: usize, amount: Amount) -> OfferedLoad {
        OfferedLoad {
            batch: 1,
            connections,
            amount,
            rate: None,
        }
    }

    /// The arguments of the load generator.
    pub(crate) fn args(&self, target: SocketAddr, corpus: &Corpus) -> LoadArgs {
        let (posts, seconds) = match self.amount {
            Amount::Corpus => (None, None),
            Amount::Posts(posts) => (Some(posts), None),
            Amount::Seconds(seconds) => (None, Some(seconds)),
        };
        LoadArgs {
            target,
            corpus: corpus.path.clone(),
            batch: self.batch,
            connections: self.connections,
            posts,
            seconds,
            rate: self.rate.map(|events| events / self.batch as f64),
        }
    }
}
