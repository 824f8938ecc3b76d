//! Ids of the parts that this process has written or read, so that it need not read them again.
//!
//! A commit drops events whose ids stand in earlier parts of their hour. What it costs to find
//! out grows with what is new: a look-up for each new id, and a read of those earlier parts alone
//! that another process wrote, or that have an id in common with the new events (ADR 0011).
//!
//! Nothing rests on this memory: a part that is listed and not known here is read, and one that
//! was replaced has another ETag and is not known.

use std::collections::{BTreeSet, HashMap};

use contract::Hour;
use hashbrown::HashTable;

/// Most memory that the ids take, in bytes: about three million of them.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// Low bits of an entry that say which part the id stands in; the others are of its hash.
const PART_BITS: u32 = 12;
const PART: u64 = (1 << PART_BITS) - 1;

/// What is known, by kind and event hour.
#[derive(Default)]
pub(crate) struct KnownIds {
    hours: HashMap<(String, Hour), HourIds>,
    used: u64,
}

/// The ids of an hour's parts.
#[derive(Default)]
struct HourIds {
    /// Key and ETag of the parts whose ids are known.
    parts: Vec<(String, String)>,
    entries: HashTable<u64>,
    last_used: u64,
}

impl HourIds {
    fn bytes(&self) -> usize {
        self.entries.allocation_size()
    }

    fn add(&mut self, key: &str, etag: &str, hashes: impl Iterator<Item = u64>) {
        let part = self.parts.len() as u64 & PART;
        self.parts.push((key.to_owned(), etag.to_owned()));
        for hash in hashes {
            let entry = hash & !PART | part;
            self.entries
                .insert_unique(spread(hash), entry, |entry| spread(*entry));
        }
    }
}

/// The table's hash of an entry: of its id's hash alone. The table takes a slot by the low bits
/// and tells slots apart by the high ones.
fn spread(entry: u64) -> u64 {
    entry >> PART_BITS | entry & (PART << (64 - PART_BITS))
}

/// Which of an hour's parts a commit must read.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct ToRead {
    /// Parts whose ids are not known, with their ETags.
    pub(crate) unknown: Vec<(String, String)>,
    /// Known parts that have an id in common with the new events.
    pub(crate) common: Vec<String>,
}

impl KnownIds {
    /// Which of the hour's earlier `parts` (key and ETag) must be read for new ids of these hashes.
    pub(crate) fn parts_to_read(
        &mut self,
        kind: &str,
        hour: Hour,
        parts: &[(String, String)],
        hashes: impl Iterator<Item = u64>,
    ) -> ToRead {
        self.used += 1;
        let at = (kind.to_owned(), hour);
        let Some(known) = self.hours.get_mut(&at) else {
            let unknown = parts.to_vec();
            let common = Vec::new();
            return ToRead { unknown, common };
        };
        known.last_used = self.used;
        let unknown: Vec<_> = parts
            .iter()
            .filter(|part| !known.parts.contains(part))
            .cloned()
            .collect();
        // Two hashes may look alike, and a part known here may be gone: the part itself tells.
        let mut common = BTreeSet::new();
        for hash in hashes {
            let entries = known.entries.iter_hash(spread(hash));
            common.extend(
                entries
                    .filter(|entry| (*entry ^ hash) & !PART == 0)
                    .map(|entry| entry & PART),
            );
        }
        let common = known
            .parts
            .iter()
            .enumerate()
            .filter(|(at, part)| common.contains(&(*at as u64 & PART)) && parts.contains(part))
            .map(|(_, (key, _))| key.clone())
            .collect();
        ToRead { unknown, common }
    }

    /// Notes the ids of a part.
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
        self.used += 1;
        let known = self.hours.entry((kind.to_owned(), hour)).or_default();
        known.last_used = self.used;
        if known.parts.iter().any(|(k, e)| k == key && e == etag) {
            return;
        }
        known.add(key, etag, hashes);
        self.forget();
    }

    /// Forgets the hours that were used longest ago, until the rest is within bounds.
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
        (from..from + count).map(|id| lake::rows::ids::hash(&id.to_string()))
    }

    #[test]
    fn a_known_part_is_read_only_where_it_has_an_id_in_common() {
        let mut known = KnownIds::default();
        known.add("k", hour(), ("a", "1"), hashes(0, 1000));
        known.add("k", hour(), ("b", "2"), hashes(1000, 1000));
        let parts = [part("a", "1"), part("b", "2"), part("c", "3")];
        let new = known.parts_to_read("k", hour(), &parts, hashes(5000, 100));
        assert_eq!((new.unknown, new.common), (vec![part("c", "3")], vec![]));
        let repeated = known.parts_to_read("k", hour(), &parts, hashes(1999, 100));
        assert_eq!(repeated.common, ["b"]);
        let other_kind = known.parts_to_read("x", hour(), &parts, hashes(0, 1));
        assert_eq!((other_kind.unknown.len(), other_kind.common.len()), (3, 0));
    }

    #[test]
    fn a_part_that_was_replaced_is_read_anew() {
        let mut known = KnownIds::default();
        known.add("k", hour(), ("a", "1"), hashes(0, 10));
        let found = known.parts_to_read("k", hour(), &[part("a", "2")], hashes(0, 10));
        assert_eq!(
            (found.unknown, found.common),
            (vec![part("a", "2")], vec![])
        );
        known.add("k", hour(), ("a", "2"), hashes(20, 10));
        let found = known.parts_to_read("k", hour(), &[part("a", "2")], hashes(0, 10));
        assert_eq!(found, ToRead::default());
    }

    #[test]
    fn hours_used_longest_ago_are_forgotten_first() {
        let mut known = KnownIds::default();
        let mut at = hour();
        for _ in 0..40 {
            known.add("k", at, ("a", "1"), hashes(0, 100_000));
            at = at.next();
        }
        let bytes: usize = known.hours.values().map(HourIds::bytes).sum();
        assert!(bytes <= MAX_BYTES && bytes > MAX_BYTES / 2, "{bytes}");
        let first = known.parts_to_read("k", hour(), &[part("a", "1")], hashes(0, 1));
        assert_eq!(first.unknown.len(), 1);
    }
}
