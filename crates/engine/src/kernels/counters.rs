//! What counters grow by. The values of a series are needed in the order of time, and parts and hot rows have them in
//! any: so they are kept until all are there.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::kernels::ask::{Ask, Grouping};
use crate::kernels::numbers::Numbers;
use crate::kernels::rows::{Rows, Texts};
use crate::kernels::runs::{Run, RunFinder};
use crate::kernels::scan_error::ScanError;

/// Values that count as one group against the bound: as much memory as a group takes.
const VALUES_PER_GROUP: usize = 16;

/// Puts the values of a series, each behind its event time, in order, and gives the time of each but the first with what
/// the counter has grown by since the one before: a lesser value is a restart from 0. Of values of one time the greatest
/// is the last.
pub fn growths(values: &mut [(i64, f64)]) -> impl Iterator<Item = (i64, f64)> {
    values.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.total_cmp(&b.1)));
    values.array_windows().map(|[(_, before), (time, value)]| {
        let is_restart = value < before;
        (*time, if is_restart { *value } else { value - before })
    })
}

/// What the counters of an entity have grown by in a time bucket.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Increase {
    pub(crate) bucket: i64,
    pub(crate) entity: Arc<str>,
    /// Place of the signal in [`Ask::signals`].
    pub(crate) signal: usize,
    pub(crate) value: f64,
}

/// A series: place of the signal, number of the entity, number of the labels.
type Series = (usize, u32, u32);

/// The values of series.
#[derive(Debug)]
pub(crate) struct Counters {
    most: usize,
    entities: Numbers,
    labels: Numbers,
    /// Event times in microseconds and values, in no order.
    values: HashMap<Series, Vec<(i64, f64)>, RandomState>,
    /// Number of values.
    kept: usize,
    runs: RunFinder,
}

impl Counters {
    /// None yet. `most` is the bound on groups (`MAX_GROUPS`).
    pub(crate) fn new(most: usize) -> Counters {
        Counters {
            most,
            entities: Numbers::default(),
            labels: Numbers::default(),
            values: HashMap::default(),
            kept: 0,
            runs: RunFinder::default(),
        }
    }

    /// Adds the rows that `ask` looks at.
    pub(crate) fn add(&mut self, rows: &Rows, ask: &Ask) -> Result<(), ScanError> {
        let mut runs = std::mem::take(&mut self.runs);
        let (whole, start) = (Grouping::default(), ask.times.start);
        let added = runs.each_run(rows, ask, whole, start, |run| self.add_run(rows, run));
        self.runs = runs;
        added
    }

    fn add_run(&mut self, rows: &Rows, run: Run) -> Result<(), ScanError> {
        let (Some(key), Some(entities), Some(times)) = (run.entity, &rows.entities, rows.times())
        else {
            return Ok(());
        };
        let entity = self.entities.of_key(entities, key);
        let mut space = Vec::new();
        for (signal, columns) in &rows.signals {
            for values in columns {
                values.filled(run.rows.clone(), |filled| {
                    let numbers = values.numbers(filled.clone(), &mut space);
                    for (row, value) in filled.zip(numbers.into_iter().flatten()) {
                        if value.is_finite() {
                            let labels = self.labels_of(rows.labels.as_ref(), row);
                            let series = self.values.entry((*signal, entity, labels));
                            series.or_default().push((times[row], *value));
                            self.kept += 1;
                        }
                    }
                });
            }
        }
        self.check()
    }

    fn check(&self) -> Result<(), ScanError> {
        if self.values.len() + self.kept / VALUES_PER_GROUP > self.most {
            return Err(ScanError::TooManyGroups { most: self.most });
        }
        Ok(())
    }

    fn labels_of(&mut self, labels: Option<&Texts>, row: usize) -> u32 {
        labels.map_or(0, |texts| self.labels.of_key(texts, texts.keys[row]))
    }

    fn merge(&mut self, other: Counters) -> Result<(), ScanError> {
        for ((signal, entity, labels), mut values) in other.values {
            let text = |name: Option<&Arc<str>>| name.cloned().unwrap_or_default();
            let entity = self.entities.of(&text(other.entities.name(entity)));
            let labels = self.labels.of(&text(other.labels.name(labels)));
            self.kept += values.len();
            let mine = self.values.entry((signal, entity, labels)).or_default();
            mine.append(&mut values);
        }
        self.check()
    }
}

/// What the series of each entity have grown by, in the bucket of the later one of two values that follow each other.
///
/// # Errors
///
/// If together they have too many values.
pub(crate) fn increases(
    found: Vec<Counters>,
    grouping: Grouping,
    times: &Range<i64>,
) -> Result<Vec<Increase>, ScanError> {
    let mut found = found.into_iter();
    let Some(mut all) = found.next() else {
        return Ok(Vec::new());
    };
    found.try_for_each(|other| all.merge(other))?;
    let mut increases: HashMap<(i64, u32, usize), f64, RandomState> = HashMap::default();
    for ((signal, entity, _), mut values) in all.values {
        for (time, growth) in growths(&mut values) {
            let (bucket, _) = grouping.bucket(time, times);
            *increases.entry((bucket, entity, signal)).or_default() += growth;
        }
    }
    let increase = |((bucket, entity, signal), value)| Increase {
        bucket,
        entity: all.entities.name(entity).cloned().unwrap_or_default(),
        signal,
        value,
    };
    Ok(increases.into_iter().map(increase).collect())
}
