//! Objects of `raw/` as the snapshot takes them in, for readers that follow what is new. Where nobody follows, nothing
//! is made or kept.

use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};
use contract::Kinds;
use tokio::sync::broadcast;

use crate::snapshot::hot::ObjectRows;
use crate::snapshot::hour_data::HourData;

/// Objects that wait for a follower that is slow; past it the follower is told how many it has missed. Their rows are
/// mostly those of the snapshot, and take no further memory.
const MOST_WAITING: usize = 64;

/// An object of `raw/` that the newest snapshot has, and the one before had not.
#[derive(Debug)]
pub struct Arrival {
    /// Its key.
    pub key: Arc<str>,
    /// When the snapshot took it in, by this machine's clock: up to a `POLL` after it landed.
    pub seen_at: DateTime<Utc>,
    /// Its rows by the name of their kind. Each id stands once in its hour, but an event that came in an earlier
    /// object, or stands in a part, is here all the same.
    pub rows: Vec<(Arc<str>, HourData)>,
}

impl Arrival {
    pub(super) fn of(object: &ObjectRows, kinds: &Kinds, seen_at: DateTime<Utc>) -> Arrival {
        let rows = object.rows.iter().filter_map(|((kind, hour), rows)| {
            let kind = kinds.iter().nth(*kind)?;
            let hour = HourData {
                hour: *hour,
                parts: Vec::new(),
                hot: vec![Arc::new(rows.clone())],
            };
            Some((kind.name.as_str().into(), hour))
        });
        Arrival {
            key: object.key.clone(),
            rows: rows.collect(),
            seen_at,
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.batches().map(|batch| batch.num_rows()).sum()
    }

    /// Whether the object has no event of a declared kind.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its rows, batch by batch.
    pub fn batches(&self) -> impl Iterator<Item = &Arc<RecordBatch>> {
        self.rows.iter().flat_map(|(_, hour)| &hour.hot)
    }
}

/// Hands arrivals to whoever follows them. Clones give to the same followers.
#[derive(Debug, Clone)]
pub struct Arrivals(broadcast::Sender<Arc<Arrival>>);

impl Default for Arrivals {
    fn default() -> Arrivals {
        Arrivals(broadcast::Sender::new(MOST_WAITING))
    }
}

impl Arrivals {
    /// Follows what arrives from now on.
    pub fn follow(&self) -> broadcast::Receiver<Arc<Arrival>> {
        self.0.subscribe()
    }

    /// Whether somebody follows.
    pub fn has_followers(&self) -> bool {
        self.0.receiver_count() > 0
    }

    /// Hands an arrival to all followers.
    pub fn give(&self, arrival: Arrival) {
        // The last follower may have left meanwhile.
        let _ = self.0.send(Arc::new(arrival));
    }
}
