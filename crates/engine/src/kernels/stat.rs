//! The state of one signal in one group; states merge.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use lake::aggregates::{EXACT, Sketch, Stats};

use crate::kernels::ask::Wanted;
use crate::kernels::values::Values;

/// Values that are gathered before they go into a sketch.
const GATHERED: usize = 512;

/// A value of a signal.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number; booleans are 0 and 1.
    Number(f64),
    /// A text.
    Text(Arc<str>),
}

impl Value {
    /// A total order: numbers by [`f64::total_cmp`], then texts by their bytes.
    pub fn total_cmp(&self, other: &Value) -> Ordering {
        match (self, other) {
            (Value::Number(a), Value::Number(b)) => a.total_cmp(b),
            (Value::Text(a), Value::Text(b)) => a.cmp(b),
            (Value::Number(_), Value::Text(_)) => Ordering::Less,
            (Value::Text(_), Value::Number(_)) => Ordering::Greater,
        }
    }
}

/// What is known of the values of one signal. Merging in any order gives the same, but for the last digits of sums.
#[derive(Debug, Clone, PartialEq)]
pub struct Stat {
    /// Number of values, texts included.
    pub count: u64,
    texts: u64,
    /// Values that are no number (NaN): no event that was posted has one, other writers' files may.
    nans: u64,
    sum: f64,
    /// Infinite if there is no number.
    min: f64,
    max: f64,
    /// Sum of squared distances from the mean.
    squares: f64,
    ends: Option<Box<Ends>>,
    quantiles: Option<Box<Quantiles>>,
    increase: Option<f64>,
}

/// First and last value, each with its event time in microseconds. Of values of one time, the first is the least and
/// the last is the greatest by [`Value::total_cmp`], so that it does not depend on the order of rows.
#[derive(Debug, Clone, PartialEq)]
struct Ends {
    first: (i64, Value),
    last: (i64, Value),
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Quantiles {
    sketch: Sketch,
    /// Not yet in the sketch.
    gathered: Vec<f64>,
    /// Whether values stay in `gathered`, none of them in the sketch.
    is_exact: bool,
}

impl Default for Stat {
    fn default() -> Stat {
        Stat {
            count: 0,
            texts: 0,
            nans: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            squares: 0.0,
            ends: None,
            quantiles: None,
            increase: None,
        }
    }
}

impl Stat {
    /// The state of an hour's values, as its aggregates have it; none if `wanted` asks for more than they tell.
    pub(crate) fn of_hour(stats: &Stats, wanted: Wanted) -> Option<Stat> {
        let numbers = stats.count - stats.texts;
        let keeps_none = || stats.sketch.quantiles([0.5]).is_none();
        if wanted.ends || wanted.exact || wanted.quantiles && numbers > 0 && keeps_none() {
            return None;
        }
        let of_values = |sketch: &Sketch| {
            Box::new(Quantiles {
                sketch: sketch.clone(),
                ..Quantiles::default()
            })
        };
        Some(Stat {
            count: stats.count,
            texts: stats.texts,
            sum: if numbers > 0 {
                stats.mean * numbers as f64
            } else {
                0.0
            },
            min: stats.min,
            max: stats.max,
            squares: stats.deviation * stats.deviation * numbers as f64,
            quantiles: (wanted.quantiles && numbers > 0).then(|| of_values(&stats.sketch)),
            ..Stat::default()
        })
    }

    /// Adds the values of these rows; `times` are the event times of all rows, which `wanted.ends` needs.
    pub(crate) fn add(
        &mut self,
        values: &Values,
        rows: Range<usize>,
        times: Option<&[i64]>,
        wanted: Wanted,
        space: &mut Vec<f64>,
    ) {
        values.filled(rows, |rows| {
            match values.numbers(rows.clone(), space) {
                Some(numbers) => self.add_numbers(numbers, wanted),
                None => {
                    self.count += rows.len() as u64;
                    self.texts += rows.len() as u64;
                }
            }
            if let Some(times) = times.filter(|_| wanted.ends) {
                self.add_ends(values, rows, times);
            }
        });
    }

    fn add_numbers(&mut self, numbers: &[f64], wanted: Wanted) {
        let (sum, min, max) = sum_and_extremes(numbers);
        let mut added = Stat {
            count: numbers.len() as u64,
            sum,
            min,
            max,
            ..Stat::default()
        };
        if sum.is_nan() {
            added.nans = numbers.iter().filter(|number| number.is_nan()).count() as u64;
        }
        if wanted.spread {
            let mean = sum / numbers.len() as f64;
            let squares = numbers
                .iter()
                .map(|number| (number - mean) * (number - mean));
            added.squares = squares.sum();
        }
        self.merge_moments(&added);
        if wanted.quantiles {
            let quantiles = self.quantiles.get_or_insert_default();
            quantiles.is_exact = wanted.exact;
            for some in numbers.chunks(GATHERED) {
                let finite = some.iter().filter(|number| number.is_finite());
                quantiles.gathered.extend(finite);
                if quantiles.gathered.len() >= GATHERED && !wanted.exact {
                    quantiles.settle();
                }
            }
        }
    }

    fn add_ends(&mut self, values: &Values, rows: Range<usize>, times: &[i64]) {
        let Some(here) = times.get(rows.clone()) else {
            return;
        };
        let (mut least, mut greatest) = (i64::MAX, i64::MIN);
        for time in here {
            least = least.min(*time);
            greatest = greatest.max(*time);
        }
        let known = self.ends.as_deref();
        let is_new = |ends: &Ends| least <= ends.first.0 || greatest >= ends.last.0;
        if !known.is_none_or(is_new) {
            return;
        }
        for (row, time) in rows.zip(here) {
            if *time == least || *time == greatest {
                let value = values.value(row);
                self.merge_ends(&Ends {
                    first: (*time, value.clone()),
                    last: (*time, value),
                });
            }
        }
    }

    /// Adds all values of `other`.
    pub fn merge(&mut self, other: &Stat) {
        self.merge_moments(other);
        if let Some(ends) = other.ends.as_deref() {
            self.merge_ends(ends);
        }
        if let Some(increase) = other.increase {
            self.add_increase(increase);
        }
        if let Some(theirs) = other.quantiles.as_deref() {
            let mine = self.quantiles.get_or_insert_default();
            mine.is_exact |= theirs.is_exact;
            mine.gathered.extend(&theirs.gathered);
            if !mine.is_exact {
                mine.settle();
                mine.sketch.merge(&theirs.sketch);
            }
        }
    }

    /// Adds what a counter has grown by.
    pub(crate) fn add_increase(&mut self, increase: f64) {
        *self.increase.get_or_insert_default() += increase;
    }

    /// Chan, Golub, LeVeque (1979), for the squares.
    fn merge_moments(&mut self, other: &Stat) {
        let (mine, theirs) = (self.numbers() as f64, other.numbers() as f64);
        if theirs > 0.0 {
            self.squares += other.squares;
            if mine > 0.0 {
                let way = other.sum / theirs - self.sum / mine;
                self.squares += way * way * mine * theirs / (mine + theirs);
            }
            self.sum += other.sum;
            self.min = self.min.min(other.min);
            self.max = self.max.max(other.max);
        }
        self.count += other.count;
        self.texts += other.texts;
        self.nans += other.nans;
    }

    fn merge_ends(&mut self, other: &Ends) {
        let by_time = |a: &(i64, Value), b: &(i64, Value)| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1));
        match self.ends.as_deref_mut() {
            None => self.ends = Some(Box::new(other.clone())),
            Some(ends) => {
                if by_time(&other.first, &ends.first).is_lt() {
                    ends.first = other.first.clone();
                }
                if by_time(&other.last, &ends.last).is_gt() {
                    ends.last = other.last.clone();
                }
            }
        }
    }

    /// Values that are numbers or booleans.
    pub fn numbers(&self) -> u64 {
        self.count - self.texts
    }

    /// Sum of the numbers; none without a number. Not finite where a value is not, or the sum is past the largest
    /// double.
    pub fn sum(&self) -> Option<f64> {
        (self.numbers() > 0).then_some(self.sum)
    }

    /// Mean of the numbers; none without a number.
    pub fn avg(&self) -> Option<f64> {
        (self.numbers() > 0).then(|| self.sum / self.numbers() as f64)
    }

    /// Least number; none without a number. NaN counts as greater than any other, as in PostgreSQL.
    pub fn min(&self) -> Option<f64> {
        let all_nan = self.nans == self.numbers();
        (self.numbers() > 0).then_some(if all_nan { f64::NAN } else { self.min })
    }

    /// Greatest number; none without a number.
    pub fn max(&self) -> Option<f64> {
        let max = if self.nans > 0 { f64::NAN } else { self.max };
        (self.numbers() > 0).then_some(max)
    }

    /// Sample standard deviation (divided by n − 1) of the numbers; none of fewer than two.
    pub fn stddev(&self) -> Option<f64> {
        let numbers = self.numbers() as f64;
        (numbers >= 2.0).then(|| (self.squares / (numbers - 1.0)).sqrt())
    }

    /// The quantile `q` (0 to 1) of the finite numbers; none without one. Exact up to [`EXACT`] values, past that
    /// within [`lake::aggregates::ACCURACY`] of the value of its rank.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let mut quantiles = Cow::Borrowed(self.quantiles.as_deref()?);
        if !quantiles.is_settled() {
            quantiles.to_mut().settle();
        }
        let value = if quantiles.is_exact {
            contract::percentile(&quantiles.gathered, q)?
        } else {
            let [value] = quantiles.sketch.quantiles([q])?;
            value
        };
        Some(value.clamp(self.min.max(f64::MIN), self.max.min(f64::MAX)))
    }

    /// Whether [`quantile`](Self::quantile) is approximate.
    pub fn is_approximate(&self) -> bool {
        let is_exact = |quantiles: &Quantiles| quantiles.is_exact;
        self.numbers() > EXACT as u64 && !self.quantiles.as_deref().is_some_and(is_exact)
    }

    /// Event time in microseconds and value of the first value.
    pub fn first(&self) -> Option<&(i64, Value)> {
        self.ends.as_deref().map(|ends| &ends.first)
    }

    /// Event time in microseconds and value of the last value.
    pub fn last(&self) -> Option<&(i64, Value)> {
        self.ends.as_deref().map(|ends| &ends.last)
    }

    /// What the counters have grown by; none where no value follows another of its series.
    pub fn increase(&self) -> Option<f64> {
        self.increase
    }

    /// Puts all values into the sketch, so that reading several quantiles is quick.
    pub(crate) fn settle(&mut self) {
        if let Some(quantiles) = self.quantiles.as_deref_mut() {
            quantiles.settle();
        }
    }

    /// Bytes of memory beside the state's own.
    pub(crate) fn extra_bytes(&self) -> usize {
        let of =
            |quantiles: &Quantiles| quantiles.sketch.bytes() + quantiles.gathered.capacity() * 8;
        self.quantiles.as_deref().map_or(0, of)
    }
}

impl Quantiles {
    fn is_settled(&self) -> bool {
        let ascends = |a: &f64, b: &f64| a.total_cmp(b).is_le();
        self.gathered.is_empty() || self.is_exact && self.gathered.is_sorted_by(ascends)
    }

    fn settle(&mut self) {
        if self.is_settled() {
            return;
        }
        if self.is_exact {
            self.gathered.sort_unstable_by(f64::total_cmp);
        } else {
            self.sketch.add(&mut self.gathered);
            self.gathered.clear();
        }
    }
}

impl Values {
    /// The value of a row that has one.
    pub(crate) fn value(&self, row: usize) -> Value {
        match self {
            Values::Number(column) => Value::Number(column.value(row)),
            Values::Integer(column) => Value::Number(column.value(row) as f64),
            Values::Boolean(column) => Value::Number(f64::from(u8::from(column.value(row)))),
            Values::Text(column) => Value::Text(column.value(row).into()),
        }
    }
}

/// Numbers that are added side by side, so that the processor can do so in one instruction.
const LANES: usize = 8;

/// Sum, least and greatest of numbers; NaN is in the sum only.
fn sum_and_extremes(numbers: &[f64]) -> (f64, f64, f64) {
    let mut sums = [0.0; LANES];
    let mut mins = [f64::INFINITY; LANES];
    let mut maxes = [f64::NEG_INFINITY; LANES];
    let (blocks, rest) = numbers.as_chunks::<LANES>();
    for block in blocks {
        for lane in 0..LANES {
            let number = block[lane];
            sums[lane] += number;
            mins[lane] = if number < mins[lane] {
                number
            } else {
                mins[lane]
            };
            maxes[lane] = if number > maxes[lane] {
                number
            } else {
                maxes[lane]
            };
        }
    }
    let mut sum = sums.iter().sum::<f64>();
    let mut min = mins.into_iter().fold(f64::INFINITY, f64::min);
    let mut max = maxes.into_iter().fold(f64::NEG_INFINITY, f64::max);
    for number in rest {
        sum += number;
        min = min.min(*number);
        max = max.max(*number);
    }
    (sum, min, max)
}
