//! Buckets of ids: rows that are spilled, and hours of several parts, are divided by a hash of the id.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A division of ids into a power of two of buckets. Divisions with the same seed nest: each bucket of the coarser one
/// is a run of buckets of the finer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buckets {
    seed: u64,
    bits: u32,
}

/// One bucket of a division.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    division: Buckets,
    number: u64,
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

    /// This division, or a coarser one where it has more than `most` buckets; one bucket at least.
    pub fn at_most(self, most: u64) -> Buckets {
        let bits = self.bits.min(most.max(1).ilog2());
        Buckets { bits, ..self }
    }

    /// Number of buckets.
    pub fn count(self) -> u64 {
        1 << self.bits
    }

    /// The bucket of this number, from 0 on.
    pub fn bucket(self, number: u64) -> Bucket {
        let division = self;
        Bucket { division, number }
    }

    /// Number of the bucket of an id, from 0 on.
    pub fn of(self, id: &str) -> u64 {
        if self.bits == 0 {
            return 0;
        }
        let hash = u128::from(xxh3_64_with_seed(id.as_bytes(), self.seed));
        (hash << self.bits >> 64) as u64
    }
}

impl Bucket {
    /// Whether the id is in the bucket.
    pub fn has(self, id: &str) -> bool {
        self.division.of(id) == self.number
    }

    /// Whether ids of this bucket may be in a bucket of another division with the same seed.
    pub fn meets(self, other: Bucket) -> bool {
        let common = self.division.bits.min(other.division.bits);
        let upper = |bucket: Bucket| bucket.number >> (bucket.division.bits - common);
        upper(self) == upper(other)
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
            assert!(coarse.bucket(a).has(&id) && !coarse.bucket(a ^ 1).has(&id));
            for other in 0..16 {
                let (a, b) = (coarse.bucket(a), fine.bucket(other));
                assert_eq!(a.meets(b), other / 4 == coarse.of(&id));
                assert_eq!(b.meets(a), a.meets(b));
            }
            counts[b as usize] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)));
        assert_eq!(Buckets::new(1, 0).of("a"), 0);
    }

    #[test]
    fn a_division_is_made_coarser_and_never_finer() {
        let fine = Buckets::new(7, 16);
        let counts = [0, 1, 7, 8, 16, 500].map(|most| fine.at_most(most).count());
        assert_eq!(counts, [1, 1, 4, 8, 16, 16]);
        assert_eq!(fine.at_most(4), Buckets::new(7, 4));
    }
}
