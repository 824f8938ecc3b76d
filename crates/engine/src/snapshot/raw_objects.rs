//! Which objects of `raw/` no commit names: what to list, and what was found and waits to be read.
//!
//! Names of parts go by arrival, so most looks list from a little before the newest name. What landed later than its
//! name says is found by the sweeps, as the aggregator does it too.

use std::collections::BTreeMap;

use aws::{Lake, ObjectInfo};
use chrono::{DateTime, TimeDelta, Utc};
use contract::{Hour, RAW, raw_arrival_of, raw_key, raw_part_name};
use lake::ReadError;
use lake::log::{HashedNames, Log, older_names};

use crate::snapshot::hot::Hot;
use crate::snapshot::settings::SnapshotSettings;

/// Most objects that wait to be read, some 150 bytes each; past it no further ones are looked for.
const MAX_WAITING: usize = 200_000;

/// How much later than its name says an object may land and be found by the aggregator's next run, as
/// `aggregator::log::discover` has it: no uncommitted object sorts earlier than this before the newest committed one,
/// except those that landed late.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);

/// How much is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// From a little before this arrival.
    From(DateTime<Utc>),
    /// From the start of the hour of this time.
    Hours(DateTime<Utc>),
    /// All.
    All,
}

/// Objects that were found and that no commit names.
#[derive(Debug, Default)]
pub(super) struct RawObjects {
    /// By key.
    waiting: BTreeMap<String, ObjectInfo>,
    /// The latest arrival that a name tells.
    newest: Option<DateTime<Utc>>,
    swept: Option<DateTime<Utc>>,
    looked_back: Option<DateTime<Utc>>,
}

/// A listing that has ended.
#[derive(Debug)]
pub(super) struct Looked {
    /// The keys that it gave sort after this text; all keys if there is none.
    pub(super) after: Option<String>,
}

impl RawObjects {
    /// Lists what is due. None if too much waits already.
    pub(super) async fn look(
        &mut self,
        lake: &Lake,
        (log, hot): (&Log, &Hot),
        settings: &SnapshotSettings,
        now: DateTime<Utc>,
    ) -> Result<Option<Looked>, ReadError> {
        if self.waiting.len() >= MAX_WAITING {
            return Ok(None);
        }
        self.newest = self.newest.max(log.newest);
        let look = self.due(settings, now);
        let after = match look {
            Look::From(time) => Some(raw_key(Hour::of(time), raw_part_name(time, 0))),
            Look::Hours(time) => Some(format!("{RAW}{}", Hour::of(time))),
            Look::All => None,
        };
        let older = if look == Look::All {
            older_names(lake).await?.0
        } else {
            HashedNames::default()
        };
        // `self.newest` moves when the listing has ended: a listing that failed or was dropped must be made again.
        let (mut found, mut newest) = (Vec::new(), self.newest);
        let waiting = &self.waiting;
        let each = |object: ObjectInfo| {
            let Some(name) = object.key.strip_prefix(RAW) else {
                return;
            };
            if !name.ends_with(".jsonl") || Hour::parse(name).is_none() {
                return;
            }
            newest = newest.max(raw_arrival_of(&object.key));
            let is_known = log.has(&object.key)
                || older.contains(name)
                || hot.has(&object.key)
                || waiting.contains_key(&object.key);
            if !is_known {
                found.push(object);
            }
        };
        lake.list_each(RAW, after.as_deref(), each).await?;
        self.newest = newest;
        let found = found.into_iter().map(|object| (object.key.clone(), object));
        self.waiting.extend(found);
        if !matches!(look, Look::From(_)) {
            self.swept = Some(now);
        }
        if self.reaches_back(look, settings, now) {
            self.looked_back = Some(now);
        }
        Ok(Some(Looked { after }))
    }

    fn due(&self, settings: &SnapshotSettings, now: DateTime<Utc>) -> Look {
        // A clock that was set back must not put a sweep off.
        let is_due =
            |at: Option<DateTime<Utc>>, every| at.is_none_or(|at| now < at || now - at >= every);
        let back = now - settings.look_back;
        // A name from the future, by a clock that is wrong, does not move the start past now.
        let newest = self.newest.map(|newest| newest.min(now));
        let usual = newest.map(|newest| (newest - settings.overlap).max(back));
        if self.looked_back.is_none() && newest.is_none_or(|newest| newest - OVERLAP < back) {
            // What no commit names may be of any age: the aggregator has never run, or not for two days.
            Look::All
        } else if is_due(self.looked_back, settings.look_back_every) {
            Look::Hours(back)
        } else if is_due(self.swept, settings.sweep_every) {
            let sweep = now - settings.sweep;
            Look::Hours(usual.map_or(sweep, |usual| usual.min(sweep)))
        } else {
            Look::From(usual.unwrap_or(back))
        }
    }

    fn reaches_back(&self, look: Look, settings: &SnapshotSettings, now: DateTime<Utc>) -> bool {
        match look {
            Look::All => true,
            Look::Hours(from) => from <= now - settings.look_back,
            Look::From(_) => false,
        }
    }

    /// The first objects that wait, in the order of their keys, whose bytes fit into `room`; at most `max_bytes`, but
    /// one at least if it fits.
    pub(super) fn next(&self, room: u64, max_bytes: u64) -> Vec<ObjectInfo> {
        let mut next: Vec<ObjectInfo> = Vec::new();
        let mut bytes = 0;
        for object in self.waiting.values() {
            bytes += object.size;
            if bytes > room || (bytes > max_bytes && !next.is_empty()) {
                break;
            }
            next.push(object.clone());
        }
        next
    }

    /// The object is there, and no commit names it: a listing of what is new need not show it.
    pub(super) fn expect(&mut self, key: &str, bytes: u64) {
        let object = || ObjectInfo {
            key: key.to_owned(),
            size: bytes,
            etag: String::new(),
            last_modified: None,
        };
        self.waiting.entry(key.to_owned()).or_insert_with(object);
    }

    /// The object was read, or is gone, or a commit names it.
    pub(super) fn remove(&mut self, key: &str) {
        self.waiting.remove(key);
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_listed_each_time_and_what_came_late_now_and_then() {
        let settings = SnapshotSettings::default();
        let now: DateTime<Utc> = "2026-11-21T12:00:30Z".parse().unwrap();
        let (second, minute) = (TimeDelta::seconds(1), TimeDelta::minutes(1));
        let mut raw = RawObjects::default();
        assert_eq!(raw.due(&settings, now), Look::All);
        raw.newest = Some(now - TimeDelta::hours(49));
        assert_eq!(raw.due(&settings, now), Look::All);
        raw.newest = Some(now - minute);
        let back = Look::Hours(now - TimeDelta::hours(48));
        assert_eq!(raw.due(&settings, now), back);
        assert!(raw.reaches_back(back, &settings, now));
        (raw.looked_back, raw.swept) = (Some(now), Some(now));
        let usual = Look::From(now - minute * 6);
        assert_eq!(raw.due(&settings, now + second), usual);
        let sweep = Look::Hours(now + minute - TimeDelta::hours(2));
        assert_eq!(raw.due(&settings, now + minute), sweep);
        assert!(!raw.reaches_back(sweep, &settings, now));
        assert_eq!(
            raw.due(&settings, now - second),
            Look::Hours(now - second - TimeDelta::hours(48))
        );
        raw.newest = Some(now + TimeDelta::days(9));
        assert_eq!(
            raw.due(&settings, now + second),
            Look::From(now + second - minute * 5)
        );
        raw.newest = None;
        assert_eq!(
            raw.due(&settings, now + second),
            Look::From(now + second - TimeDelta::hours(48))
        );
    }
}
