//! Bytes that grow, and leave little behind when they are let go of.
//!
//! Long ones have pages of their own, which go back to the operating system with them. An allocator
//! keeps what is freed for later, a part for each thread: many times what is in use, where buffers
//! of all lengths come and go. Fresh pages cost time, so some are kept here, [`MOST_SPARE`] at most.

use std::collections::VecDeque;
use std::io;
use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};

use memmap2::{Advice, MmapMut};

/// Up to so many bytes are taken from the heap.
const SHORT: usize = 64 * 1024;

/// Most pages that are kept for later, in bytes.
pub(crate) const MOST_SPARE: usize = 8 * 1024 * 1024;

/// Longest run of pages that is kept.
const LONGEST_SPARE: usize = 4 * 1024 * 1024;

/// Page size that is reckoned with; larger ones make a difference of a few KiB.
const PAGE: usize = 4096;

/// Bytes in memory.
#[derive(Debug)]
pub(crate) enum Memory {
    /// A few.
    Heap(Vec<u8>),
    /// Many: the first `length` of the pages.
    Pages { pages: Pages, length: usize },
}

/// How long bytes will be that come piece by piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Nobody knows.
    Any,
    /// About so long, or just so.
    About(usize),
}

impl Memory {
    /// None.
    pub(crate) const fn new() -> Memory {
        Memory::Heap(Vec::new())
    }

    /// None, with room for `bytes`.
    ///
    /// # Errors
    ///
    /// If the operating system has no more pages.
    pub(crate) fn with_room(bytes: usize) -> io::Result<Memory> {
        Ok(match bytes <= SHORT {
            true => Memory::Heap(Vec::with_capacity(bytes)),
            false => Memory::Pages {
                pages: Pages::of(rounded(bytes))?,
                length: 0,
            },
        })
    }

    /// How much memory they take once there are `length`.
    pub(crate) fn taken_at(&self, length: usize, expected: Expected) -> usize {
        match length > self.capacity() {
            true => taken(length, self.grown(length, expected)),
            false => taken(length, self.capacity()),
        }
    }

    /// How much memory they take.
    pub(crate) fn taken(&self) -> usize {
        taken(self.len(), self.capacity())
    }

    /// Appends `data`.
    ///
    /// # Errors
    ///
    /// If the operating system has no more pages.
    pub(crate) fn append(&mut self, data: &[u8], expected: Expected) -> io::Result<()> {
        let before = self.len();
        let after = before + data.len();
        let grown = (after > self.capacity()).then(|| self.grown(after, expected));
        match (&mut *self, grown) {
            (Memory::Heap(bytes), None) => bytes.extend_from_slice(data),
            (Memory::Heap(bytes), Some(capacity)) if capacity <= SHORT => {
                bytes.reserve_exact(capacity - before);
                bytes.extend_from_slice(data);
            }
            (Memory::Pages { pages, length }, None) => {
                pages.map()[before..after].copy_from_slice(data);
                *length = after;
            }
            (_, Some(capacity)) => {
                let mut pages = Pages::of(capacity)?;
                pages.map()[..before].copy_from_slice(self);
                pages.map()[before..after].copy_from_slice(data);
                *self = Memory::Pages {
                    pages,
                    length: after,
                };
            }
        }
        Ok(())
    }

    /// Lets go of what is not used, where that costs nothing.
    pub(crate) fn shrink_to_fit(&mut self) {
        if let Memory::Heap(bytes) = self {
            bytes.shrink_to_fit();
        }
    }

    fn capacity(&self) -> usize {
        match self {
            Memory::Heap(bytes) => bytes.capacity(),
            Memory::Pages { pages, .. } => pages.bytes,
        }
    }

    /// The capacity for `length`, which is more than there is.
    fn grown(&self, length: usize, expected: Expected) -> usize {
        let wanted = match expected {
            // Only pages that are used are there.
            Expected::About(expected) if expected > LONGEST_SPARE.max(length) => expected,
            // What is announced need not come.
            Expected::About(expected) if expected >= length => expected.min(4 * length),
            // Longer than expected: not by much.
            Expected::About(_) => length + length / 8,
            Expected::Any => length.max(self.capacity() * 2),
        };
        match length <= SHORT {
            true => wanted.min(self.capacity() * 2).min(SHORT).max(length),
            false => rounded(wanted),
        }
    }
}

/// How much memory `length` bytes take of so large a capacity. Kept pages have all been written to;
/// of a long run only those are there that are used.
fn taken(length: usize, capacity: usize) -> usize {
    match capacity > LONGEST_SPARE {
        true => length.next_multiple_of(PAGE),
        false => capacity,
    }
}

/// Up to an eighth more, and few different ones, so that what is kept fits again.
fn rounded(bytes: usize) -> usize {
    bytes.next_multiple_of((bytes.next_power_of_two() / 16).max(4 * PAGE))
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::new()
    }
}

impl Deref for Memory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Memory::Heap(bytes) => bytes,
            Memory::Pages { pages, length } => {
                pages.map.as_ref().map_or(&[], |map| &map[..*length])
            }
        }
    }
}

impl AsRef<[u8]> for Memory {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// A run of pages.
#[derive(Debug)]
pub(crate) struct Pages {
    bytes: usize,
    /// There until they are dropped.
    map: Option<MmapMut>,
}

/// Pages that are kept, the longest kept first.
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
    /// A run of that many bytes, kept or fresh; what they hold is anything.
    fn of(bytes: usize) -> io::Result<Pages> {
        let map = match spare().take(bytes) {
            Some(map) => map,
            None => {
                let map = MmapMut::map_anon(bytes)?;
                // Else the first byte could take 2 MiB. A kernel that has no such pages says no.
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
            // To give pages back takes time: not while others wait for the lock.
            let unwanted = spare().keep(map);
            drop(unwanted);
        }
    }
}

impl Spare {
    /// A run of just so many bytes.
    fn take(&mut self, bytes: usize) -> Option<MmapMut> {
        let last = self.runs.iter().rposition(|map| map.len() == bytes)?;
        self.bytes -= bytes;
        self.runs.remove(last)
    }

    /// Keeps the run, and gives those for which there is no room then.
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
        fn what_is_appended_stands_there_and_what_it_takes_is_known_before(
            pieces in prop::collection::vec((any::<u8>(), 0_usize..90_000), 0..20),
            about in prop::option::of(0_usize..3_000_000),
        ) {
            let expected = about.map_or(Expected::Any, Expected::About);
            let (mut memory, mut all) = (Memory::new(), Vec::new());
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
    fn what_is_announced_takes_memory_only_once_some_of_it_has_come() {
        let mut memory = Memory::new();
        let expected = Expected::About(6_000_000);
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
    fn pages_are_kept_within_bounds_and_the_last_used_come_first() {
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
