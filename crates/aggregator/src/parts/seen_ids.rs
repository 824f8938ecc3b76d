//! Ids of the parts that this process has written or read, so that it need not read these parts again (ADR 0011).
//!
//! A commit drops events whose ids stand in earlier parts of their hour. With this memory the cost of a commit is one
//! look-up for each new id, and a read of the earlier parts that another process wrote, or that seem to have an id in
//! common with the new events. The result does not depend on the memory: a listed part that is not in it is read, and
//! a part that was replaced has another ETag, so it counts as unseen.

use std::collections::{BTreeSet, HashMap};

use contract::Hour;
use hashbrown::HashTable;

/// Most memory for the ids, in bytes. Tables double as they grow, so one hour alone holds at most 1,835,008 ids: 7/8
/// of 2^21 slots of 9 bytes. One id more takes 2^22 slots, which is past the bound, and the hour is forgotten.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// Low bits of an entry that name the part; the other 52 bits are those of the id's hash.
const PART_BITS: u32 = 12;
const PART: u64 = (1 << PART_BITS) - 1;

/// Ids by kind and event hour.
#[derive(Default)]
pub(crate) struct SeenIds {
    hours: HashMap<(String, Hour), HourIds>,
    /// Counts the uses of any hour.
    clock: u64,
}

/// The ids of an hour's parts.
#[derive(Default)]
struct HourIds {
    /// Key and ETag of the parts whose ids are in `entries`.
    parts: Vec<(String, String)>,
    entries: HashTable<u64>,
    /// Value of the clock when the hour was last used.
    last_used: u64,
}

impl HourIds {
    fn bytes(&self) -> usize {
        self.entries.allocation_size()
    }
}

/// Hash of an entry in the table, from the bits of the id's hash alone. hashbrown picks a slot by the low bits and
/// compares the high bits, so both must come from these.
fn spread(entry: u64) -> u64 {
    entry >> PART_BITS | entry & (PART << (64 - PART_BITS))
}

/// Which of an hour's parts a commit must read.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct ToRead {
    /// Key and ETag of parts whose ids are not in memory.
    pub(crate) unseen: Vec<(String, String)>,
    /// Keys of parts in memory that seem to have an id in common with the new events.
    pub(crate) common: Vec<String>,
}

impl SeenIds {
    /// Which of the hour's earlier `parts` (key and ETag) must be read for new ids with these hashes.
    pub(crate) fn parts_to_read(
        &mut self,
        kind: &str,
        hour: Hour,
        parts: &[(String, String)],
        hashes: impl Iterator<Item = u64>,
    ) -> ToRead {
        self.clock += 1;
        let at = (kind.to_owned(), hour);
        let Some(seen) = self.hours.get_mut(&at) else {
            return ToRead {
                unseen: parts.to_vec(),
                common: Vec::new(),
            };
        };
        seen.last_used = self.clock;
        let unseen = parts.iter().filter(|part| !seen.parts.contains(part));
        let unseen = unseen.cloned().collect();
        // 52 bits may agree by chance: whoever reads the part compares the ids themselves.
        let mut common = BTreeSet::new();
        for hash in hashes {
            let entries = seen.entries.iter_hash(spread(hash));
            let same = entries.filter(|entry| (*entry ^ hash) & !PART == 0);
            common.extend(same.map(|entry| entry & PART));
        }
        let is_common = |at: usize| common.contains(&(at as u64 & PART));
        let common = seen.parts.iter().enumerate();
        let common = common.filter(|(at, part)| is_common(*at) && parts.contains(part));
        ToRead {
            unseen,
            common: common.map(|(_, (key, _))| key.clone()).collect(),
        }
    }

    /// Adds the ids of a part. Without an ETag the part could not be told from its replacement: it is not added.
    pub(crate) fn add(
        &mut self,
        kind: &str,
        hour: Hour,
        (key, etag): (&str, &str),
        hashes: impl Iterator<Item = u64>,
    ) {
        if etag.is_empty() {
            return;
        }
        self.clock += 1;
        let seen = self.hours.entry((kind.to_owned(), hour)).or_default();
        seen.last_used = self.clock;
        if seen.parts.iter().any(|(k, e)| k == key && e == etag) {
            return;
        }
        let part = seen.parts.len() as u64 & PART;
        seen.parts.push((key.to_owned(), etag.to_owned()));
        for hash in hashes {
            let (entries, entry) = (&mut seen.entries, hash & !PART | part);
            entries.insert_unique(spread(hash), entry, |entry| spread(*entry));
        }
        self.forget();
    }

    /// Forgets the least recently used hours until the rest is within [`MAX_BYTES`].
    fn forget(&mut self) {
        let mut bytes: usize = self.hours.values().map(HourIds::bytes).sum();
        while bytes > MAX_BYTES {
            let oldest = self.hours.iter().min_by_key(|(_, ids)| ids.last_used);
            let Some(at) = oldest.map(|(at, _)| at.clone()) else {
                return;
            };
            bytes -= self.hours.remove(&at).map_or(0, |ids| ids.bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(key: &str, etag: &str) -> (String, String) {
        (key.to_owned(), etag.to_owned())
    }

    fn hour() -> Hour {
        Hour::of("2026-11-20T12:00:00Z".parse().unwrap())
    }

    fn hashes(from: u64, count: u64) -> impl Iterator<Item = u64> {
        (from..from + count).map(|id| lake::rows::id_hash(&id.to_string()))
    }

    #[test]
    fn a_seen_part_is_read_only_where_it_has_an_id_in_common() {
        let mut seen = SeenIds::default();
        seen.add("k", hour(), ("a", "1"), hashes(0, 1000));
        seen.add("k", hour(), ("b", "2"), hashes(1000, 1000));
        let parts = [part("a", "1"), part("b", "2"), part("c", "3")];
        let new = seen.parts_to_read("k", hour(), &parts, hashes(5000, 100));
        assert_eq!((new.unseen, new.common), (vec![part("c", "3")], vec![]));
        let repeated = seen.parts_to_read("k", hour(), &parts, hashes(1999, 100));
        assert_eq!(repeated.common, ["b"]);
        let other_kind = seen.parts_to_read("x", hour(), &parts, hashes(0, 1));
        assert_eq!((other_kind.unseen.len(), other_kind.common.len()), (3, 0));
    }

    #[test]
    fn a_part_that_was_replaced_is_read_again() {
        let mut seen = SeenIds::default();
        seen.add("k", hour(), ("a", "1"), hashes(0, 10));
        let found = seen.parts_to_read("k", hour(), &[part("a", "2")], hashes(0, 10));
        assert_eq!((found.unseen, found.common), (vec![part("a", "2")], vec![]));
        seen.add("k", hour(), ("a", "2"), hashes(20, 10));
        let found = seen.parts_to_read("k", hour(), &[part("a", "2")], hashes(0, 10));
        assert_eq!(found, ToRead::default());
    }

    #[test]
    fn hours_used_longest_ago_are_forgotten_first() {
        let mut seen = SeenIds::default();
        let mut at = hour();
        for _ in 0..40 {
            seen.add("k", at, ("a", "1"), hashes(0, 100_000));
            at = at.next();
        }
        let bytes: usize = seen.hours.values().map(HourIds::bytes).sum();
        assert!(bytes <= MAX_BYTES && bytes > MAX_BYTES / 2, "{bytes}");
        let first = seen.parts_to_read("k", hour(), &[part("a", "1")], hashes(0, 1));
        assert_eq!(first.unseen.len(), 1);
    }
}
