//! Which signals there are, by number.

use std::collections::HashMap;

use contract::{Event, Scalar};

use crate::rows::column_type::ColumnType;
use crate::rows::columns::Admission;

/// Names that are compared one by one before the map is asked.
const LOOK_AHEAD: usize = 8;

/// A set of small numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignalSet {
    /// A bit for each number.
    words: Vec<u64>,
}

impl SignalSet {
    /// Adds a number.
    pub fn insert(&mut self, number: usize) {
        let word = number / 64;
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (number % 64);
    }

    /// How many numbers it has.
    pub fn count(&self) -> usize {
        let ones = self.words.iter().map(|word| word.count_ones() as usize);
        ones.sum()
    }

    /// Those of `all` whose number is in the set; an element's number is its index.
    pub fn pick<'a, T>(&'a self, all: &'a [T]) -> impl Iterator<Item = &'a T> {
        let words = (0..).zip(&self.words);
        let numbers = words.flat_map(|(at, word)| {
            let bits = 0..64;
            bits.filter_map(move |bit| (word >> bit & 1 == 1).then_some(at * 64 + bit))
        });
        numbers.filter_map(|number| all.get(number))
    }
}

/// The signals of one kind's events, each with a number.
#[derive(Default)]
pub(crate) struct SignalNumbers {
    /// Name as the first event spelled it, and type; the index is the number.
    list: Vec<(String, ColumnType)>,
    /// By name in lower case.
    numbers: HashMap<(String, ColumnType), usize>,
    /// Numbers of signals that are neither declared nor stored.
    new: usize,
}

impl SignalNumbers {
    /// Adds the event's signals to `set`: those that may have a column, of which there are so many as the `admission`
    /// allows.
    pub(crate) fn note(&mut self, event: &Event<'_>, admission: &Admission, set: &mut SignalSet) {
        if event.kind.is_long() {
            return;
        }
        // As in the columns of rows: events mostly repeat the same signals in the same order.
        let mut next = 0;
        for (name, value) in &event.signals {
            let is_it =
                |(other, r#type): &(String, ColumnType)| *other == **name && r#type.takes(value);
            let near = self.list[next..].iter().take(LOOK_AHEAD).position(is_it);
            let near = near.map(|at| next + at);
            if let Some(at) = near.or_else(|| self.number(event, name, value, admission)) {
                set.insert(at);
                next = at + 1;
            }
        }
    }

    fn number(
        &mut self,
        event: &Event<'_>,
        name: &str,
        value: &Scalar<'_>,
        admission: &Admission,
    ) -> Option<usize> {
        let r#type = ColumnType::of(event.kind, name, value);
        let key = (name.to_ascii_lowercase(), r#type);
        if let Some(number) = self.numbers.get(&key) {
            return Some(*number);
        }
        if !admission.has(name) {
            if self.new >= admission.most_new() {
                return None;
            }
            self.new += 1;
        }
        let number = self.list.len();
        self.list.push((name.to_owned(), r#type));
        self.numbers.insert(key, number);
        Some(number)
    }

    /// Names and types by number.
    pub(crate) fn list(&self) -> &[(String, ColumnType)] {
        &self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_that_were_put_in() {
        let all: Vec<usize> = (0..200).collect();
        let mut set = SignalSet::default();
        assert_eq!((set.count(), set.pick(&all).count()), (0, 0));
        for number in [130, 3, 63, 64, 3, 250] {
            set.insert(number);
        }
        let picked: Vec<_> = set.pick(&all).copied().collect();
        assert_eq!((set.count(), picked), (5, vec![3, 63, 64, 130]));
    }
}
