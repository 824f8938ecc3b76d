//! The metrics of the snapshot.

use metrics::{counter, gauge};

/// Last commit whose parts are in the snapshot.
pub const COMMIT: &str = "headwater_query_commit";
/// Bytes of memory that hot rows take.
pub const HOT_BYTES: &str = "headwater_query_hot_bytes";
/// Number of hot rows.
pub const HOT_ROWS: &str = "headwater_query_hot_rows";
/// Raw objects whose rows are hot.
pub const HOT_OBJECTS: &str = "headwater_query_hot_objects";
/// Raw objects that were found and not read yet.
pub const WAITING_OBJECTS: &str = "headwater_query_waiting_objects";
/// 1 while no further object is read because HOT_LIMIT is reached, else 0.
pub const HOT_FULL: &str = "headwater_query_hot_full";
/// Age of the snapshot in seconds: how long ago all that had landed was in it.
pub const AGE: &str = "headwater_query_snapshot_age_seconds";
/// Looks at the lake that failed.
pub const FAILED_REFRESHES: &str = "headwater_query_failed_refreshes_total";
/// Lines of `raw/` that are no rows, by reason.
pub const REFUSED: &str = "headwater_query_refused_lines_total";

/// Hours with parts that groups were asked of as whole hours, by what answered: `aggregates` or `events`.
pub const HOURS: &str = "headwater_query_hours_total";

/// Counts an hour that groups were asked of.
pub(crate) fn answered_hour(by_aggregates: bool) {
    let from = if by_aggregates {
        "aggregates"
    } else {
        "events"
    };
    counter!(HOURS, "from" => from).increment(1);
}

/// Counts a line of `raw/` that is no row, by its reason.
pub(crate) fn refused(reason: &str) {
    counter!(REFUSED, "reason" => reason.to_owned()).increment(1);
}

/// Counts a refresh; one that succeeded adds 0, so that the metric exists from the first one on.
pub(crate) fn refreshed(failed: bool) {
    counter!(FAILED_REFRESHES).increment(failed.into());
}

/// Sizes of the snapshot.
pub(crate) struct Sizes {
    pub(crate) commit: u64,
    pub(crate) hot_bytes: u64,
    pub(crate) hot_rows: usize,
    pub(crate) hot_objects: usize,
    pub(crate) waiting: usize,
    pub(crate) is_full: bool,
}

impl Sizes {
    pub(crate) fn show(&self) {
        gauge!(COMMIT).set(self.commit as f64);
        gauge!(HOT_BYTES).set(self.hot_bytes as f64);
        gauge!(HOT_ROWS).set(self.hot_rows as f64);
        gauge!(HOT_OBJECTS).set(self.hot_objects as f64);
        gauge!(WAITING_OBJECTS).set(self.waiting as f64);
        gauge!(HOT_FULL).set(f64::from(u8::from(self.is_full)));
    }
}

/// Shows how old the snapshot is.
pub fn age(seconds: f64) {
    gauge!(AGE).set(seconds);
}
