//! Exact percentiles of small samples.

/// The `q` quantile (0 to 1) of `sorted` (ascending), interpolated linearly between the two
/// nearest ranks, as SQL's `percentile_cont` does; `None` for an empty sample. A `q` outside 0 to 1 is
/// taken as the nearer of the two.
///
/// It stands in this crate because log lines, the lake's aggregates and the measuring tools must mean
/// the same by p95.
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
    Some(interpolate(low, high, fraction))
}

/// The value at `fraction` (0 to 1) of the way from `low` to `high`, which are finite; so is the value.
pub fn interpolate(low: f64, high: f64, fraction: f64) -> f64 {
    let way = high - low;
    if fraction == 0.0 {
        low
    } else if way.is_finite() {
        low + way * fraction
    } else {
        // The way is longer than the largest double, and both ends are far from zero.
        low * (1.0 - fraction) + high * fraction
    }
}
