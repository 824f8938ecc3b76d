//! Statistics of a window.

/// Statistics of the values of one series in a window, of one value at least. They are a function of the window's
/// values and their times, whatever the order in which these came; sums may differ in the last digits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stat {
    /// Number of values.
    pub count: u64,
    /// Sum of the values.
    pub sum: f64,
    /// Sum of the squared distances from the mean.
    pub squares: f64,
    /// The least value.
    pub min: f64,
    /// The greatest value.
    pub max: f64,
    /// The value with the earliest time; of several with this time the least.
    pub first: f64,
    /// Its time.
    pub first_at: i64,
    /// The value with the latest time; of several with this time the greatest.
    pub last: f64,
    /// Its time.
    pub last_at: i64,
    /// How often the value changed, as seen in the first and the last value of each pane: with up to two values in a
    /// pane, every change. Changes there and back between the first and the last value of a pane are not seen.
    pub changes: u64,
    /// How much a counter grew, as seen in the first and the last value of each pane. A value below the one before
    /// is a restart from 0, as in Prometheus' `increase`; nothing is extrapolated.
    pub increase: f64,
}

impl Stat {
    /// Statistics of one value.
    pub fn of(at: i64, value: f64) -> Stat {
        Stat {
            count: 1,
            sum: value,
            squares: 0.0,
            min: value,
            max: value,
            first: value,
            first_at: at,
            last: value,
            last_at: at,
            changes: 0,
            increase: 0.0,
        }
    }

    /// Statistics of this window and a later one. Associative.
    pub fn then(&self, later: &Stat) -> Stat {
        Stat {
            count: self.count + later.count,
            sum: self.sum + later.sum,
            squares: merged_squares(
                (self.count, self.sum, self.squares),
                (later.count, later.sum, later.squares),
            ),
            min: self.min.min(later.min),
            max: self.max.max(later.max),
            first: self.first,
            first_at: self.first_at,
            last: later.last,
            last_at: later.last_at,
            changes: self.changes + later.changes + u64::from(self.last != later.first),
            increase: self.increase + later.increase + growth(self.last, later.first),
        }
    }

    /// The mean of the values. Infinite if their sum is beyond the largest double.
    pub fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }

    /// The variance of the values as a population, as PromQL's `stdvar_over_time` has it; 0 of one value.
    pub fn variance(&self) -> f64 {
        self.squares / self.count as f64
    }

    /// The square root of the variance.
    pub fn stddev(&self) -> f64 {
        self.variance().sqrt()
    }
}

/// How much a counter grew from one value to the next one.
pub(crate) fn growth(from: f64, to: f64) -> f64 {
    if to >= from { to - from } else { to }
}

/// Sum of squared distances from the mean of two samples together, from (count, sum, squares) of each: Chan, Golub and
/// LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979).
pub(crate) fn merged_squares(a: (u64, f64, f64), b: (u64, f64, f64)) -> f64 {
    let (count_a, count_b) = (a.0 as f64, b.0 as f64);
    let distance = b.1 / count_b - a.1 / count_a;
    a.2 + b.2 + distance * distance * (count_a * count_b / (count_a + count_b))
}
