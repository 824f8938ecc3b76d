//! Values in memory up to a number of bytes. The one that was used longest ago goes first, and only for a value that
//! was looked for twice since: a question that is asked again and again, and reads a little more than fits, finds most
//! of it, where the plain rule would let each value go just before it is needed.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most keys of values that are not there, of which it is known when they were looked for.
const MOST_MISSED: usize = 64 * 1024;

/// A cache that threads share.
pub(crate) struct BoundedCache<K, V> {
    /// As metrics name the cache.
    name: &'static str,
    most_bytes: usize,
    /// What is left of `most_bytes` while others need memory.
    left_bytes: AtomicUsize,
    /// As in `entries`, for a look without the lock.
    bytes: AtomicUsize,
    entries: Mutex<Entries<K, V>>,
}

struct Entries<K, V> {
    by_key: HashMap<K, Entry<V>>,
    /// Keys in the order in which they were last used.
    by_use: BTreeMap<u64, K>,
    next_use: u64,
    bytes: usize,
    /// When a value that is not there was looked for the last time and the time before, on the count of `next_use`.
    missed: HashMap<K, (u64, Option<u64>)>,
}

struct Entry<V> {
    value: V,
    bytes: usize,
    last_use: u64,
}

impl<K: Hash + Eq + Clone, V: Clone> BoundedCache<K, V> {
    pub(crate) fn new(name: &'static str, most_bytes: usize) -> BoundedCache<K, V> {
        BoundedCache {
            name,
            most_bytes,
            left_bytes: AtomicUsize::new(most_bytes),
            bytes: AtomicUsize::new(0),
            entries: Mutex::new(Entries {
                by_key: HashMap::new(),
                by_use: BTreeMap::new(),
                next_use: 0,
                bytes: 0,
                missed: HashMap::new(),
            }),
        }
    }

    /// The value, which counts as used now.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let mut entries = self.entries();
        let Entries {
            by_key,
            by_use,
            next_use,
            missed,
            ..
        } = &mut *entries;
        let found = by_key.get_mut(key);
        let (name, outcome) = (self.name, if found.is_some() { "hit" } else { "miss" });
        metrics::counter!("headwater_query_cache_lookups_total", "cache" => name, "outcome" => outcome).increment(1);
        let Some(entry) = found else {
            if missed.len() >= MOST_MISSED {
                missed.clear();
            }
            let before = missed.get(key).map(|(last, _)| *last);
            missed.insert(key.clone(), (*next_use, before));
            *next_use += 1;
            return None;
        };
        if let Some(key) = by_use.remove(&entry.last_use) {
            by_use.insert(*next_use, key);
        }
        entry.last_use = *next_use;
        *next_use += 1;
        Some(entry.value.clone())
    }

    /// Keeps the value, which takes so many bytes, and lets go of others until all fit. It is not kept if others would
    /// have to go that were used since it was looked for the time before last.
    pub(crate) fn put(&self, key: K, value: V, bytes: usize) {
        let mut entries = self.entries();
        let most_bytes = self.left_bytes.load(Relaxed);
        if bytes > most_bytes {
            return;
        }
        entries.remove(&key);
        while entries.bytes + bytes > most_bytes {
            let oldest = entries.oldest();
            let Some(oldest) = oldest.filter(|oldest| entries.may_replace(oldest, &key)) else {
                return self.tell(&entries);
            };
            entries.remove(&oldest);
        }
        let last_use = entries.next_use;
        entries.next_use += 1;
        entries.bytes += bytes;
        entries.by_use.insert(last_use, key.clone());
        let entry = Entry {
            value,
            bytes,
            last_use,
        };
        entries.missed.remove(&key);
        entries.by_key.insert(key, entry);
        self.tell(&entries);
    }

    /// Leaves at most so many bytes to the values from now on, and lets go of those that were used longest ago until
    /// all fit.
    pub(crate) fn leave(&self, bytes: usize) {
        self.left_bytes.store(bytes.min(self.most_bytes), Relaxed);
        if self.bytes.load(Relaxed) <= bytes {
            return;
        }
        let mut entries = self.entries();
        while entries.bytes > bytes
            && let Some(oldest) = entries.oldest()
        {
            entries.remove(&oldest);
        }
        self.tell(&entries);
    }

    fn tell(&self, entries: &Entries<K, V>) {
        self.bytes.store(entries.bytes, Relaxed);
        metrics::gauge!("headwater_query_cache_bytes", "cache" => self.name)
            .set(entries.bytes as f64);
    }

    fn entries(&self) -> MutexGuard<'_, Entries<K, V>> {
        // Nothing that can panic runs while the lock is held.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq + Clone, V> Entries<K, V> {
    /// The key of the value that was used longest ago.
    fn oldest(&self) -> Option<K> {
        self.by_use.values().next().cloned()
    }

    /// Whether the value of `key` was looked for twice since `other` was used.
    fn may_replace(&self, other: &K, key: &K) -> bool {
        let last_use = self.by_key.get(other).map(|entry| entry.last_use);
        let before = self.missed.get(key).and_then(|(_, before)| *before);
        last_use < before
    }

    fn remove(&mut self, key: &K) {
        if let Some(entry) = self.by_key.remove(key) {
            self.by_use.remove(&entry.last_use);
            self.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_makes_room_for_what_is_looked_for_twice() {
        let cache = BoundedCache::new("test", 10);
        cache.put("a", 1, 4);
        cache.put("b", 2, 4);
        assert_eq!(cache.get(&"a"), Some(1));
        assert_eq!(cache.get(&"c"), None);
        cache.put("c", 3, 4);
        assert_eq!(cache.get(&"c"), None);
        cache.put("c", 3, 4);
        let found = ["a", "b", "c"].map(|key| cache.get(&key));
        assert_eq!(found, [Some(1), None, Some(3)]);
        for _ in 0..3 {
            assert_eq!(cache.get(&"d"), None);
            cache.put("d", 4, 11);
        }
        assert_eq!(cache.get(&"c"), Some(3));
        cache.put("c", 5, 6);
        assert_eq!((cache.get(&"a"), cache.get(&"c")), (Some(1), Some(5)));
        assert_eq!(cache.entries().bytes, 10);
    }

    #[test]
    fn what_others_need_is_left_and_had_again() {
        let cache = BoundedCache::new("test", 10);
        for key in ["a", "b", "c"] {
            cache.put(key, (), 3);
        }
        assert!(cache.get(&"a").is_some());
        cache.leave(6);
        let found = ["a", "b", "c"].map(|key| cache.get(&key).is_some());
        assert_eq!(found, [true, false, true]);
        assert_eq!(cache.entries().bytes, 6);
        for _ in 0..3 {
            assert_eq!(cache.get(&"d"), None);
            cache.put("d", (), 7);
        }
        cache.leave(0);
        assert_eq!(cache.entries().bytes, 0);
        cache.leave(20);
        cache.put("d", (), 11);
        assert_eq!(cache.get(&"d"), None);
        cache.put("d", (), 10);
        assert!(cache.get(&"d").is_some());
    }

    #[test]
    fn what_is_used_in_turn_and_does_not_fit_is_kept_in_part() {
        let cache = BoundedCache::new("test", 10);
        for turn in 0..4 {
            let mut found = 0;
            for key in 0..6 {
                if cache.get(&key).is_some() {
                    found += 1;
                } else {
                    cache.put(key, key, 2);
                }
            }
            assert_eq!(found, if turn == 0 { 0 } else { 5 });
        }
        // Other values than before, which fit.
        let found = |key| {
            cache.get(&key).is_some() || {
                cache.put(key, key, 2);
                false
            }
        };
        let turns: Vec<usize> = (0..3)
            .map(|_| (10..14).filter(|key| found(*key)).count())
            .collect();
        assert_eq!(turns, [0, 0, 4]);
    }
}
