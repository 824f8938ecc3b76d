//! Event ids by row: kept as one text, found by hash.

use std::hash::BuildHasher;
use std::sync::LazyLock;

use arrow::array::StringArray;
use arrow::buffer::{Buffer, OffsetBuffer};
use foldhash::quality::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// Hash of an event id, the same throughout this process. The key is random in each process: senders choose ids, and
/// must not be able to choose which of them collide.
pub fn id_hash(id: &str) -> u64 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::default);
    KEY.hash_one(id)
}

/// Ids by row; an id belongs to one row at most.
#[derive(Default)]
pub(crate) struct Ids {
    text: String,
    /// Where each row's id ends in `text`; it begins where the one before ends.
    ends: Vec<i32>,
    hashes: Vec<u64>,
    rows: HashTable<u32>,
}

impl Ids {
    /// Gives the id to the next row, or returns the row that has it already.
    pub(crate) fn insert(&mut self, id: &str) -> Result<(), u32> {
        let hash = id_hash(id);
        let row = self.hashes.len() as u32;
        let (text, ends, hashes) = (&self.text, &self.ends, &self.hashes);
        let is_it = |row: &u32| hashes[*row as usize] == hash && at(text, ends, *row) == id;
        match self.rows.entry(hash, is_it, |row| hashes[*row as usize]) {
            Entry::Occupied(there) => return Err(*there.get()),
            Entry::Vacant(free) => free.insert(row),
        };
        self.text.push_str(id);
        self.ends.push(self.text.len() as i32);
        self.hashes.push(hash);
        Ok(())
    }

    pub(crate) fn find(&self, id: &str, hash: u64) -> Option<u32> {
        let is_it = |row: &u32| self.hashes[*row as usize] == hash && self.text(*row) == id;
        self.rows.find(hash, is_it).copied()
    }

    /// Takes the id away from its row, which is returned.
    pub(crate) fn take(&mut self, id: &str) -> Option<u32> {
        let hash = id_hash(id);
        let (text, ends, hashes) = (&self.text, &self.ends, &self.hashes);
        let is_it = |row: &u32| hashes[*row as usize] == hash && at(text, ends, *row) == id;
        let entry = self.rows.find_entry(hash, is_it).ok()?;
        Some(entry.remove().0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Text of the row's id, also after the id was taken away from the row.
    pub(crate) fn text(&self, row: u32) -> &str {
        at(&self.text, &self.ends, row)
    }

    pub(crate) fn hashes(&self) -> impl Iterator<Item = u64> + '_ {
        self.rows.iter().map(|row| self.hashes[*row as usize])
    }

    /// The ids of these rows, in this order, as an Arrow column.
    pub(crate) fn column(&self, rows: &[u32]) -> StringArray {
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
}

fn at<'t>(text: &'t str, ends: &[i32], row: u32) -> &'t str {
    let before = (row as usize).checked_sub(1);
    let start = before.map_or(0, |row| ends[row] as usize);
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
        assert_eq!(ids.rows.len(), 3);
        assert_eq!((ids.take("a"), ids.insert("a")), (Some(0), Ok(())));
        assert_eq!((ids.find("a", id_hash("a")), ids.rows.len()), (Some(3), 3));
        assert_eq!((ids.take(""), ids.take("")), (Some(1), None));
        assert_eq!(ids.find("", id_hash("")), None);
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
