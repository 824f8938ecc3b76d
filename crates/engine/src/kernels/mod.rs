//! The questions that telemetry asks all day, answered over columns: count, sum, extremes, mean, spread, percentiles,
//! first and last value of signals, growth of counters, by time bucket and by entity. The parts and hot rows of some hours come in; merged
//! states go out, never merged results, so that it does not matter how events are spread over parts, hot rows and
//! threads.

mod ask;
mod batches;
mod counters;
mod groups;
mod hourly;
mod hourly_lists;
mod long;
mod metric_info;
mod names;
mod numbers;
mod points;
mod rows;
mod runs;
mod scan;
mod scan_error;
mod stat;
mod values;

pub use ask::{Ask, EntityFilter, Grouping, Wanted};
pub use batches::{Batches, RowsAsk, Share, shares};
pub use counters::growths;
pub use groups::{Group, Groups};
pub use metric_info::{MetricInfo, MetricInfos, TOLD_WITHIN};
pub use names::SignalNames;
pub use points::{Place, Point, PointsAsk};
pub use scan::Scanner;
pub use scan_error::ScanError;
pub use stat::{Stat, Value};
