//! What the tables of one statement read.

use std::ops::Range;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use datafusion::error::{DataFusionError, Result};
use engine::Engine;
use engine::snapshot::{HourData, Snapshot};

use crate::scan_budget::ScanBudget;

/// The lake at one moment, and how much of it may be looked at.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) engine: Arc<Engine>,
    pub(crate) snapshot: Snapshot,
    pub(crate) budget: Arc<ScanBudget>,
}

impl Source {
    /// The hours of a kind with events of these times, in microseconds since 1970.
    pub(crate) async fn hours(&self, kind: &str, times: &Range<i64>) -> Result<Vec<HourData>> {
        let time =
            |micros: i64, else_time| DateTime::from_timestamp_micros(micros).unwrap_or(else_time);
        let from = time(times.start, DateTime::<Utc>::MIN_UTC);
        let last = DateTime::<Utc>::MAX_UTC - TimeDelta::hours(1);
        let until = time(times.end, last);
        let hours = self.snapshot.hours(kind, from, until).await;
        let hours = hours.map_err(|error| DataFusionError::External(error.into()))?;
        self.budget.take(&hours)?;
        Ok(hours)
    }
}
