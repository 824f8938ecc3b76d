//! Quantiles in little memory; sketches merge in any order with the same result.

use crate::aggregates::bins::Bins;

/// Most values of which each is kept as it is.
pub const EXACT: usize = 128;

/// Values of a signal, for quantiles. Up to [`EXACT`] values are kept as they are; past that a sketch counts them in
/// bins, and knows each value to within [`ACCURACY`](crate::aggregates::ACCURACY) of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Sketch(pub(crate) Form);

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Form {
    /// The values themselves, ascending by [`f64::total_cmp`].
    Exact(Vec<f64>),
    Bins(Bins),
    /// No value is kept, of a signal that is declared without quantiles.
    None,
}

impl Default for Sketch {
    fn default() -> Sketch {
        Sketch(Form::Exact(Vec::new()))
    }
}

impl Sketch {
    /// The sketch of finite values that ascend by [`f64::total_cmp`].
    pub fn of_sorted(values: &[f64]) -> Sketch {
        Sketch(if values.len() <= EXACT {
            Form::Exact(values.to_vec())
        } else {
            Form::Bins(Bins::of_sorted(values))
        })
    }

    /// The sketch that keeps no value and has no quantile; nor has any that it is merged with.
    pub fn none() -> Sketch {
        Sketch(Form::None)
    }

    /// The values, ascending, where each is kept.
    pub(crate) fn exact(&self) -> Option<&[f64]> {
        match &self.0 {
            Form::Exact(values) if !values.is_empty() => Some(values),
            _ => None,
        }
    }

    /// Bytes of memory that the values or bins take.
    pub fn bytes(&self) -> usize {
        match &self.0 {
            Form::Exact(values) => size_of_val(&values[..]),
            Form::Bins(bins) => size_of_val(&bins.negative[..]) + size_of_val(&bins.positive[..]),
            Form::None => 0,
        }
    }

    /// Adds finite values, in any order, which may change.
    pub fn add(&mut self, values: &mut [f64]) {
        match &mut self.0 {
            Form::None => {}
            Form::Exact(mine) if mine.len() + values.len() <= EXACT => {
                values.sort_unstable_by(f64::total_cmp);
                self.merge(&Sketch::of_sorted(values));
            }
            Form::Exact(mine) => {
                let mut bins = Bins::of_sorted(mine);
                bins.add(values);
                self.0 = Form::Bins(bins);
            }
            Form::Bins(bins) => bins.add(values),
        }
    }

    /// Adds all values of `other`.
    pub fn merge(&mut self, other: &Sketch) {
        match (&mut self.0, &other.0) {
            (Form::None, _) => {}
            (_, Form::None) => self.0 = Form::None,
            (Form::Exact(mine), Form::Exact(theirs)) => {
                mine.extend_from_slice(theirs);
                // A stable sort finds the two ascending runs and merges them.
                mine.sort_by(f64::total_cmp);
                if mine.len() > EXACT {
                    self.0 = Form::Bins(Bins::of_sorted(mine));
                }
            }
            (Form::Exact(mine), Form::Bins(theirs)) => {
                let mut bins = Bins::of_sorted(mine);
                bins.merge(theirs);
                self.0 = Form::Bins(bins);
            }
            (Form::Bins(mine), Form::Exact(theirs)) => mine.merge(&Bins::of_sorted(theirs)),
            (Form::Bins(mine), Form::Bins(theirs)) => mine.merge(theirs),
        }
    }

    /// The quantiles `qs` (0 to 1), each interpolated between the two nearest ranks like SQL's `percentile_cont`; none
    /// of an empty sketch. Exact up to [`EXACT`] values; past that the value of each rank has a relative error of at
    /// most [`ACCURACY`](crate::aggregates::ACCURACY).
    pub fn quantiles<const N: usize>(&self, qs: [f64; N]) -> Option<[f64; N]> {
        match &self.0 {
            Form::None => None,
            Form::Exact(values) if values.is_empty() => None,
            Form::Exact(values) => {
                Some(qs.map(|q| contract::percentile(values, q).unwrap_or_default()))
            }
            Form::Bins(bins) => Some(bins.quantiles(qs)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::aggregates::ACCURACY;

    const QS: [f64; 5] = [0.0, 0.5, 0.95, 0.99, 1.0];

    fn of(values: &[f64]) -> Sketch {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        Sketch::of_sorted(&sorted)
    }

    fn values() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec(
            prop_oneof![-1e6..1e6_f64, 0.0..100.0_f64, Just(0.0), -1e-9..1e-9_f64],
            1..600,
        )
    }

    proptest! {
        #[test]
        fn each_ranks_value_is_within_the_stated_accuracy(values in values()) {
            let mut sorted = values.clone();
            sorted.sort_unstable_by(f64::total_cmp);
            let sketch = of(&values);
            for (rank, value) in sorted.iter().enumerate() {
                // Rounding may pick a neighbour of the rank.
                let q = rank as f64 / (sorted.len().max(2) - 1) as f64;
                let [found] = sketch.quantiles([q]).unwrap();
                let near = |other: &f64| (found - other).abs() <= other.abs() * ACCURACY * 1.001 + 1e-12;
                let neighbours = [rank.saturating_sub(1), rank, (rank + 1).min(sorted.len() - 1)];
                prop_assert!(neighbours.iter().any(|at| near(&sorted[*at])) || (found >= sorted[neighbours[0]] && found <= sorted[neighbours[2]]), "rank {rank}: {found} for {value}");
            }
        }

        #[test]
        fn merging_in_any_order_and_grouping_gives_the_same_quantiles(values in values(), at in 0.0..1.0_f64) {
            let cut = (values.len() as f64 * at) as usize;
            let (left, right) = values.split_at(cut);
            let whole = of(&values);
            let mut one = of(left);
            one.merge(&of(right));
            let mut other = of(right);
            other.merge(&of(left));
            prop_assert_eq!(one.quantiles(QS), whole.quantiles(QS));
            prop_assert_eq!(other.quantiles(QS), whole.quantiles(QS));
        }
    }

    proptest! {
        #[test]
        fn adding_values_as_they_come_gives_the_sketch_of_all(values in values(), some in 1..300_usize) {
            let mut added = Sketch::default();
            values.clone().chunks_mut(some).for_each(|values| added.add(values));
            prop_assert_eq!(added, of(&values));
        }
    }

    #[test]
    fn few_values_are_exact() {
        assert_eq!(
            of(&[1.0, 2.0, 4.0, 8.0]).quantiles([0.5, 0.25]),
            Some([3.0, 1.75])
        );
        assert_eq!(Sketch::default().quantiles([0.5]), None);
    }
}
