//! Whether metrics go to CloudWatch, and under which namespace.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};

/// The namespace of the metrics unless the user sets another.
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
