//! Hot rows of hours that a commit has put off: they stay, from the objects that it named, until other commits have
//! taken in the objects to which it wrote their lines. These have the same events once more.

use std::collections::BTreeMap;

use contract::Kinds;
use lake::log::{ByHour, DoneCommit, of_hour};
use lake::rows::KindHour;

/// Whether a commit whose mark has these hours has written the hour. A mark of an older release has none, and its commit
/// has written all.
pub(super) fn has_written(kinds: &Kinds, hours: Option<&ByHour>, (kind, hour): KindHour) -> bool {
    let kind = kinds.iter().nth(kind).map(|kind| kind.name.as_str());
    hours.is_none_or(|hours| of_hour(hours, kind.unwrap_or_default(), hour).is_some())
}

/// A commit that is done and has put off hours.
#[derive(Debug, Clone)]
pub(super) struct PutOff {
    /// Keys of the objects that it named.
    inputs: Vec<String>,
    /// The hours that it has written.
    hours: Option<ByHour>,
    /// The objects with the lines of the others that no commit has taken in yet: their bytes by key.
    waiting: BTreeMap<String, u64>,
}

impl PutOff {
    fn of(commit: &DoneCommit) -> PutOff {
        PutOff {
            inputs: commit.intent.inputs.clone(),
            hours: commit.hours.clone(),
            waiting: commit.put_off.clone(),
        }
    }

    /// Notes a later commit: it may put off once more what it takes in.
    fn note(&mut self, later: &DoneCommit) {
        let mut inputs = later.intent.inputs.iter();
        if inputs.any(|key| self.waiting.contains_key(key)) {
            for key in &later.intent.inputs {
                self.waiting.remove(key);
            }
            self.waiting.extend(later.put_off.clone());
        }
    }
}

/// What is left of the hot rows once some commits are done.
pub(super) struct Left {
    put_off: Vec<PutOff>,
    /// Keys of the objects that are committed; where some of an object's hours wait, the commit in `put_off` that has
    /// put them off.
    inputs: BTreeMap<String, Option<usize>>,
}

impl Left {
    /// `before` are the commits that had put off hours before these were `done`.
    pub(super) fn of(before: &[PutOff], done: &[DoneCommit]) -> Left {
        let mut put_off = before.to_vec();
        let mut inputs = BTreeMap::new();
        for commit in done {
            put_off.iter_mut().for_each(|earlier| earlier.note(commit));
            inputs.extend(commit.intent.inputs.iter().map(|key| (key.clone(), None)));
            if !commit.put_off.is_empty() {
                put_off.push(PutOff::of(commit));
            }
        }
        let mut waiting = Vec::new();
        for commit in put_off {
            let at = (!commit.waiting.is_empty()).then_some(waiting.len());
            inputs.extend(commit.inputs.iter().map(|key| (key.clone(), at)));
            waiting.extend(at.map(|_| commit));
        }
        Left {
            put_off: waiting,
            inputs,
        }
    }

    /// Keys of objects of which rows go.
    pub(super) fn inputs(&self) -> impl Iterator<Item = &str> {
        self.inputs.keys().map(String::as_str)
    }

    /// Key and bytes of each object that is to be read for the hours that wait: events that were not seen in time, in the
    /// objects that are committed, are seen there.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (&str, u64)> {
        let waiting = self.put_off.iter().flat_map(|commit| &commit.waiting);
        waiting.map(|(key, bytes)| (key.as_str(), *bytes))
    }

    /// Whether the rows of this object in this hour are hot no more.
    pub(super) fn is_gone(&self, kinds: &Kinds, key: &str, at: KindHour) -> bool {
        match self.inputs.get(key) {
            None => false,
            Some(None) => true,
            Some(Some(commit)) => has_written(kinds, self.put_off[*commit].hours.as_ref(), at),
        }
    }

    pub(super) fn into_put_off(self) -> Vec<PutOff> {
        self.put_off
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use contract::Hour;
    use lake::log::Intent;
    use uuid::Uuid;

    use super::*;

    fn hour(at: i64) -> Hour {
        Hour::of(chrono::DateTime::from_timestamp(at * 3600, 0).unwrap())
    }

    fn done(commit: u64, inputs: &[&str], hours: &[i64], put_off: &[&str]) -> DoneCommit {
        let hours = hours.iter().map(|at| (hour(*at).to_string(), 1));
        DoneCommit {
            intent: Intent {
                commit,
                writer: Uuid::nil(),
                started_at: Utc::now(),
                bytes: 0,
                inputs: inputs.iter().map(|key| (*key).to_owned()).collect(),
            },
            hours: Some(ByHour::from([("vehicle".to_owned(), hours.collect())])),
            put_off: put_off.iter().map(|key| ((*key).to_owned(), 1)).collect(),
        }
    }

    #[test]
    fn rows_stay_until_all_that_was_put_off_is_committed() {
        let kinds = Kinds::builtin();
        let vehicle = kinds
            .iter()
            .position(|kind| kind.name == "vehicle")
            .unwrap();
        let gone = |left: &Left, key: &str| {
            let hours = (1..=3).filter(|at| left.is_gone(&kinds, key, (vehicle, hour(*at))));
            hours.collect::<Vec<_>>()
        };
        let first = Left::of(&[], &[done(1, &["a"], &[3], &["b", "c"])]);
        assert_eq!((gone(&first, "a"), gone(&first, "b")), (vec![3], vec![]));
        let put_off = first.into_put_off();
        // The second commit puts off once more: its rows of `a` wait with those of `b`.
        let second = Left::of(&put_off, &[done(2, &["b"], &[2], &["d"])]);
        assert_eq!((gone(&second, "a"), gone(&second, "b")), (vec![3], vec![2]));
        let put_off = second.into_put_off();
        let third = Left::of(&put_off, &[done(3, &["c", "x"], &[3], &[])]);
        assert_eq!(
            (gone(&third, "a"), gone(&third, "x")),
            (vec![3], vec![1, 2, 3])
        );
        let put_off = third.into_put_off();
        let last = Left::of(&put_off, &[done(4, &["d"], &[1], &[])]);
        assert_eq!(
            (gone(&last, "a"), gone(&last, "b")),
            (vec![1, 2, 3], vec![1, 2, 3])
        );
        assert!(last.into_put_off().is_empty());
        let all = [done(1, &["a"], &[3], &["b"]), done(2, &["b"], &[1, 2], &[])];
        let at_once = Left::of(&[], &all);
        assert_eq!(gone(&at_once, "a"), [1, 2, 3]);
    }
}
