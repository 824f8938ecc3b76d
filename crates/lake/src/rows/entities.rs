//! The entity of each row, kept as a number.

use std::hash::BuildHasher;

use foldhash::quality::RandomState;
use hashbrown::HashTable;

/// Entities by row, numbered in the order in which they came.
#[derive(Default)]
pub(crate) struct Entities {
    /// The names, one behind the other.
    names: String,
    /// Where in `names` each one ends.
    ends: Vec<usize>,
    numbers: HashTable<Known>,
    key: RandomState,
    /// For each row its entity's number.
    rows: Vec<u32>,
}

/// A name that has a number. The half of its hash that stands here tells most names apart, so that they are not read.
struct Known {
    hash: u32,
    number: u32,
}

impl Known {
    /// The hash for the table, which looks at the lowest and at the highest bits.
    fn spread(hash: u32) -> u64 {
        u64::from(hash) << 32 | u64::from(hash)
    }
}

impl Entities {
    /// Gives the entity to the next row.
    pub(crate) fn push(&mut self, name: &str) {
        let last = self.rows.last().copied();
        let number = match last.filter(|last| self.name_of(*last) == name) {
            Some(last) => last,
            None => self.number(name),
        };
        self.rows.push(number);
    }

    /// The number of an entity, which is a new one if the name is new.
    fn number(&mut self, name: &str) -> u32 {
        let hash = self.key.hash_one(name) as u32;
        let is_it = |known: &Known| known.hash == hash && self.name_of(known.number) == name;
        if let Some(known) = self.numbers.find(Known::spread(hash), is_it) {
            return known.number;
        }
        let number = self.ends.len() as u32;
        self.names.push_str(name);
        self.ends.push(self.names.len());
        let spread = |known: &Known| Known::spread(known.hash);
        let known = Known { hash, number };
        self.numbers
            .insert_unique(Known::spread(hash), known, spread);
        number
    }

    fn name_of(&self, number: u32) -> &str {
        let number = number as usize;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.names[start..self.ends[number]]
    }

    pub(crate) fn name(&self, row: u32) -> &str {
        self.name_of(self.rows[row as usize])
    }

    /// The wanted rows, ordered by entity in byte order and within an entity as they came; and for each entity the
    /// index at which its rows end.
    pub(crate) fn grouped(&self, wanted: impl Fn(u32) -> bool) -> (Vec<u32>, Vec<usize>) {
        let mut order: Vec<u32> = (0..self.ends.len() as u32).collect();
        order.sort_unstable_by(|a, b| self.name_of(*a).cmp(self.name_of(*b)));
        let mut counts = vec![0; self.ends.len()];
        let rows = || (0..self.rows.len() as u32).filter(|row| wanted(*row));
        rows().for_each(|row| counts[self.rows[row as usize] as usize] += 1);
        // For each entity the index for its next row: a counting sort.
        let mut next = vec![0; self.ends.len()];
        let mut ends = Vec::with_capacity(self.ends.len());
        let mut end = 0;
        for at in order.into_iter().map(|number| number as usize) {
            next[at] = end;
            end += counts[at];
            ends.push(end);
        }
        let mut grouped = vec![0; end];
        for row in rows() {
            let place = &mut next[self.rows[row as usize] as usize];
            grouped[*place] = row;
            *place += 1;
        }
        (grouped, ends)
    }
}
