//! Buffers that leave little memory behind when they are dropped (ADR 0015).
//!
//! A buffer past [`SHORT`] has pages of its own, which go back to the operating system with it: glibc's allocator
//! keeps freed memory for later, in an arena for each thread. Fresh pages cost time, so up to [`MOST_SPARE`] bytes
//! are kept.

use std::collections::VecDeque;
use std::io;
use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};

use memmap2::{Advice, MmapMut};

/// Largest buffer on the heap.
const SHORT: usize = 64 * 1024;

/// Most bytes of pages that are kept for later.
const MOST_SPARE: usize = 8 * 1024 * 1024;

/// Longest run of pages that is kept, in bytes.
const LONGEST_SPARE: usize = 4 * 1024 * 1024;

/// The assumed page size; larger pages make a difference of a few KiB a buffer.
const PAGE: usize = 4096;

/// A buffer that grows. Where its methods take `expected`, that is how many bytes the buffer will probably hold in the
/// end, or 0 if that is not known.
#[derive(Debug)]
pub(crate) enum PageBuf {
    Heap(Vec<u8>),
    /// The first `length` bytes of the pages.
    Pages {
        pages: Pages,
        length: usize,
    },
}

impl PageBuf {
    /// An empty buffer with room for `bytes`. An error says that the operating system has no more pages.
    pub(crate) fn with_room(bytes: usize) -> io::Result<PageBuf> {
        if bytes <= SHORT {
            return Ok(PageBuf::Heap(Vec::with_capacity(bytes)));
        }
        let pages = Pages::of(rounded(bytes))?;
        Ok(PageBuf::Pages { pages, length: 0 })
    }

    /// Bytes of memory that the buffer will take once it holds `length` bytes.
    pub(crate) fn taken_at(&self, length: usize, expected: usize) -> usize {
        let capacity = if length > self.capacity() {
            self.grown(length, expected)
        } else {
            self.capacity()
        };
        taken(length, capacity)
    }

    /// Bytes of memory that the buffer takes.
    pub(crate) fn taken(&self) -> usize {
        taken(self.len(), self.capacity())
    }

    /// An error says that the operating system has no more pages.
    pub(crate) fn append(&mut self, data: &[u8], expected: usize) -> io::Result<()> {
        let before = self.len();
        let after = before + data.len();
        let grown = (after > self.capacity()).then(|| self.grown(after, expected));
        match (&mut *self, grown) {
            (PageBuf::Heap(bytes), None) => bytes.extend_from_slice(data),
            (PageBuf::Heap(bytes), Some(capacity)) if capacity <= SHORT => {
                bytes.reserve_exact(capacity - before);
                bytes.extend_from_slice(data);
            }
            (PageBuf::Pages { pages, length }, None) => {
                pages.map()[before..after].copy_from_slice(data);
                *length = after;
            }
            (_, Some(capacity)) => {
                let mut pages = Pages::of(capacity)?;
                pages.map()[..before].copy_from_slice(self);
                pages.map()[before..after].copy_from_slice(data);
                *self = PageBuf::Pages {
                    pages,
                    length: after,
                };
            }
        }
        Ok(())
    }

    /// Frees unused memory of the heap. Pages stay: copying them would cost more than they.
    pub(crate) fn shrink_to_fit(&mut self) {
        if let PageBuf::Heap(bytes) = self {
            bytes.shrink_to_fit();
        }
    }

    fn capacity(&self) -> usize {
        match self {
            PageBuf::Heap(bytes) => bytes.capacity(),
            PageBuf::Pages { pages, .. } => pages.bytes,
        }
    }

    /// The next capacity, if `length` is more than the present one.
    fn grown(&self, length: usize, expected: usize) -> usize {
        let wanted = match expected {
            0 => length.max(self.capacity() * 2),
            // Such a run is fresh, and takes memory only as it is written.
            _ if expected > LONGEST_SPARE.max(length) => expected,
            // The client may send less than the `content-length` that it announced.
            _ if expected >= length => expected.min(4 * length),
            // Longer than expected, by little as a rule.
            _ => length + length / 8,
        };
        if length > SHORT {
            return rounded(wanted);
        }
        wanted.min(self.capacity() * 2).min(SHORT).max(length)
    }
}

/// Memory that a buffer of `length` bytes takes. Kept runs have been written to their end, and take all of it; longer
/// runs are always fresh.
fn taken(length: usize, capacity: usize) -> usize {
    if capacity > LONGEST_SPARE {
        return length.next_multiple_of(PAGE);
    }
    capacity
}

/// The length of a run for `bytes`: up to an eighth more, and few different lengths, so that a kept run fits again.
fn rounded(bytes: usize) -> usize {
    bytes.next_multiple_of((bytes.next_power_of_two() / 16).max(4 * PAGE))
}

impl Default for PageBuf {
    fn default() -> PageBuf {
        PageBuf::Heap(Vec::new())
    }
}

impl Deref for PageBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            PageBuf::Heap(bytes) => bytes,
            PageBuf::Pages { pages, length } => {
                pages.map.as_ref().map_or(&[], |map| &map[..*length])
            }
        }
    }
}

impl AsRef<[u8]> for PageBuf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// A run of pages.
#[derive(Debug)]
pub(crate) struct Pages {
    bytes: usize,
    /// Present until this is dropped.
    map: Option<MmapMut>,
}

/// Kept runs, the oldest first.
#[derive(Debug)]
struct Spare {
    runs: VecDeque<MmapMut>,
    bytes: usize,
}

static SPARE: Mutex<Spare> = Mutex::new(Spare {
    runs: VecDeque::new(),
    bytes: 0,
});

impl Pages {
    /// A run of `bytes`, kept or fresh; its contents are arbitrary.
    fn of(bytes: usize) -> io::Result<Pages> {
        let map = match spare().take(bytes) {
            Some(map) => map,
            None => {
                let map = MmapMut::map_anon(bytes)?;
                // With huge pages the first byte would take 2 MiB. A kernel without them refuses the advice.
                let _ = map.advise(Advice::NoHugePage);
                map
            }
        };
        Ok(Pages {
            bytes,
            map: Some(map),
        })
    }

    fn map(&mut self) -> &mut [u8] {
        self.map.as_mut().map_or(&mut [], |map| &mut map[..])
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        if let Some(map) = self.map.take() {
            // Giving pages back takes time, so it happens after the lock is free.
            let unwanted = spare().keep(map);
            drop(unwanted);
        }
    }
}

impl Spare {
    /// A kept run of exactly `bytes`.
    fn take(&mut self, bytes: usize) -> Option<MmapMut> {
        let last = self.runs.iter().rposition(|map| map.len() == bytes)?;
        self.bytes -= bytes;
        self.runs.remove(last)
    }

    /// Keeps the run; gives back the oldest runs past [`MOST_SPARE`].
    fn keep(&mut self, map: MmapMut) -> Vec<MmapMut> {
        if map.len() > LONGEST_SPARE {
            return vec![map];
        }
        self.bytes += map.len();
        self.runs.push_back(map);
        let mut unwanted = Vec::new();
        while self.bytes > MOST_SPARE
            && let Some(oldest) = self.runs.pop_front()
        {
            self.bytes -= oldest.len();
            unwanted.push(oldest);
        }
        unwanted
    }
}

fn spare() -> MutexGuard<'static, Spare> {
    SPARE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_buffer_holds_what_is_appended_and_foretells_the_memory_it_takes(
            pieces in prop::collection::vec((any::<u8>(), 0_usize..90_000), 0..20),
            about in prop::option::of(0_usize..3_000_000),
        ) {
            let expected = about.unwrap_or_default();
            let (mut memory, mut all) = (PageBuf::default(), Vec::new());
            for (byte, count) in pieces {
                all.resize(all.len() + count, byte);
                let foretold = memory.taken_at(all.len(), expected);
                memory.append(&vec![byte; count], expected).unwrap();
                prop_assert_eq!(memory.taken(), foretold);
                let most = all.len().max(about.unwrap_or(all.len() * 2)).max(SHORT);
                let most = most + most / 4 + 4 * PAGE;
                prop_assert!((all.len()..=most).contains(&memory.taken()));
            }
            prop_assert_eq!(&memory[..], &all[..]);
        }
    }

    #[test]
    fn announced_bytes_take_memory_only_as_they_come() {
        let mut memory = PageBuf::default();
        let expected = 6_000_000;
        memory.append(&[1; 1000], expected).unwrap();
        assert_eq!(memory.taken(), 1000);
        memory.append(&[2; 100_000], expected).unwrap();
        assert_eq!(memory.taken(), 102_400, "the pages that are used");
        memory.append(&[3; 6_000_000], expected).unwrap();
        assert_eq!(memory.len(), 6_101_000);
        let sum: u64 = memory.iter().map(|byte| u64::from(*byte)).sum();
        assert_eq!(sum, 1000 + 200_000 + 18_000_000);
    }

    #[test]
    fn kept_pages_are_bounded_and_the_oldest_are_given_back_first() {
        let run = |bytes| MmapMut::map_anon(bytes).unwrap();
        let mut spare = Spare {
            runs: VecDeque::new(),
            bytes: 0,
        };
        assert_eq!(spare.keep(run(LONGEST_SPARE + PAGE)).len(), 1);
        assert_eq!(spare.bytes, 0);
        for _ in 0..MOST_SPARE / SHORT {
            assert!(spare.keep(run(SHORT)).is_empty());
        }
        assert_eq!(spare.keep(run(3 * SHORT)).len(), 3, "the oldest");
        assert_eq!(spare.bytes, MOST_SPARE);
        assert!(spare.take(2 * SHORT).is_none());
        assert_eq!(spare.take(3 * SHORT).unwrap().len(), 3 * SHORT);
        assert_eq!(spare.bytes, MOST_SPARE - 3 * SHORT);
    }
}
