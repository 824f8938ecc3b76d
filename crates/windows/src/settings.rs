//! What bounds the windows, and what they count.

use std::collections::{BTreeMap, BTreeSet};

/// Length of a pane, in milliseconds: panes and window ends lie at multiples of it since 1970.
pub const PANE: i64 = 10_000;

/// How much is held, and for how long. Times are milliseconds; ranges and lateness are rounded up to whole panes.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Longest window that is asked for; 1 minute by default.
    pub range: i64,
    /// Longest window of single signals, by name, where it is not `range`. A window of an hour of one signal then
    /// costs memory for this signal alone.
    pub ranges: BTreeMap<String, i64>,
    /// How long after its window end an event still changes its windows; 5 minutes by default, and one pane at least.
    pub lateness: i64,
    /// How far ahead of its arrival an event may be stamped; 1 hour by default, as far as contracts let it be.
    pub ahead: i64,
    /// A series without an event for so long is forgotten; 1 day by default. Not less than its panes are held.
    pub forget_after: i64,
    /// Most series that are held, 4,000,000 by default. Past it samples of new series are left out
    /// ([`Counts::no_room`]), until series are forgotten.
    pub max_series: usize,
    /// Signals of which quantiles are asked.
    pub quantiles: BTreeSet<String>,
    /// Signals of which every change is told by [`Windows::take_changed`](crate::Windows::take_changed), rather than
    /// late ones alone.
    pub watched: BTreeSet<String>,
    /// The score at which an anomaly begins, 3.0 by default; None where no series is scored.
    pub anomaly_threshold: Option<f64>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            range: 60_000,
            ranges: BTreeMap::new(),
            lateness: 300_000,
            ahead: 3_600_000,
            forget_after: 86_400_000,
            max_series: 4_000_000,
            quantiles: BTreeSet::new(),
            watched: BTreeSet::new(),
            anomaly_threshold: Some(3.0),
        }
    }
}

/// What the windows have met since they were made. A sample is one signal of one event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Samples that were taken into a pane.
    pub taken: u64,
    /// Those of `taken` that came after a window with them had been given, within the lateness.
    pub late: u64,
    /// Samples left out because they came later than the lateness allows. They stand in the lake.
    pub too_late: u64,
    /// Samples left out because their time lies further ahead of their arrival than [`Settings::ahead`].
    pub too_far_ahead: u64,
    /// Samples that were taken although their time lies more than 5 s ahead of their arrival: a device's clock is fast.
    pub clock_ahead: u64,
    /// Samples left out because [`Settings::max_series`] was reached.
    pub no_room: u64,
    /// Samples left out because they are not finite numbers.
    pub not_finite: u64,
    /// Series that were forgotten, for they had no event for [`Settings::forget_after`].
    pub forgotten: u64,
}
