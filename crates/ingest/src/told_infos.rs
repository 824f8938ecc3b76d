//! What was told of metrics today.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::NaiveDate;
use protocols::Info;

/// Most infos that are remembered, in about a megabyte. Past it all are forgotten, and each is told once more: none is
/// lost, and whoever sends many names keeps nobody else's from being told.
const MAX_TOLD: usize = 65_536;

/// Remembers what the queue has of a day's infos. Each comes with every export, and is sent on once a day.
#[derive(Debug, Default)]
pub(crate) struct ToldInfos {
    hasher: RandomState,
    today: Mutex<Today>,
}

#[derive(Debug, Default)]
struct Today {
    day: NaiveDate,
    hashes: HashSet<u64>,
}

impl ToldInfos {
    /// What an info is known by.
    pub(crate) fn hash(&self, info: &Info<'_>) -> u64 {
        self.hasher.hash_one(info)
    }

    /// Whether the queue has it.
    pub(crate) fn has(&self, day: NaiveDate, hash: u64) -> bool {
        self.of(day).hashes.contains(&hash)
    }

    /// The queue has these.
    pub(crate) fn add(&self, day: NaiveDate, hashes: &HashSet<u64>) {
        if hashes.is_empty() {
            return;
        }
        let mut today = self.of(day);
        if today.hashes.len() + hashes.len() > MAX_TOLD {
            today.hashes.clear();
        }
        today.hashes.extend(hashes);
    }

    /// Those of the day. At its turn requests of both days may come, and the infos of some be told again.
    fn of(&self, day: NaiveDate) -> MutexGuard<'_, Today> {
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        if today.day != day {
            today.hashes.clear();
            today.day = day;
        }
        today
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_known_until_the_day_turns_or_too_much_is() {
        let told = ToldInfos::default();
        let first = NaiveDate::default();
        let second = first.succ_opt().unwrap();
        assert!(!told.has(first, 7));
        told.add(first, &HashSet::from([7]));
        assert!(told.has(first, 7) && !told.has(second, 7));
        assert!(!told.has(first, 7), "a day that is over is another one");
        for hash in 0..MAX_TOLD as u64 {
            told.add(second, &HashSet::from([hash]));
        }
        assert!(told.has(second, 0) && told.has(second, 65_535));
        told.add(second, &HashSet::from([65_536]));
        assert!(told.has(second, 65_536) && !told.has(second, 0));
    }
}
