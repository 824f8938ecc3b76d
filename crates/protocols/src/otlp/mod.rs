//! OpenTelemetry's metrics over HTTP, [OTLP 1](https://opentelemetry.io/docs/specs/otlp/#otlphttp), in Protocol Buffers
//! and in JSON.

pub(crate) mod answer;
pub(crate) mod json;
pub(crate) mod protobuf;

use serde_json::Value as Json;

use crate::emit::{Emit, Stop};
use crate::histogram::{Exponential, MAX_BUCKETS, le, too_many_buckets};
use crate::point::{Label, Point, Value};

/// Bit of `flags`: the series has ended, and there is no value.
const NO_RECORDED_VALUE: u32 = 1;

/// The type of a metric's points.
#[derive(Debug, Clone, Copy)]
enum Type {
    Gauge,
    Sum,
    Histogram,
    Exponential,
    Summary,
}

impl Type {
    /// The word for it, as Prometheus has it; `delta_` stands in front where each value is the increment since the one
    /// before. A sum that can fall is OpenTelemetry's up-down counter.
    fn word(self, is_delta: bool, is_monotonic: bool) -> &'static str {
        match (self, is_delta, is_monotonic) {
            (Type::Gauge, ..) => "gauge",
            (Type::Sum, false, true) => "counter",
            (Type::Sum, true, true) => "delta_counter",
            (Type::Sum, false, false) => "updown_counter",
            (Type::Sum, true, false) => "delta_updown_counter",
            (Type::Histogram | Type::Exponential, false, _) => "histogram",
            (Type::Histogram | Type::Exponential, true, _) => "delta_histogram",
            (Type::Summary, ..) => "summary",
        }
    }
}

/// A data point of any type.
#[derive(Debug, Default)]
struct DataPoint<'a> {
    /// Attributes of the resource, and then of the point.
    labels: Vec<Label<'a>>,
    nanos: u64,
    flags: u32,
    data: Data,
}

/// What a data point says.
#[derive(Debug, Default)]
enum Data {
    /// A point without a value.
    #[default]
    Nothing,
    /// A point that is refused, and why.
    Unfit(String),
    Number(f64),
    Histogram(Summed, Buckets),
    Summary {
        count: f64,
        sum: f64,
        /// Quantile and value.
        quantiles: Vec<(f64, f64)>,
    },
}

/// What both types of histograms tell beside their buckets.
#[derive(Debug, Default, Clone, Copy)]
struct Summed {
    count: f64,
    sum: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
}

#[derive(Debug)]
enum Buckets {
    /// Counts, one more than there are bounds.
    Explicit {
        bounds: Vec<f64>,
        counts: Vec<f64>,
    },
    Exponential(Exponential),
}

impl Buckets {
    /// Upper bounds, and how many values are up to them.
    fn cumulative(&self) -> Vec<(f64, f64)> {
        match self {
            Buckets::Exponential(histogram) => histogram.cumulative(),
            Buckets::Explicit { bounds, counts } => {
                let mut sum = 0.0;
                let buckets = bounds.iter().zip(counts);
                let summed = buckets.map(|(bound, count)| {
                    sum += count;
                    (*bound, sum)
                });
                summed.collect()
            }
        }
    }
}

/// Index and count of buckets that follow one another. OTLP's index names a bucket by its lower bound, ours by its
/// upper one.
fn indexed(offset: i32, counts: Vec<f64>) -> Result<Vec<(i32, f64)>, String> {
    if counts.len() > MAX_BUCKETS {
        return Err(too_many_buckets());
    }
    let first = offset.saturating_add(1);
    let counts = counts.into_iter().enumerate();
    let indexed = counts.map(|(at, count)| (first.saturating_add(at as i32), count));
    // Empty ones say nothing that the next one does not.
    Ok(indexed.filter(|(_, count)| *count > 0.0).collect())
}

/// An attribute's value as a label's: a text as it is, all else in JSON.
fn told(value: Json) -> String {
    match value {
        Json::String(text) => text,
        other => other.to_string(),
    }
}

/// Takes a data point of the metric.
fn point<E>(
    emit: &mut Emit<'_, '_, E>,
    metric: &str,
    mut point: DataPoint<'_>,
) -> Result<(), Stop<E>> {
    // Zero is "unknown" there.
    let nanos = i64::try_from(point.nanos).ok().filter(|nanos| *nanos > 0);
    let data = std::mem::take(&mut point.data);
    if let Data::Unfit(reason) = data {
        emit.unreadable(reason);
        return Ok(());
    }
    let ended = point.flags & NO_RECORDED_VALUE != 0;
    let tell = |emit: &mut Emit<'_, '_, E>, suffix: &str, labels: &[Label<'_>], value: f64| {
        emit.part(&Point {
            name: &format!("{metric}{suffix}"),
            labels,
            nanos,
            values: &[("", Value::Number(value))],
        })
    };
    let DataPoint { mut labels, .. } = point;
    emit.whole(|emit| match data {
        Data::Number(value) if !ended => emit.part(&Point {
            name: metric,
            labels: &labels,
            nanos,
            values: &[("", Value::Number(value))],
        }),
        Data::Histogram(told, buckets) if !ended => {
            tell(emit, "_count", &labels, told.count)?;
            let others = [("_sum", told.sum), ("_min", told.min), ("_max", told.max)];
            for (suffix, value) in others {
                if let Some(value) = value {
                    tell(emit, suffix, &labels, value)?;
                }
            }
            for (bound, up_to) in buckets
                .cumulative()
                .into_iter()
                .chain([(f64::INFINITY, told.count)])
            {
                labels.push(("le".into(), le(bound)));
                tell(emit, "_bucket", &labels, up_to)?;
                labels.pop();
            }
            Ok(())
        }
        Data::Summary {
            count,
            sum,
            quantiles,
        } if !ended => {
            tell(emit, "_count", &labels, count)?;
            tell(emit, "_sum", &labels, sum)?;
            for (quantile, value) in quantiles {
                labels.push(("quantile".into(), quantile.to_string().into()));
                tell(emit, "", &labels, value)?;
                labels.pop();
            }
            Ok(())
        }
        // What says nothing, or that its series has ended, is taken as a value that no event holds.
        _ => tell(emit, "", &labels, f64::NAN),
    })?;
    Ok(())
}
