//! Lines in the embedded metric format: what is new in the recorder's text since the lines before.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::emf::exported::{Exported, Tell};
use crate::prometheus::{Series, series};

/// The last value of each series that a line was about, by name and labels.
pub(crate) type Before = BTreeMap<String, f64>;

/// The metrics of one line.
pub(crate) struct Line<'t> {
    /// Name and value of the dimension; absent in the line of the metrics without one.
    dimension: Option<(&'static str, &'t str)>,
    metrics: Vec<(&'static Exported, Value)>,
}

impl Line<'_> {
    /// The line as JSON in the embedded metric format.
    pub(crate) fn json(&self, namespace: &str, now: DateTime<Utc>) -> Value {
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

/// The lines about what is new in a text in the Prometheus format: first one for the metrics without a dimension, then
/// one for each value of a dimension. `before` is brought up to date.
pub(crate) fn lines<'t>(
    exported: &'static [Exported],
    before: &mut Before,
    prometheus: &'t str,
) -> Vec<Line<'t>> {
    let series: Vec<Series<'t>> = series(prometheus).collect();
    let mut plain = Vec::new();
    let mut lines = Vec::new();
    for metric in exported {
        let of = series.iter().filter(|one| one.name == metric.source);
        match metric.tell {
            Tell::Growth => {
                // `sum` would give −0.0 without any series.
                let grown = of.fold(0.0, |sum, one| sum + grown(before, one));
                plain.push((metric, json!(grown)));
            }
            Tell::Level => plain.extend(of.take(1).map(|one| (metric, json!(one.value)))),
            Tell::GrowthBy { label, dimension } => {
                for one in of {
                    let grown = grown(before, one);
                    if let Some(value) = one.label(label).filter(|_| grown > 0.0) {
                        lines.push(Line {
                            dimension: Some((dimension, value)),
                            metrics: vec![(metric, json!(grown))],
                        });
                    }
                }
            }
            Tell::LevelBy { label, dimension } => {
                lines.extend(of.filter_map(|one| {
                    Some(Line {
                        dimension: Some((dimension, one.label(label)?)),
                        metrics: vec![(metric, json!(one.value))],
                    })
                }));
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
        let first = Line {
            dimension: None,
            metrics: plain,
        };
        lines.insert(0, first);
    }
    lines
}

/// The growth of the series since the last look. A series that has shrunk was started again: all of its value is new.
fn grown(before: &mut Before, series: &Series<'_>) -> f64 {
    let key = format!("{}{{{}", series.name, series.labels);
    let earlier = before.insert(key, series.value).unwrap_or_default();
    if series.value >= earlier {
        series.value - earlier
    } else {
        series.value
    }
}

/// Values and counts of the samples since the last look. Each bucket counts all samples up to its bound, so that its
/// own are the difference to the bucket below.
fn samples<'s, 't: 's>(
    before: &mut Before,
    buckets: impl Iterator<Item = &'s Series<'t>>,
) -> Option<Value> {
    let mut upto: Vec<(f64, f64)> = Vec::new();
    for bucket in buckets {
        let Some(bound) = bucket.label("le").and_then(|text| text.parse().ok()) else {
            continue;
        };
        upto.push((bound, grown(before, bucket)));
    }
    upto.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut values, mut counts, mut below) = (Vec::new(), Vec::new(), 0.0);
    let mut last_finite = 0.0;
    for (bound, all) in upto {
        // The last bucket has no bound: its samples are larger than the bound before it.
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
        let lines = lines(EXPORTED, before, text);
        lines
            .iter()
            .map(|line| line.json("Headwater", now))
            .collect()
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
    fn a_level_is_told_for_each_value_of_its_label_each_time() {
        const NAMES: &[Exported] = &[Exported {
            source: "undeclared_names",
            name: "UndeclaredNames",
            unit: "Count",
            tell: Tell::LevelBy {
                label: "kind",
                dimension: "kind",
            },
        }];
        let mut before = Before::new();
        let text = "undeclared_names{kind=\"cell\"} 0\nundeclared_names{kind=\"vehicle\"} 512\n";
        for _ in 0..2 {
            let told: Vec<_> = lines(NAMES, &mut before, text)
                .iter()
                .map(|line| (line.dimension, line.metrics[0].1.clone()))
                .collect();
            let expected = [
                (Some(("kind", "cell")), json!(0.0)),
                (Some(("kind", "vehicle")), json!(512.0)),
            ];
            assert_eq!(told, expected);
        }
    }

    #[test]
    fn a_counter_that_is_not_there_yet_is_zero_and_one_that_was_started_again_is_not_negative() {
        let mut before = Before::new();
        let nothing = told(&mut before, "")[0].to_string();
        assert!(nothing.contains(r#""EventsAccepted":0.0"#), "{nothing}");
        told(&mut before, FIRST);
        let restarted = told(&mut before, "accepted_total 2\n");
        assert_eq!(restarted[0]["EventsAccepted"], 2.0);
    }
}
