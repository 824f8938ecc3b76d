//! Finds the raw objects that no commit has taken in.
//!
//! Parts are named in the order in which their events arrived, so most runs list from a little before the newest part
//! that is committed. An object can land later than its name says, when a message waited in the queue or was replayed
//! from the dead-letter queue, and parts of older releases have names in no order: once an hour the last 48 hours are
//! listed, and once a day, and in the first run, all of `raw/`.

use anyhow::Context;
use aws::{Condition, Lake, ObjectInfo, PutOutcome};
use chrono::{DateTime, TimeDelta, Utc};
use contract::{Hour, RAW, raw_arrival_of, raw_hour_of, raw_key, raw_part_name};
use lake::key::OLDER;
use lake::log::{HashedNames, Log, older_names};

use crate::planted_defects;
use crate::put::put;

/// How much later than its name says an object may land and be found by the next run. A batch is written within
/// seconds after its first event arrived, or, if its write fails, once its messages reappear.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);

/// How far back from now the hourly listing of `raw/` reaches, which finds the objects that came out of order.
pub const LOOK_BACK: TimeDelta = TimeDelta::hours(48);

const LOOK_BACK_EVERY: TimeDelta = TimeDelta::hours(1);

const SWEEP_EVERY: TimeDelta = TimeDelta::hours(24);

/// Age of an arrival hour from which on the checkpoint need not name its objects: past the window by a day, so that a
/// clock that is slow names no object twice.
const NAMED: TimeDelta = TimeDelta::hours(72);

/// An object to take in.
pub(crate) struct Found {
    pub(crate) key: String,
    pub(crate) size: u64,
}

impl Found {
    /// When the first event of the object arrived, as far as its key tells: at the start of its hour, or always.
    pub(crate) fn arrived(&self) -> DateTime<Utc> {
        let hour = || raw_hour_of(&self.key).map(Hour::start);
        let arrived = raw_arrival_of(&self.key).or_else(hour);
        arrived.unwrap_or_default()
    }
}

/// How much of `raw/` is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// From a little before this arrival.
    From(DateTime<Utc>),
    /// The last 48 hours.
    Back,
    /// All.
    All,
}

fn look(log: &Log, now: DateTime<Utc>, everything: bool) -> Look {
    let is_due =
        |at: Option<DateTime<Utc>>, every| at.is_none_or(|at| now - at >= every || at > now);
    let newest = log.newest.map(|newest| newest.min(now));
    match newest {
        Some(newest) if planted_defects::trust_name_order() && !everything => Look::From(newest),
        _ if everything || is_due(log.swept_at, SWEEP_EVERY) => Look::All,
        Some(newest) if !is_due(log.looked_back_at, LOOK_BACK_EVERY) => Look::From(newest),
        _ => Look::Back,
    }
}

/// The objects to take in, in the order of their keys. After a listing of all of `raw/`, which `everything` demands,
/// the log forgets the objects that no longer exist.
pub(crate) async fn discover(
    lake: &Lake,
    log: &mut Log,
    now: DateTime<Utc>,
    everything: bool,
) -> anyhow::Result<Vec<Found>> {
    let look = look(log, now, everything);
    let after = match look {
        Look::From(newest) => {
            let start = newest - OVERLAP;
            Some(raw_key(Hour::of(start), raw_part_name(start, 0)))
        }
        Look::Back => Some(format!("{RAW}{}", Hour::of(now - LOOK_BACK))),
        Look::All => None,
    };
    let older = match look {
        Look::All => Some(older_names(lake).await?),
        _ => None,
    };
    let mut found = Vec::new();
    let mut seen: Vec<u64> = Vec::new();
    let each = |raw: ObjectInfo| {
        let Some(name) = raw.key.strip_prefix(RAW) else {
            return;
        };
        if older.is_some() {
            seen.push(HashedNames::hash(name));
        }
        let is_older = |(older, _): &(HashedNames, _)| older.contains(name);
        if name.ends_with(".jsonl")
            && !log.committed.contains(name)
            && !older.as_ref().is_some_and(is_older)
        {
            found.push(Found {
                key: raw.key,
                size: raw.size,
            });
        }
    };
    lake.list_each(RAW, after.as_deref(), each).await?;
    if let Some(older) = older {
        let seen = HashedNames::of_hashes(seen);
        forget(lake, log, older, &seen, now).await?;
        log.swept_at = Some(now);
    }
    if !matches!(look, Look::From(_)) {
        log.looked_back_at = Some(now);
    }
    Ok(found)
}

/// Forgets the objects that are not among `seen`, which names all that exist, and moves the names of old ones out of
/// the checkpoint.
async fn forget(
    lake: &Lake,
    log: &mut Log,
    (mut older, etag): (HashedNames, Option<String>),
    seen: &HashedNames,
    now: DateTime<Utc>,
) -> anyhow::Result<()> {
    log.committed.retain(|name| seen.contains(name));
    let mut named = log.committed.clone();
    let before = older.len();
    older.retain(seen);
    let gone = before > older.len();
    let moved = named.take_before(&Hour::of(now - NAMED).to_string());
    if moved.is_empty() && !gone {
        return Ok(());
    }
    older.merge(moved);
    let condition = etag.map_or(Condition::IfAbsent, Condition::IfMatch);
    let stored = put(lake, OLDER, older.to_bytes(), None, condition).await;
    // If another run was first, the checkpoint goes on naming the old ones until the next time.
    if stored.context("cannot store the names of old raw objects")? != PutOutcome::ConditionFailed {
        log.committed = named;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_lists_what_is_new_the_last_days_each_hour_and_all_each_day() {
        let now: DateTime<Utc> = "2026-11-21T12:00:00Z".parse().unwrap();
        let mut log = Log::default();
        assert_eq!(look(&log, now, false), Look::All);
        let minute = TimeDelta::minutes(1);
        (log.swept_at, log.looked_back_at) = (Some(now), Some(now));
        assert_eq!(
            look(&log, now + minute, false),
            Look::Back,
            "no name tells an arrival"
        );
        log.newest = Some(now - minute);
        assert_eq!(look(&log, now + minute, false), Look::From(now - minute));
        assert_eq!(look(&log, now + minute, true), Look::All);
        log.newest = Some(now + TimeDelta::days(9));
        assert_eq!(look(&log, now + minute, false), Look::From(now + minute));
        assert_eq!(look(&log, now + LOOK_BACK_EVERY, false), Look::Back);
        assert_eq!(look(&log, now + SWEEP_EVERY, false), Look::All);
        assert_eq!(
            look(&log, now - minute, false),
            Look::All,
            "a clock was set back"
        );
    }
}
