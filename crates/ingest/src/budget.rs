//! The bound on bytes that wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many bytes may wait at a time, and how many do: what was read of bodies and what is on its
/// way to SQS. Clones share the count.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: usize,
    used: AtomicUsize,
}

/// The bound is reached.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Exhausted;

impl Budget {
    pub(crate) fn new(limit: usize) -> Budget {
        Budget(Arc::new(Inner {
            limit,
            used: AtomicUsize::new(0),
        }))
    }

    /// A reservation of nothing yet.
    pub(crate) fn reserve(&self) -> Reservation {
        Reservation {
            budget: self.clone(),
            bytes: 0,
        }
    }

    /// Bytes that are reserved now.
    pub(crate) fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }
}

/// One request's share; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Budget,
    bytes: usize,
}

impl Reservation {
    /// Takes `bytes` more, or none where that would pass the bound.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let Inner { limit, used } = &*self.budget.0;
        let taken = used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(bytes).filter(|used| used <= limit)
        });
        taken.map_err(|_| Exhausted)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Gives `bytes` of its share back.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.budget.0.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_stay_within_the_bound_and_are_given_back() {
        let budget = Budget::new(10);
        let (mut one, mut two) = (budget.reserve(), budget.reserve());
        assert_eq!(one.grow(6), Ok(()));
        assert_eq!(two.grow(5), Err(Exhausted));
        assert_eq!(two.grow(4), Ok(()));
        one.shrink(2);
        assert_eq!(two.grow(2), Ok(()));
        drop(two);
        assert_eq!(budget.used(), 4);
        drop(one);
        assert_eq!(budget.used(), 0);
    }
}
