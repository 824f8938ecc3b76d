//! Values in memory up to a number of bytes. The one that was used longest ago goes first, but none that was used a
//! moment ago: a question that is asked again and again, and reads a little more than fits, would else find nothing.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a value is kept after its last use, whatever else comes.
const KEPT: Duration = Duration::from_secs(60);

/// A cache that threads share.
pub(crate) struct BoundedCache<K, V> {
    /// As metrics name the cache.
    name: &'static str,
    most_bytes: usize,
    entries: Mutex<Entries<K, V>>,
}

struct Entries<K, V> {
    by_key: HashMap<K, Entry<V>>,
    /// Keys in the order in which they were last used.
    by_use: BTreeMap<u64, K>,
    next_use: u64,
    bytes: usize,
}

struct Entry<V> {
    value: V,
    bytes: usize,
    last_use: u64,
    used_at: Instant,
}

impl<K: Hash + Eq + Clone, V: Clone> BoundedCache<K, V> {
    pub(crate) fn new(name: &'static str, most_bytes: usize) -> BoundedCache<K, V> {
        BoundedCache {
            name,
            most_bytes,
            entries: Mutex::new(Entries {
                by_key: HashMap::new(),
                by_use: BTreeMap::new(),
                next_use: 0,
                bytes: 0,
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
            ..
        } = &mut *entries;
        let found = by_key.get_mut(key);
        let (name, outcome) = (self.name, if found.is_some() { "hit" } else { "miss" });
        metrics::counter!("headwater_query_cache_lookups_total", "cache" => name, "outcome" => outcome).increment(1);
        let entry = found?;
        if let Some(key) = by_use.remove(&entry.last_use) {
            by_use.insert(*next_use, key);
        }
        entry.last_use = *next_use;
        entry.used_at = Instant::now();
        *next_use += 1;
        Some(entry.value.clone())
    }

    /// Keeps the value, which takes so many bytes, and lets go of others until all fit. It is not kept if others would
    /// have to go that were used less than [`KEPT`] ago.
    pub(crate) fn put(&self, key: K, value: V, bytes: usize) {
        if bytes > self.most_bytes {
            return;
        }
        let mut entries = self.entries();
        entries.remove(&key);
        while entries.bytes + bytes > self.most_bytes {
            let oldest = entries.by_use.values().next().cloned();
            let Some(oldest) = oldest.filter(|oldest| !entries.is_kept(oldest)) else {
                return;
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
            used_at: Instant::now(),
        };
        entries.by_key.insert(key, entry);
        metrics::gauge!("headwater_query_cache_bytes", "cache" => self.name)
            .set(entries.bytes as f64);
    }

    fn entries(&self) -> MutexGuard<'_, Entries<K, V>> {
        // Nothing that can panic runs while the lock is held.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq, V> Entries<K, V> {
    fn is_kept(&self, key: &K) -> bool {
        let entry = self.by_key.get(key);
        entry.is_some_and(|entry| entry.used_at.elapsed() < KEPT)
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
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_used_longest_ago_makes_room() {
        let cache = BoundedCache::new("test", 10);
        cache.put("a", 1, 4);
        cache.put("b", 2, 4);
        advance(KEPT).await;
        assert_eq!(cache.get(&"a"), Some(1));
        cache.put("c", 3, 4);
        let found = ["a", "b", "c"].map(|key| cache.get(&key));
        assert_eq!(found, [Some(1), None, Some(3)]);
        cache.put("d", 4, 11);
        assert_eq!((cache.get(&"d"), cache.get(&"c")), (None, Some(3)));
        advance(KEPT).await;
        cache.put("c", 5, 9);
        assert_eq!((cache.get(&"a"), cache.get(&"c")), (None, Some(5)));
        assert_eq!(cache.entries().bytes, 9);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_used_in_turn_and_does_not_fit_is_kept_in_part() {
        let cache = BoundedCache::new("test", 10);
        for turn in 0..3 {
            let found = (0..6).filter(|key| cache.get(key).is_some()).count();
            assert_eq!(found, if turn == 0 { 0 } else { 5 });
            (0..6).for_each(|key| cache.put(key, key, 2));
            advance(KEPT / 2).await;
        }
    }
}
