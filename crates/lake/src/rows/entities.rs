//! The entities of a group's rows, each by a number.

use std::hash::BuildHasher;

use foldhash::quality::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// The entities that rows have, numbered as they came.
#[derive(Default)]
pub struct Entities {
    names: Vec<String>,
    numbers: HashTable<u32>,
    key: RandomState,
    /// The entity of each row.
    rows: Vec<u32>,
}

impl Entities {
    /// Notes that the next row has this entity.
    pub fn push(&mut self, name: &str) {
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

    /// The entity of that row.
    pub fn name(&self, row: u32) -> &str {
        &self.names[self.rows[row as usize] as usize]
    }

    /// The rows that are wanted, by their entity's name in byte order, those of an entity in
    /// the order in which they came; and where each entity's rows end.
    pub fn grouped(&self, wanted: impl Fn(u32) -> bool) -> (Vec<u32>, Vec<usize>) {
        let mut order: Vec<usize> = (0..self.names.len()).collect();
        order.sort_unstable_by(|a, b| self.names[*a].cmp(&self.names[*b]));
        let mut counts = vec![0; self.names.len()];
        let rows = || (0..self.rows.len() as u32).filter(|row| wanted(*row));
        rows().for_each(|row| counts[self.rows[row as usize] as usize] += 1);
        // Where the next row of each entity goes.
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
