//! The ids of a group's rows: kept as text, found by hash.

use std::hash::BuildHasher;
use std::sync::LazyLock;

use arrow::array::StringArray;
use arrow::buffer::{Buffer, OffsetBuffer};
use foldhash::quality::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// The id's hash, the same all through this process. Its key is random: senders choose ids, and
/// shall not know which of them fall together.
pub fn hash(id: &str) -> u64 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::default);
    KEY.hash_one(id)
}

/// Ids by row, each in one row at most.
#[derive(Default)]
pub struct Ids {
    text: String,
    /// Where each row's id ends in `text`.
    ends: Vec<i32>,
    hashes: Vec<u64>,
    rows: HashTable<u32>,
}

impl Ids {
    /// Notes that the next row has this id; or gives the row that has it.
    pub fn insert(&mut self, id: &str) -> Result<(), u32> {
        let hash = hash(id);
        let row = self.hashes.len() as u32;
        let (text, ends, hashes) = (&self.text, &self.ends, &self.hashes);
        let is_it = |row: &u32| hashes[*row as usize] == hash && at(text, ends, *row) == id;
        match self.rows.entry(hash, is_it, |row| hashes[*row as usize]) {
            Entry::Occupied(there) => return Err(*there.get()),
            Entry::Vacant(free) => free.insert(row),
        };
        self.push(id, hash);
        Ok(())
    }

    /// The row that has the id.
    pub fn find(&self, id: &str, hash: u64) -> Option<u32> {
        let is_it = |row: &u32| self.hashes[*row as usize] == hash && self.text(*row) == id;
        self.rows.find(hash, is_it).copied()
    }

    /// Takes the id away from its row, and gives the row.
    pub fn take(&mut self, id: &str) -> Option<u32> {
        let hash = hash(id);
        let (text, ends, hashes) = (&self.text, &self.ends, &self.hashes);
        let is_it = |row: &u32| hashes[*row as usize] == hash && at(text, ends, *row) == id;
        let entry = self.rows.find_entry(hash, is_it).ok()?;
        Some(entry.remove().0)
    }

    /// Rows that have an id.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The text of a row's id, also where another row has it now.
    pub fn text(&self, row: u32) -> &str {
        at(&self.text, &self.ends, row)
    }

    /// The hashes of the ids that rows have.
    pub fn hashes(&self) -> impl Iterator<Item = u64> + '_ {
        self.rows.iter().map(|row| self.hashes[*row as usize])
    }

    /// The texts of those rows.
    pub fn column(&self, rows: &[u32]) -> StringArray {
        let mut bytes = Vec::with_capacity(self.text.len());
        let mut ends = Vec::with_capacity(rows.len() + 1);
        ends.push(0);
        for row in rows {
            bytes.extend_from_slice(self.text(*row).as_bytes());
            ends.push(bytes.len() as i32);
        }
        StringArray::new(
            OffsetBuffer::new(ends.into()),
            Buffer::from_vec(bytes),
            None,
        )
    }

    fn push(&mut self, id: &str, hash: u64) {
        self.text.push_str(id);
        self.ends.push(self.text.len() as i32);
        self.hashes.push(hash);
    }
}

fn at<'t>(text: &'t str, ends: &[i32], row: u32) -> &'t str {
    let start = match row {
        0 => 0,
        _ => ends[row as usize - 1] as usize,
    };
    &text[start..ends[row as usize] as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_in_one_row_and_can_be_moved_and_taken() {
        let mut ids = Ids::default();
        for id in ["a", "", "bc"] {
            assert_eq!(ids.insert(id), Ok(()));
        }
        assert_eq!((ids.insert("a"), ids.insert("bc")), (Err(0), Err(2)));
        assert_eq!(ids.len(), 3);
        assert_eq!((ids.take("a"), ids.insert("a")), (Some(0), Ok(())));
        assert_eq!((ids.find("a", hash("a")), ids.len()), (Some(3), 3));
        assert_eq!((ids.take(""), ids.take("")), (Some(1), None));
        assert_eq!(ids.find("", hash("")), None);
        let column = ids.column(&[3, 2]);
        assert_eq!((column.value(0), column.value(1)), ("a", "bc"));
    }

    #[test]
    fn many_ids_are_all_found() {
        let mut ids = Ids::default();
        for id in 0..10_000_u32 {
            ids.insert(&id.to_string()).unwrap();
        }
        assert!((0..10_000_u32).all(|id| ids.insert(&id.to_string()) == Err(id)));
    }
}
