//! The entity of each row, kept as a number.

use std::hash::BuildHasher;

use foldhash::quality::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// Entities by row, numbered in the order in which they came.
#[derive(Default)]
pub(crate) struct Entities {
    names: Vec<String>,
    numbers: HashTable<u32>,
    key: RandomState,
    /// For each row its entity's index in `names`.
    rows: Vec<u32>,
}

impl Entities {
    /// Gives the entity to the next row.
    pub(crate) fn push(&mut self, name: &str) {
        let same = self.rows.last().copied();
        if let Some(last) = same.filter(|last| self.names[*last as usize] == name) {
            return self.rows.push(last);
        }
        let names = &mut self.names;
        let entry = self.numbers.entry(
            self.key.hash_one(name),
            |at| names[*at as usize] == name,
            |at| self.key.hash_one(names[*at as usize].as_str()),
        );
        let at = match entry {
            Entry::Occupied(there) => *there.get(),
            Entry::Vacant(free) => {
                let at = *free.insert(names.len() as u32).get();
                names.push(name.to_owned());
                at
            }
        };
        self.rows.push(at);
    }

    /// The names, and for each row the place of its entity among them.
    pub(crate) fn into_parts(self) -> (Vec<String>, Vec<u32>) {
        (self.names, self.rows)
    }

    pub(crate) fn name(&self, row: u32) -> &str {
        &self.names[self.rows[row as usize] as usize]
    }

    /// The wanted rows, ordered by entity in byte order and within an entity as they came; and for each entity the
    /// index at which its rows end.
    pub(crate) fn grouped(&self, wanted: impl Fn(u32) -> bool) -> (Vec<u32>, Vec<usize>) {
        let mut order: Vec<usize> = (0..self.names.len()).collect();
        order.sort_unstable_by(|a, b| self.names[*a].cmp(&self.names[*b]));
        let mut counts = vec![0; self.names.len()];
        let rows = || (0..self.rows.len() as u32).filter(|row| wanted(*row));
        rows().for_each(|row| counts[self.rows[row as usize] as usize] += 1);
        // For each entity the index for its next row: a counting sort.
        let mut next = vec![0; self.names.len()];
        let mut ends = Vec::with_capacity(self.names.len());
        let mut end = 0;
        for at in order {
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
