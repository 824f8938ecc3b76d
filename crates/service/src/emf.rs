//! CloudWatch metrics as log lines: the embedded metric format on stdout, which CloudWatch Logs turns into metrics.
//!
//! They are read from what the Prometheus recorder holds, so that both say the same. A crate that records for this format keeps
//! a hundred samples of a histogram between two lines and drops the rest; the recorder's buckets hold all.
//!
//! Format: CloudWatch embedded metric format specification, read 2026-11-21.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Value, json};

/// Time between two lines: CloudWatch keeps a minute as its finest ordinary period.
const MINUTE: Duration = Duration::from_secs(60);

/// The namespace unless set.
const NAMESPACE: &str = "Headwater";

/// Where metrics go beside `/metrics`.
#[derive(Debug, Clone, Args)]
pub struct EmfSettings {
    /// Where metrics go: to whoever asks at /metrics, or as lines on stdout too, for CloudWatch.
    #[arg(long, env, value_enum, default_value_t)]
    pub metrics: Metrics,
    /// Namespace of the metrics in CloudWatch: one for each deployment of an account.
    #[arg(long, env, default_value = NAMESPACE, value_parser = NonEmptyStringValueParser::new())]
    pub metrics_namespace: String,
}

impl Default for EmfSettings {
    fn default() -> EmfSettings {
        EmfSettings {
            metrics: Metrics::default(),
            metrics_namespace: NAMESPACE.to_owned(),
        }
    }
}

/// Where metrics go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Metrics {
    /// To whoever asks at /metrics.
    #[default]
    Prometheus,
    /// To CloudWatch too: embedded metric format on stdout, each minute and at the end; of the
    /// aggregator after each run.
    Emf,
}

/// A metric that goes to CloudWatch. Each costs by the month, so these are the ones that alarms, dashboards and bills need.
#[derive(Debug, Clone, Copy)]
pub struct Exported {
    /// Its name here: `headwater_ingest_events_accepted_total`.
    pub source: &'static str,
    /// Its name in CloudWatch: `EventsAccepted`.
    pub name: &'static str,
    /// Its unit, one of CloudWatch's: `Count`, `Seconds`, `Bytes`, `None`.
    pub unit: &'static str,
    /// What is told.
    pub tell: Tell,
}

impl Exported {
    /// What the AWS requests since the last line cost, in US dollars.
    pub const AWS_DOLLARS: Exported = Exported {
        name: "AwsDollars",
        source: "headwater_aws_dollars_total",
        unit: "None",
        tell: Tell::Growth,
    };

    /// How much the counter has grown since the last line.
    pub const fn count(name: &'static str, source: &'static str) -> Exported {
        Exported {
            name,
            source,
            unit: "Count",
            tell: Tell::Growth,
        }
    }

    /// The samples of the histogram since the last line, in this unit.
    pub const fn samples(name: &'static str, source: &'static str, unit: &'static str) -> Exported {
        Exported {
            name,
            source,
            unit,
            tell: Tell::Histogram,
        }
    }
}

/// What is told of a metric.
#[derive(Debug, Clone, Copy)]
pub enum Tell {
    /// What came since the last line, all label values together; 0 where nothing did.
    Growth,
    /// The same for each value of the label, which becomes the dimension.
    GrowthBy {
        /// Its label here.
        label: &'static str,
        /// The dimension in CloudWatch.
        dimension: &'static str,
    },
    /// The value as it is.
    Level,
    /// Values and counts of a histogram's samples since the last line; nothing where there are none. A sample counts as the
    /// upper bound of its bucket.
    Histogram,
}

/// Turns the recorder's state into lines, each with what is new since the one before. Without anything to export
/// where the settings do not ask for it, and then it does nothing.
#[derive(Debug)]
pub struct Emf<U> {
    exported: &'static [Exported],
    namespace: String,
    recorder: PrometheusHandle,
    update: U,
    before: Before,
}

/// The last value of each series that was told of.
type Before = BTreeMap<String, f64>;

/// A series of the Prometheus text: its name, its labels, its value.
struct Series<'t> {
    name: &'t str,
    labels: &'t str,
    value: f64,
}

impl<U: Fn()> Emf<U> {
    /// Of these metrics, with nothing told yet. `update` is called before each line, for metrics that are counted
    /// elsewhere.
    pub fn new(
        settings: &EmfSettings,
        exported: &'static [Exported],
        recorder: PrometheusHandle,
        update: U,
    ) -> Emf<U> {
        let exported = match settings.metrics {
            Metrics::Prometheus => &[],
            Metrics::Emf => exported,
        };
        Emf {
            exported,
            namespace: settings.metrics_namespace.clone(),
            recorder,
            update,
            before: Before::new(),
        }
    }

    /// Writes lines each minute, for ever.
    pub async fn each_minute(&mut self) {
        loop {
            tokio::time::sleep(MINUTE).await;
            self.print();
        }
    }

    /// Writes lines to stdout now. A line that cannot be written is lost: nobody is left to be told.
    pub fn print(&mut self) {
        if self.exported.is_empty() {
            return;
        }
        (self.update)();
        let prometheus = self.recorder.render();
        let told = tell(self.exported, &mut self.before, &prometheus);
        let mut out = std::io::stdout().lock();
        for told in told {
            let _ = writeln!(out, "{}", told.line(&self.namespace, Utc::now()));
        }
        let _ = out.flush();
    }
}

/// What one line tells.
struct Told<'t> {
    /// Name and value.
    dimension: Option<(&'static str, &'t str)>,
    metrics: Vec<(&'static Exported, Value)>,
}

/// What is new in the text: first of the metrics without a dimension, then of each value of a dimension.
fn tell<'t>(
    exported: &'static [Exported],
    before: &mut Before,
    prometheus: &'t str,
) -> Vec<Told<'t>> {
    let series: Vec<Series<'t>> = prometheus.lines().filter_map(series).collect();
    let mut plain = Vec::new();
    let mut told = Vec::new();
    for metric in exported {
        let of = series.iter().filter(|one| one.name == metric.source);
        match metric.tell {
            Tell::Growth => {
                // Not `sum`, which is −0.0 of nothing.
                let grown = of.fold(0.0, |sum, one| sum + grown(before, one));
                plain.push((metric, json!(grown)));
            }
            Tell::Level => plain.extend(of.take(1).map(|one| (metric, json!(one.value)))),
            Tell::GrowthBy { label, dimension } => {
                for one in of {
                    let grown = grown(before, one);
                    if let Some(value) = label_of(one.labels, label).filter(|_| grown > 0.0) {
                        told.push(Told {
                            dimension: Some((dimension, value)),
                            metrics: vec![(metric, json!(grown))],
                        });
                    }
                }
            }
            Tell::Histogram => {
                let buckets = series
                    .iter()
                    .filter(|one| one.name.strip_suffix("_bucket") == Some(metric.source));
                plain.extend(samples(before, buckets).map(|samples| (metric, samples)));
            }
        }
    }
    if !plain.is_empty() {
        let first = Told {
            dimension: None,
            metrics: plain,
        };
        told.insert(0, first);
    }
    told
}

/// What the series has grown by since it was last looked at. One that shrank began anew.
fn grown(before: &mut Before, series: &Series<'_>) -> f64 {
    let key = format!("{}{{{}", series.name, series.labels);
    let earlier = before.insert(key, series.value).unwrap_or_default();
    match series.value >= earlier {
        true => series.value - earlier,
        false => series.value,
    }
}

/// Values and counts of the samples that came; the buckets count all samples up to their bound.
fn samples<'s, 't: 's>(
    before: &mut Before,
    buckets: impl Iterator<Item = &'s Series<'t>>,
) -> Option<Value> {
    let mut upto: Vec<(f64, f64)> = Vec::new();
    for bucket in buckets {
        let Some(bound) = label_of(bucket.labels, "le").and_then(|text| text.parse().ok()) else {
            continue;
        };
        upto.push((bound, grown(before, bucket)));
    }
    upto.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut values, mut counts, mut below) = (Vec::new(), Vec::new(), 0.0);
    let mut last_finite = 0.0;
    for (bound, all) in upto {
        // The last bucket has no bound: its samples are at least as large as the one before says.
        last_finite = if bound.is_finite() {
            bound
        } else {
            last_finite
        };
        if all > below {
            values.push(last_finite);
            counts.push(all - below);
        }
        below = all;
    }
    (!values.is_empty()).then(|| json!({"Values": values, "Counts": counts}))
}

impl Told<'_> {
    /// The log line.
    fn line(&self, namespace: &str, now: DateTime<Utc>) -> Value {
        let dimensions: Vec<&str> = self.dimension.iter().map(|(name, _)| *name).collect();
        let metrics = self.metrics.iter();
        let metrics: Vec<Value> = metrics
            .map(|(metric, _)| json!({"Name": metric.name, "Unit": metric.unit}))
            .collect();
        let mut line = json!({
            "_aws": {
                "Timestamp": now.timestamp_millis(),
                "CloudWatchMetrics": [{"Namespace": namespace, "Dimensions": [dimensions], "Metrics": metrics}],
            },
        });
        if let Some((name, value)) = self.dimension {
            line[name] = json!(value);
        }
        for (metric, value) in &self.metrics {
            line[metric.name] = value.clone();
        }
        line
    }
}

/// Reads a line of the Prometheus text format; none of a comment.
fn series(line: &str) -> Option<Series<'_>> {
    let (series, value) = line.rsplit_once(' ').filter(|_| !line.starts_with('#'))?;
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    Some(Series {
        name,
        labels,
        value: value.parse().ok()?,
    })
}

/// The label's value; ours hold no quotes or backslashes.
fn label_of<'t>(labels: &'t str, label: &str) -> Option<&'t str> {
    labels.split(',').find_map(|one| {
        let (name, value) = one.split_once("=\"")?;
        let value = value.split_once('"')?.0;
        (name == label).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPORTED: &[Exported] = &[
        Exported {
            source: "accepted_total",
            name: "EventsAccepted",
            unit: "Count",
            tell: Tell::Growth,
        },
        Exported {
            source: "rejected_total",
            name: "EventsRejected",
            unit: "Count",
            tell: Tell::GrowthBy {
                label: "code",
                dimension: "reason",
            },
        },
        Exported {
            source: "pending_bytes",
            name: "PendingBytes",
            unit: "Bytes",
            tell: Tell::Level,
        },
        Exported {
            source: "latency_seconds",
            name: "LatencySeconds",
            unit: "Seconds",
            tell: Tell::Histogram,
        },
    ];

    const FIRST: &str = "# TYPE accepted_total counter\naccepted_total 5\n\n\
        rejected_total{code=\"too_large\",x=\"y\"} 2\nrejected_total{code=\"not_json\"} 1\npending_bytes 7\n\
        latency_seconds_bucket{le=\"0.5\"} 1\nlatency_seconds_bucket{le=\"1\"} 4\nlatency_seconds_bucket{le=\"+Inf\"} 5\n\
        latency_seconds_sum 9\nlatency_seconds_count 5\n";

    fn told(before: &mut Before, text: &str) -> Vec<Value> {
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let told = tell(EXPORTED, before, text);
        told.iter().map(|told| told.line(NAMESPACE, now)).collect()
    }

    #[test]
    fn each_line_says_what_came_since_the_one_before() {
        let mut before = Before::new();
        let first = told(&mut before, FIRST);
        assert_eq!(first.len(), 3);
        assert_eq!(first[0]["EventsAccepted"], 5.0);
        assert_eq!(first[0]["PendingBytes"], 7.0);
        assert_eq!(
            first[0]["LatencySeconds"],
            json!({"Values": [0.5, 1.0, 1.0], "Counts": [1.0, 3.0, 1.0]})
        );
        let by_reason = (&first[1]["reason"], &first[1]["EventsRejected"]);
        assert_eq!(by_reason, (&json!("too_large"), &json!(2.0)));
        let metrics = &first[1]["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(metrics["Dimensions"], json!([["reason"]]));
        assert_eq!(metrics["Namespace"], "Headwater");
        assert_eq!(
            metrics["Metrics"],
            json!([{"Name": "EventsRejected", "Unit": "Count"}])
        );
        assert_eq!(
            first[0]["_aws"]["CloudWatchMetrics"][0]["Dimensions"],
            json!([[]])
        );
        assert_eq!(first[0]["_aws"]["Timestamp"], 1_795_262_400_000_i64);

        let again = told(&mut before, FIRST);
        assert_eq!(again.len(), 1, "nothing was refused since: {again:?}");
        assert_eq!(
            again[0]["EventsAccepted"], 0.0,
            "a quiet minute is told too"
        );
        assert!(again[0].get("LatencySeconds").is_none());
    }

    #[test]
    fn a_counter_that_is_not_there_yet_is_zero_and_one_that_began_anew_is_not_negative() {
        let mut before = Before::new();
        let nothing = told(&mut before, "")[0].to_string();
        assert!(nothing.contains(r#""EventsAccepted":0.0"#), "{nothing}");
        told(&mut before, FIRST);
        let anew = told(&mut before, "accepted_total 2\n");
        assert_eq!(anew[0]["EventsAccepted"], 2.0);
    }
}
