//! How far an import has come, so that one that stops can say where to go on.

use std::collections::BTreeMap;

/// File and row of an event.
pub(crate) type Place = (usize, u64);

/// Posts are answered in any order; this knows up to which event all are.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Events up to this number are answered.
    answered: u64,
    /// The last of them.
    last: Option<Place>,
    /// Posts answered ahead of others: number of their first event to number past their last, and its place.
    ahead: BTreeMap<u64, (u64, Place)>,
}

impl Progress {
    /// Notes that the events from number `first` on, `count` of them, are answered; the last of them is of `place`.
    pub(crate) fn answered(&mut self, first: u64, count: u64, place: Place) {
        self.ahead.insert(first, (first + count, place));
        while let Some((end, place)) = self.ahead.remove(&self.answered) {
            (self.answered, self.last) = (end, Some(place));
        }
    }

    /// The last event up to which all are answered; `None` if the first is not.
    pub(crate) fn last(&self) -> Option<Place> {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_goes_on_where_the_first_answer_is_missing() {
        let mut progress = Progress::default();
        progress.answered(10, 10, (0, 20));
        assert_eq!(progress.last(), None);
        progress.answered(0, 10, (0, 10));
        progress.answered(30, 5, (1, 5));
        assert_eq!(progress.last(), Some((0, 20)));
        progress.answered(20, 10, (0, 30));
        assert_eq!(progress.last(), Some((1, 5)));
    }
}
