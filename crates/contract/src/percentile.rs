//! Exact percentiles of small samples.

/// The `q` quantile (0 to 1) of `sorted` (ascending), interpolated linearly between the two
/// nearest ranks, as SQL's `percentile_cont` does; none of an empty sample.
///
/// ```
/// assert_eq!(contract::percentile(&[1.0, 2.0, 4.0], 0.5), Some(2.0));
/// assert_eq!(contract::percentile(&[1.0, 2.0], 0.5), Some(1.5));
/// assert_eq!(contract::percentile(&[], 0.5), None);
/// ```
pub fn percentile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let rank = q.clamp(0.0, 1.0) * last as f64;
    let below = rank.floor() as usize;
    let above = rank.ceil() as usize;
    let fraction = rank - below as f64;
    let (low, high) = (sorted[below], sorted[above]);
    Some(if fraction == 0.0 {
        low
    } else {
        low + (high - low) * fraction
    })
}
