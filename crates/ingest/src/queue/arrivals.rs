//! Requests on their way to a group: the number of bodies of each key that are being read, so that a group may wait for
//! them.
//!
//! No key waits for the bodies of another, which may be many, and large, and hold no good event.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

#[derive(Default)]
pub(crate) struct Arrivals {
    /// Keys, by their numbers, that have any.
    by_key: Mutex<HashMap<u64, usize>>,
    /// Told when the last one of a key has arrived or was given up.
    pub(crate) none_left: Notify,
}

impl Arrivals {
    /// Whether there are more of each of these keys.
    pub(crate) fn has_each(&self, keys: impl Iterator<Item = u64>) -> bool {
        let by_key = self.lock();
        let mut keys = keys.peekable();
        keys.peek().is_some() && keys.all(|key| by_key.contains_key(&key))
    }

    /// How many there are of these keys.
    pub(crate) fn count(&self, keys: impl Iterator<Item = u64>) -> usize {
        let keys: HashSet<u64> = keys.collect();
        let by_key = self.lock();
        let counts = keys.iter().filter_map(|key| by_key.get(key));
        counts.sum()
    }

    /// Counts one more of the key, until the guard is dropped.
    pub(crate) fn one_more(self: &Arc<Arrivals>, key: u64) -> Arriving {
        *self.lock().entry(key).or_default() += 1;
        Arriving {
            arrivals: Some(self.clone()),
            key,
        }
    }

    fn one_less(&self, key: u64) {
        let mut by_key = self.lock();
        let Some(count) = by_key.get_mut(&key) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            by_key.remove(&key);
            drop(by_key);
            self.none_left.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, usize>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request that is being read.
pub(crate) struct Arriving {
    /// None once it was given up.
    arrivals: Option<Arc<Arrivals>>,
    /// Number of its key.
    pub(crate) key: u64,
}

impl Arriving {
    /// No group waits for this request any longer.
    pub(crate) fn give_up(&mut self) {
        if let Some(arrivals) = self.arrivals.take() {
            arrivals.one_less(self.key);
        }
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.give_up();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own() {
        let arrivals = Arc::new(Arrivals::default());
        let (mut first, _second, other) = (
            arrivals.one_more(1),
            arrivals.one_more(1),
            arrivals.one_more(2),
        );
        assert_eq!(arrivals.count([1, 1, 3].into_iter()), 2);
        assert!(arrivals.has_each([1, 2].into_iter()));
        drop(other);
        first.give_up();
        assert!(arrivals.has_each([1].into_iter()) && !arrivals.has_each([1, 2].into_iter()));
        assert!(!arrivals.has_each(std::iter::empty()), "nobody waits");
        drop(first);
        assert_eq!(arrivals.count([1, 2].into_iter()), 1);
    }
}
