//! Buckets of ids: rows that are spilled, and hours of several parts, are divided by a hash of the id.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A division of ids into a power of two of buckets. Divisions with the same seed nest: each bucket of the coarser one
/// is a run of buckets of the finer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buckets {
    seed: u64,
    bits: u32,
}

/// Most buckets of a division.
pub const MAX_BUCKETS: u64 = 1024;

impl Buckets {
    /// At least `wanted` buckets, a power of two, and [`MAX_BUCKETS`] at most. The seed should be one that senders
    /// cannot know: they choose ids, and could fill one bucket.
    pub fn new(seed: u64, wanted: u64) -> Buckets {
        let count = wanted.clamp(1, MAX_BUCKETS).next_power_of_two();
        let bits = count.trailing_zeros();
        Buckets { seed, bits }
    }

    /// Number of buckets.
    pub fn count(self) -> u64 {
        1 << self.bits
    }

    /// The bucket of an id, from 0 on.
    pub fn of(self, id: &str) -> u64 {
        let hash = u128::from(xxh3_64_with_seed(id.as_bytes(), self.seed));
        (hash << self.bits >> 64) as u64
    }

    /// Whether ids of bucket `mine` may be in bucket `other` of another division with the same seed.
    pub fn meets(self, mine: u64, division: Buckets, other: u64) -> bool {
        let common = self.bits.min(division.bits);
        mine >> (self.bits - common) == other >> (division.bits - common)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divisions_nest_and_fill_evenly() {
        let (coarse, fine) = (Buckets::new(7, 3), Buckets::new(7, 16));
        assert_eq!((coarse.count(), fine.count()), (4, 16));
        let mut counts = [0; 16];
        for id in 0..16_000 {
            let id = id.to_string();
            let (a, b) = (coarse.of(&id), fine.of(&id));
            assert_eq!(a, b / 4);
            for other in 0..16 {
                assert_eq!(coarse.meets(a, fine, other), other / 4 == a);
                assert_eq!(fine.meets(other, coarse, a), other / 4 == a);
            }
            counts[b as usize] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)));
        assert_eq!(Buckets::new(1, 0).of("a"), 0);
    }
}
