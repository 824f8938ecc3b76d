//! Finds the raw objects that no commit has taken in.
//!
//! Keys sort by arrival hour, so most runs list the last 48 hours only. An object can still land in an older hour,
//! when a message waited in the queue or was replayed from the dead-letter queue: once a day, and in the first run,
//! all of `raw/` is listed.

use std::collections::BTreeSet;

use aws::{Lake, ObjectInfo};
use chrono::{DateTime, TimeDelta, Utc};
use contract::{Hour, RAW};
use lake::log::Log;

const WINDOW: TimeDelta = TimeDelta::hours(48);

const SWEEP_EVERY: TimeDelta = TimeDelta::hours(24);

/// The objects to take in, in the order of their keys. After a listing of all of `raw/`, which `everything` demands,
/// the log forgets the objects that no longer exist.
pub(crate) async fn discover(
    lake: &Lake,
    log: &mut Log,
    now: DateTime<Utc>,
    everything: bool,
) -> anyhow::Result<Vec<ObjectInfo>> {
    let sweep = everything || log.swept_at.is_none_or(|at| now - at >= SWEEP_EVERY);
    let after = (!sweep).then(|| format!("{RAW}{}", Hour::of(now - WINDOW)));
    let mut listed = lake.list(RAW, after.as_deref()).await?;
    if sweep {
        let keys = listed.iter().filter_map(|raw| raw.key.strip_prefix(RAW));
        let keys: BTreeSet<&str> = keys.collect();
        log.committed.retain(|key| keys.contains(key.as_str()));
        log.swept_at = Some(now);
    }
    listed.retain(|raw| raw.key.ends_with(".jsonl") && !log.has(&raw.key));
    Ok(listed)
}
