//! Finds a name's place among the declared ones in the same time however many there are.

use xxhash_rust::xxh3::xxh3_64;

/// An index over names that are known when it is made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    /// A power of two of slots, most of them empty; a name stands in the first free one from its hash on.
    slots: Vec<Option<(Box<str>, usize)>>,
}

impl Names {
    /// An index that gives each name its number in order.
    pub(crate) fn new<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> Names {
        let size = (names.len() * 4).next_power_of_two();
        let mut slots = vec![None; size];
        for (number, name) in names.enumerate() {
            let mut at = xxh3_64(name.as_bytes()) as usize & (size - 1);
            while slots[at].is_some() {
                at = (at + 1) & (size - 1);
            }
            slots[at] = Some((name.into(), number));
        }
        Names { slots }
    }

    /// The number of `name`, where it is one of the names.
    #[inline]
    pub(crate) fn get(&self, name: &str) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = xxh3_64(name.as_bytes()) as usize & mask;
        // Three of four slots are empty, so one ends the search.
        while let Some((other, number)) = self.slots[at].as_ref() {
            if **other == *name {
                return Some(*number);
            }
            at = (at + 1) & mask;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_no_other() {
        for count in [0, 1, 2, 64, 1000] {
            let all: Vec<String> = (0..count).map(|n| format!("signal_{n}")).collect();
            let names = Names::new(all.iter().map(String::as_str));
            for (number, name) in all.iter().enumerate() {
                assert_eq!(names.get(name), Some(number));
                assert_eq!(names.get(&name.to_uppercase()), None);
            }
            assert_eq!(names.get(""), None);
        }
    }
}
