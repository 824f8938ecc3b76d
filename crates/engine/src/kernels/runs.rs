//! Runs of rows that belong to one group. Rows of a part are sorted by entity and time, so runs are long; where they
//! are not, runs are short and the answer is the same.

use std::ops::Range;

use arrow::array::{Array, StringArray};

use crate::kernels::ask::{Ask, Grouping};
use crate::kernels::rows::Rows;

/// Neighbouring rows of one entity, if entities are told apart, and of one time bucket.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) rows: Range<usize>,
    /// The entity's number in the list of the rows.
    pub(crate) entity: Option<i32>,
    /// Start of the bucket.
    pub(crate) bucket: i64,
}

/// Finds runs, and remembers from one batch to the next which numbers stand for entities that are wanted.
#[derive(Debug, Default)]
pub(crate) struct RunFinder {
    names: Option<StringArray>,
    /// For each entity of the list whether it is wanted, where that is known.
    wanted: Vec<Option<bool>>,
}

impl RunFinder {
    /// Calls `each` with the runs of the rows that `ask` looks at, in the order of the rows. Rows without times all
    /// lie in one bucket, `bucket`, and in the times asked for.
    pub(crate) fn each_run<E>(
        &mut self,
        rows: &Rows,
        ask: &Ask,
        grouping: Grouping,
        bucket: i64,
        mut each: impl FnMut(Run) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut start = 0;
        while start < rows.length {
            let (entity, end) = self.entity_run(rows, start);
            if entity.is_none_or(|entity| self.is_wanted(rows, entity, ask)) {
                match rows.times() {
                    None => each(Run {
                        rows: start..end,
                        entity,
                        bucket,
                    })?,
                    Some(times) => {
                        let mut at = start;
                        while at < end {
                            if !ask.times.contains(&times[at]) {
                                at += 1;
                                continue;
                            }
                            let (bucket, within) = grouping.bucket(times[at], &ask.times);
                            let others = times[at..end].iter();
                            let length = others.take_while(|time| within.contains(time)).count();
                            each(Run {
                                rows: at..at + length,
                                entity,
                                bucket,
                            })?;
                            at += length;
                        }
                    }
                }
            }
            start = end;
        }
        Ok(())
    }

    /// The entity of the row, and the row at which another one begins.
    fn entity_run(&mut self, rows: &Rows, start: usize) -> (Option<i32>, usize) {
        let Some(entities) = &rows.entities else {
            return (None, rows.length);
        };
        if !self
            .names
            .as_ref()
            .is_some_and(|names| entities.is_same_list(names))
        {
            self.names = Some(entities.names.clone());
            self.wanted = vec![None; entities.names.len()];
        }
        let key = entities.keys[start];
        let length = entities.keys[start..]
            .iter()
            .take_while(|other| **other == key)
            .count();
        (Some(key), start + length)
    }

    fn is_wanted(&mut self, rows: &Rows, entity: i32, ask: &Ask) -> bool {
        let (Some(entities), Some(wanted)) = (&rows.entities, self.wanted.get_mut(entity as usize))
        else {
            return false;
        };
        *wanted.get_or_insert_with(|| ask.entities.takes(entities.name(entity)))
    }
}
