//! Which part of the lake counts.

use std::collections::HashMap;

use aws::{Lake, ObjectInfo};
use chrono::{DateTime, Utc};
use contract::{CURATED, RAW, now_millis_precision};

use crate::error::JudgeError;

/// Which part of the lake counts. Only events in scope can be called invented; events of the ledger
/// count wherever they are found.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    since: Option<DateTime<Utc>>,
    there: HashMap<String, u64>,
    ledger_only: bool,
}

impl Scope {
    /// The whole lake: all that is in it must be in the ledger.
    pub fn everything() -> Scope {
        Scope::default()
    }

    /// What ingest received at or after `time`, by `ingest_received_at`.
    pub fn since(time: DateTime<Utc>) -> Scope {
        Scope {
            since: Some(now_millis_precision(time)),
            ..Scope::default()
        }
    }

    /// What comes into the lake from now on. Objects that are there now are not read again, and
    /// events that ingest received before now, such as those still in the queue, do not count.
    ///
    /// # Errors
    ///
    /// [`JudgeError::Lake`] if the lake cannot be listed.
    pub async fn from_now(lake: &Lake) -> Result<Scope, JudgeError> {
        let mut scope = Scope::since(Utc::now());
        for prefix in [RAW, CURATED] {
            let objects = lake.list(prefix, None).await?;
            scope
                .there
                .extend(objects.into_iter().map(|object| (object.key, object.size)));
        }
        Ok(scope)
    }

    /// The ledger's events alone: for a lake that others write to at the same time. Nothing can
    /// be called invented then.
    pub fn ledger_only(mut self) -> Scope {
        self.ledger_only = true;
        self
    }

    /// Whether all of the lake counts.
    pub(crate) fn is_everything(&self) -> bool {
        self.since.is_none() && !self.ledger_only
    }

    /// Whether the object may hold what counts. One that was replaced since may: its size differs.
    pub(crate) fn has_object(&self, object: &ObjectInfo) -> bool {
        self.there.get(&object.key) != Some(&object.size)
    }

    /// Whether an event that is not in the ledger is an invention.
    pub(crate) fn has_stranger(&self, received_at: Option<DateTime<Utc>>) -> bool {
        let late_enough = match (self.since, received_at) {
            (Some(since), Some(received_at)) => received_at >= since,
            _ => true,
        };
        late_enough && !self.ledger_only
    }
}
