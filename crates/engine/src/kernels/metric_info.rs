//! What senders have told of their metrics: the events of the kind [`METRIC_INFO`](contract::METRIC_INFO).

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;

use crate::kernels::ask::{Ask, EntityFilter};
use crate::kernels::points::{Point, PointsAsk};
use crate::kernels::scan::Scanner;
use crate::kernels::scan_error::ScanError;
use crate::kernels::stat::Value;
use crate::snapshot::HourData;

/// Each metric is told once a day, as of its beginning.
pub const TOLD_WITHIN: TimeDelta = TimeDelta::days(2);

/// Most values that are looked at: three of each of a hundred thousand metrics.
const MOST: usize = 300_000;

/// What a histogram's and a counter's samples have behind the name that is told, where their values have its unit.
const SUFFIXES: [&str; 4] = ["_sum", "_min", "_max", "_total"];

/// What was told last of a metric.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetricInfo {
    /// Such as `counter` or `histogram`.
    pub r#type: Option<Arc<str>>,
    /// The unit of its values.
    pub unit: Option<Arc<str>>,
    /// What it is, for people.
    pub description: Option<Arc<str>>,
}

/// What was told last of each metric.
#[derive(Debug, Clone, Default)]
pub struct MetricInfos(BTreeMap<Arc<str>, MetricInfo>);

impl MetricInfos {
    /// What was told of the metric whose samples have this name.
    pub fn of(&self, signal: &str) -> Option<&MetricInfo> {
        self.0.get(signal).or_else(|| {
            let mut suffixes = SUFFIXES.iter();
            let family = suffixes.find_map(|suffix| signal.strip_suffix(suffix))?;
            self.0.get(family)
        })
    }
}

impl Scanner {
    /// What was told of metrics in these hours of the kind [`METRIC_INFO`](contract::METRIC_INFO).
    ///
    /// # Errors
    ///
    /// As for [`points`](Self::points).
    pub async fn metric_infos(&self, hours: &[HourData]) -> Result<MetricInfos, ScanError> {
        let fields = ["type", "unit", "description"];
        let ask = Arc::new(Ask {
            signals: fields.map(str::to_owned).to_vec(),
            times: i64::MIN..i64::MAX,
            entities: EntityFilter::All,
        });
        let all = PointsAsk {
            most: MOST,
            from: None,
        };
        let mut infos = MetricInfos::default();
        // In the order of time: the last one stays.
        for Point { place, value } in self.points(hours, &ask, all).await? {
            let Value::Text(text) = value else { continue };
            let info = infos.0.entry(place.entity).or_default();
            let field = match place.signal {
                0 => &mut info.r#type,
                1 => &mut info.unit,
                _ => &mut info.description,
            };
            *field = Some(text);
        }
        Ok(infos)
    }
}
