//! How scenarios are measured.

use std::path::PathBuf;

use clap::Args;

/// Events of an hour at 10,000 a second.
pub(crate) const HOUR_EVENTS: u64 = 36_000_000;

/// How to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    /// Write the results to this file, and the tables of docs/benchmarks.md.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Runs of each scenario, of which the median counts (5; 1 with --quick).
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    runs: Option<u16>,
    /// A small try: a tenth of the events, one run, no tables written.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Let `all` measure on LocalStack too.
    #[arg(long)]
    pub(crate) localstack: bool,
    /// Let `all` measure what takes more than ten minutes too.
    #[arg(long)]
    pub(crate) long: bool,
    /// Events of `aggregator-hour` and `aggregator-minutes`; on disk they take 315 bytes each, twice over.
    #[arg(long, default_value_t = HOUR_EVENTS, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) hour_events: u64,
    /// How long `memory` loads.
    #[arg(long, default_value_t = 20.0)]
    pub(crate) minutes: f64,
    /// Do not build the services first.
    #[arg(long)]
    pub(crate) no_build: bool,
    /// Where LocalStack is; http://127.0.0.1:LOCALSTACK_PORT without it.
    #[arg(long, env = "AWS_ENDPOINT_URL", hide_env_values = true)]
    endpoint: Option<String>,
    /// The port of the LocalStack that `localstack/up` started.
    #[arg(long, env = "LOCALSTACK_PORT", default_value_t = 4566)]
    localstack_port: u16,
    /// The Cargo that builds.
    #[arg(long, env = "CARGO", default_value = "cargo", hide = true)]
    pub(crate) cargo: PathBuf,
}

impl RunArgs {
    pub(crate) fn runs(&self) -> usize {
        let default = if self.quick { 1 } else { 5 };
        self.runs.map_or(default, usize::from)
    }

    pub(crate) fn localstack_endpoint(&self) -> String {
        let port = self.localstack_port;
        let given = self.endpoint.clone();
        given.unwrap_or_else(|| format!("http://127.0.0.1:{port}"))
    }
}
