//! Texts as small numbers, for as long as somebody uses them.

use std::hash::BuildHasher;

use foldhash::quality::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Place;

/// Numbers of texts. A text is known within its group, and until its last user is gone; then its number is given to
/// another one. Hash keys are random: senders choose names, and must not be able to choose which of them collide.
#[derive(Debug, Default)]
pub(super) struct Names {
    hasher: RandomState,
    table: HashTable<u32>,
    entries: Vec<Name>,
    free: Vec<u32>,
}

#[derive(Debug, Default)]
struct Name {
    group: u32,
    users: u32,
    text: Box<str>,
}

impl Names {
    pub(super) fn find(&self, group: u32, text: &str) -> Option<u32> {
        let is_it = |id: &u32| self.entries[*id as usize].is(group, text);
        self.table
            .find(self.hasher.hash_one((group, text)), is_it)
            .copied()
    }

    /// The number of the text, which has one user more from now on.
    pub(super) fn hold(&mut self, group: u32, text: &str) -> u32 {
        let (entries, hasher) = (&mut self.entries, &self.hasher);
        let place = self.table.entry(
            hasher.hash_one((group, text)),
            |id| entries[*id as usize].is(group, text),
            |id| entries[*id as usize].hash(hasher),
        );
        let id = match place {
            Place::Occupied(there) => *there.get(),
            Place::Vacant(place) => {
                let id = self.free.pop().unwrap_or(entries.len() as u32);
                place.insert(id);
                if id as usize == entries.len() {
                    entries.push(Name::default());
                }
                entries[id as usize] = Name {
                    group,
                    users: 0,
                    text: text.into(),
                };
                id
            }
        };
        entries[id as usize].users += 1;
        id
    }

    /// Ends one use of the number. Whether it was the last one: the number means nothing then.
    pub(super) fn release(&mut self, id: u32) -> bool {
        let name = &mut self.entries[id as usize];
        name.users -= 1;
        let is_last = name.users == 0;
        if is_last {
            let hash = name.hash(&self.hasher);
            if let Ok(place) = self.table.find_entry(hash, |other| *other == id) {
                place.remove();
            }
            self.entries[id as usize].text = "".into();
            self.free.push(id);
        }
        is_last
    }

    pub(super) fn text(&self, id: u32) -> &str {
        &self.entries[id as usize].text
    }

    pub(super) fn group(&self, id: u32) -> u32 {
        self.entries[id as usize].group
    }

    /// How often the number is held.
    pub(super) fn users(&self, id: u32) -> u32 {
        self.entries[id as usize].users
    }

    /// The numbers of a group.
    pub(super) fn of_group(&self, group: u32) -> impl Iterator<Item = u32> + '_ {
        let entries = self.entries.iter().enumerate();
        entries
            .filter(move |(_, name)| name.users > 0 && name.group == group)
            .map(|(id, _)| id as u32)
    }
}

impl Name {
    fn is(&self, group: u32, text: &str) -> bool {
        self.group == group && *self.text == *text
    }

    fn hash(&self, hasher: &RandomState) -> u64 {
        hasher.hash_one((self.group, &*self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_stays_until_its_last_user_is_gone() {
        let mut names = Names::default();
        let one = names.hold(0, "a");
        assert_eq!(names.hold(0, "a"), one);
        assert_ne!(names.hold(1, "a"), one);
        assert!(!names.release(one));
        assert_eq!((names.find(0, "a"), names.text(one)), (Some(one), "a"));
        assert!(names.release(one));
        assert_eq!(names.find(0, "a"), None);
        assert_eq!(names.hold(0, "b"), one);
    }
}
