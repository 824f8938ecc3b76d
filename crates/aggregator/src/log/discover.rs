//! Finds the raw objects that no commit has taken in.
//!
//! Keys sort by arrival hour, so a listing of the last hours costs what is new, however much is
//! there. An object can still land in an older hour, when a message waited in the queue or was
//! replayed from the dead-letter queue: once a day, and at the first run, all of `raw/` is listed.

use std::collections::BTreeSet;

use aws::{Lake, ObjectInfo};
use chrono::{DateTime, TimeDelta, Utc};
use contract::{Hour, RAW};

use lake::log::commits::Log;

/// How far back the listing of every run goes.
const WINDOW: TimeDelta = TimeDelta::hours(48);

/// How often all of `raw/` is listed.
const SWEEP_EVERY: TimeDelta = TimeDelta::hours(24);

/// The objects to take in, in the order of their keys.
pub(crate) async fn discover(
    lake: &Lake,
    log: &mut Log,
    now: DateTime<Utc>,
    everything: bool,
) -> anyhow::Result<Vec<ObjectInfo>> {
    let sweep = everything || log.swept_at.is_none_or(|at| now - at >= SWEEP_EVERY);
    let after = (!sweep).then(|| format!("{RAW}{}", Hour::of(now - WINDOW)));
    let listed = lake.list(RAW, after.as_deref()).await?;
    if sweep {
        let names: BTreeSet<&str> = listed
            .iter()
            .filter_map(|object| object.key.strip_prefix(RAW))
            .collect();
        log.swept(&names, now);
    }
    Ok(listed
        .into_iter()
        .filter(|object| object.key.ends_with(".jsonl") && !log.has(&object.key))
        .collect())
}
