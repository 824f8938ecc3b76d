//! What the tables of one statement read.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{FieldRef, Schema};
use chrono::{DateTime, TimeDelta, Utc};
use contract::METRIC_INFO;
use datafusion::error::{DataFusionError, Result};
use engine::Engine;
use engine::kernels::{EntityFilter, MetricInfos, RowsAsk, ScanError, TOLD_WITHIN, shares};
use engine::snapshot::{HourData, Snapshot};
use futures::TryStreamExt;

use crate::scan_budget::ScanBudget;

/// The lake at one moment, and how much of it may be looked at.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) engine: Arc<Engine>,
    pub(crate) snapshot: Snapshot,
    pub(crate) budget: Arc<ScanBudget>,
}

impl Source {
    /// The names of the signals in these hours of a long kind, whose column of names is `name`.
    pub(crate) async fn signal_names(
        &self,
        hours: &[HourData],
        name: &FieldRef,
    ) -> Result<BTreeSet<String>> {
        let external = |error: ScanError| DataFusionError::External(error.into());
        let scanner = &self.engine.scanner;
        let mut found = scanner.signal_names(hours).await.map_err(external)?;
        if !found.has_others {
            return Ok(found.names);
        }
        // A part has so many names that its footer does not tell them: the column of all rows does.
        let ask = RowsAsk {
            schema: Arc::new(Schema::new(vec![name.clone()])),
            times: i64::MIN..i64::MAX,
            entities: EntityFilter::All,
        };
        for share in shares(hours, 1) {
            let mut rows = scanner.rows(share, ask.clone());
            while let Some(batch) = rows.try_next().await.map_err(external)? {
                let names = batch.column(0).as_string_opt::<i32>();
                for name in names.into_iter().flatten().flatten() {
                    if !found.names.contains(name) {
                        found.names.insert(name.to_owned());
                    }
                }
            }
        }
        Ok(found.names)
    }

    /// What was told of metrics until the end of these times, in microseconds since 1970.
    pub(crate) async fn metric_infos(&self, times: &Range<i64>) -> Result<MetricInfos> {
        let external = |error| DataFusionError::External(error);
        let last = DateTime::<Utc>::MAX_UTC;
        let until = DateTime::from_timestamp_micros(times.end).unwrap_or(last);
        let told = self.snapshot.last_hours(METRIC_INFO, until, TOLD_WITHIN);
        let hours = told.await.map_err(|error| external(error.into()))?;
        let infos = self.engine.scanner.metric_infos(&hours).await;
        infos.map_err(|error| external(error.into()))
    }

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
