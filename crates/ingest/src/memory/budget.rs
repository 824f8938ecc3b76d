//! The bound on bytes held in memory: of bodies and lines, and of long answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use crate::memory::pages::PageBuf;

/// How many bytes, or other things, may be held at a time, and how many are. Clones share the count.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: usize,
    used: AtomicUsize,
}

/// The bytes would pass the bound.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Exhausted;

impl Budget {
    pub(crate) fn new(limit: usize) -> Budget {
        Budget(Arc::new(Inner {
            limit,
            used: AtomicUsize::new(0),
        }))
    }

    /// A reservation of 0 bytes, which can grow.
    pub(crate) fn reserve(&self) -> Reservation {
        Reservation {
            budget: self.clone(),
            bytes: 0,
        }
    }

    pub(crate) fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    pub(crate) fn free(&self) -> usize {
        self.0.limit.saturating_sub(self.used())
    }

    /// An empty buffer whose bytes count against this budget.
    pub(crate) fn buffer(&self) -> Buffer {
        Buffer {
            bytes: PageBuf::default(),
            share: self.reserve(),
            free: 0,
            expected: 0,
        }
    }
}

/// Reserved bytes of a budget, given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Budget,
    bytes: usize,
}

impl Reservation {
    /// Reserves `bytes` more, or none if that would pass the bound.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let Inner { limit, used } = &*self.budget.0;
        let taken = used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(bytes).filter(|used| used <= limit)
        });
        taken.map_err(|_| Exhausted)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Gives `bytes` back.
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

/// Bytes that reserve the memory they take, unused capacity included.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: PageBuf,
    share: Reservation,
    /// Bytes that need no reservation.
    free: usize,
    /// Bytes that the buffer will probably hold in the end; 0 if that is not known.
    expected: usize,
}

impl Buffer {
    /// The same buffer, whose first `free` bytes need no reservation.
    pub(crate) fn with_free(self, free: usize) -> Buffer {
        Buffer { free, ..self }
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.share.budget
    }

    /// The buffer will probably hold `bytes` in the end; 0 if that is not known.
    pub(crate) fn expect(&mut self, bytes: usize) {
        self.expected = bytes;
    }

    pub(crate) fn append(&mut self, data: &[u8]) -> Result<(), Exhausted> {
        let length = self.bytes.len() + data.len();
        let taken = self.bytes.taken_at(length, self.expected);
        let share = taken.saturating_sub(self.free);
        self.share.grow(share.saturating_sub(self.share.bytes))?;
        self.bytes
            .append(data, self.expected)
            .map_err(|_| Exhausted)
    }

    /// Frees unused capacity, where that costs nothing.
    pub(crate) fn shrink_to_fit(&mut self) {
        self.bytes.shrink_to_fit();
        let share = self.bytes.taken().saturating_sub(self.free);
        self.share.shrink(self.share.bytes.saturating_sub(share));
    }

    /// The bytes, and their reservation.
    pub(crate) fn into_parts(self) -> (PageBuf, Reservation) {
        (self.bytes, self.share)
    }

    /// The bytes; their reservation ends with the last clone or slice.
    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl std::ops::Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    impl Budget {
        /// A buffer that holds those bytes.
        pub(crate) fn buffer_of(&self, bytes: &[u8]) -> Buffer {
            let mut buffer = self.buffer();
            buffer.append(bytes).unwrap();
            buffer
        }
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

    #[test]
    fn a_buffer_holds_the_share_of_its_memory() {
        let budget = Budget::new(1000);
        let mut buffer = budget.buffer();
        for _ in 0..10 {
            buffer.append(b"0123456789").unwrap();
            assert!((buffer.len()..=2 * buffer.len()).contains(&budget.used()));
        }
        buffer.shrink_to_fit();
        assert_eq!((budget.used(), budget.free()), (100, 900));
        assert_eq!(buffer.append(&[0; 1000]), Err(Exhausted));
        assert_eq!((buffer.len(), budget.used()), (100, 100));
        let mut other = budget.buffer().with_free(50);
        other.append(&[0; 60]).unwrap();
        assert_eq!(budget.used(), 110);
        let bytes = other.into_bytes();
        let last = bytes.slice(30..40);
        drop(bytes);
        assert_eq!(budget.used(), 110, "as long as any of them is there");
        drop(last);
        let (bytes, share) = buffer.into_parts();
        drop(bytes);
        assert_eq!(budget.used(), 100, "until the share is given back");
        drop(share);
        assert_eq!(budget.used(), 0);
    }
}
