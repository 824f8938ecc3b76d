//! What queries of every sort share.

use std::sync::Arc;

use aws::Lake;
use tokio::sync::watch;

use crate::kernels::Scanner;
use crate::read::{PartReader, ReadSettings};
use crate::snapshot::Snapshot;
use crate::stored_types::StoredTypes;
use crate::turns::Turns;

/// What reads the lake for queries, by HTTP and by SQL alike.
#[derive(Debug)]
pub struct Engine {
    /// The lake itself.
    pub lake: Lake,
    /// The newest snapshot, also before all that is in the lake has been read.
    pub newest: watch::Receiver<Snapshot>,
    /// Reads the parts that a snapshot lists.
    pub scanner: Scanner,
    /// The types of undeclared signals, as the lake stores them.
    pub types: StoredTypes,
    /// Lets some queries run, and others wait.
    pub turns: Turns,
}

impl Engine {
    /// Reads the lake that `newest` is of, on as many threads as the machine has processors.
    pub fn new(
        lake: Lake,
        newest: watch::Receiver<Snapshot>,
        read: ReadSettings,
        turns: Turns,
    ) -> Engine {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let reader = Arc::new(PartReader::new(lake.clone(), read));
        Engine {
            newest,
            scanner: Scanner::new(reader, threads),
            types: StoredTypes::new(lake.clone()),
            lake,
            turns,
        }
    }

    /// The newest snapshot; none until all that is in the lake has been read for the first time.
    pub fn snapshot(&self) -> Option<Snapshot> {
        let newest = self.newest.borrow().clone();
        newest.fresh_until().is_some().then_some(newest)
    }
}
