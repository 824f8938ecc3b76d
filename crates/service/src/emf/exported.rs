//! The metrics that a service exports to CloudWatch.

/// A metric that goes to CloudWatch. Each costs by the month, so a service exports only those that alarms, dashboards
/// and bills need.
#[derive(Debug, Clone, Copy)]
pub struct Exported {
    /// The name in Prometheus: `headwater_ingest_events_accepted_total`.
    pub source: &'static str,
    /// The name in CloudWatch: `EventsAccepted`.
    pub name: &'static str,
    /// The unit, one of CloudWatch's: `Count`, `Seconds`, `Bytes`, `None`.
    pub unit: &'static str,
    /// Which of the metric's values a line holds.
    pub tell: Tell,
}

impl Exported {
    /// US dollars for the AWS requests since the last line.
    pub const AWS_DOLLARS: Exported = Exported {
        name: "AwsDollars",
        source: "headwater_aws_dollars_total",
        unit: "None",
        tell: Tell::Growth,
    };

    /// A counter, exported as its growth since the last line.
    pub const fn count(name: &'static str, source: &'static str) -> Exported {
        Exported {
            name,
            source,
            unit: "Count",
            tell: Tell::Growth,
        }
    }

    /// A histogram, exported as its samples since the last line; `unit` is one of CloudWatch's.
    pub const fn samples(name: &'static str, source: &'static str, unit: &'static str) -> Exported {
        Exported {
            name,
            source,
            unit,
            tell: Tell::Histogram,
        }
    }
}

/// Which of a metric's values a line holds.
#[derive(Debug, Clone, Copy)]
pub enum Tell {
    /// The growth since the last line, summed over all label values; 0 without growth.
    Growth,
    /// The growth since the last line for each value of a label, in a line of its own; no line without growth.
    GrowthBy {
        /// The label in Prometheus.
        label: &'static str,
        /// The dimension in CloudWatch that takes the label's value.
        dimension: &'static str,
    },
    /// The present value, of the first series of the name.
    Level,
    /// The present value for each value of a label, in a line of its own.
    LevelBy {
        /// The label in Prometheus.
        label: &'static str,
        /// The dimension in CloudWatch that takes the label's value.
        dimension: &'static str,
    },
    /// Values and counts of a histogram's samples since the last line; nothing without samples. The value of a sample
    /// is the upper bound of its bucket, or the largest finite bound for samples beyond it.
    Histogram,
}
