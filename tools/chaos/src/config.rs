//! Settings; each flag can be given as an environment variable of the same name.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use clap::builder::FalseyValueParser;
use clap::{Parser, Subcommand};
use service::logging::LogFormat;

use crate::alerts::AlertsConfig;
use crate::instance::Counts;

/// Shortest round: enough for a kill, a start and some work between them.
const SHORTEST_ROUND: Duration = Duration::from_secs(4);

/// Runs the services as processes, kills them and lets the endpoint fail under load, and judges.
#[derive(Debug, Clone, Parser)]
#[command(name = "chaos", version)]
pub struct Config {
    /// What to do instead of rounds of the pipeline.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Rounds in which services are killed with `kill -9` and started again.
    #[arg(long, env = "HEADWATER_ROUNDS", default_value_t = 50)]
    pub rounds: u32,
    /// Rounds in which the endpoint fails: it cuts requests, loses or delays answers, answers 503, or is away.
    #[arg(long, env = "HEADWATER_OUTAGES", default_value_t = 20)]
    pub outages: u32,
    /// How long a round lasts, 4s to 1h.
    #[arg(long, env = "HEADWATER_ROUND_TIME", default_value = "12s", value_parser = humantime::parse_duration)]
    pub round_time: Duration,
    /// Consumers at once, 1 to 8.
    #[arg(long, env = "HEADWATER_CONSUMERS", default_value_t = 3)]
    pub consumers: usize,
    /// Aggregators at once, 1 to 8.
    #[arg(long, env = "HEADWATER_AGGREGATORS", default_value_t = 2)]
    pub aggregators: usize,
    /// Events a second that are offered during all rounds.
    #[arg(long, env = "HEADWATER_RATE", default_value_t = 300.0)]
    pub rate: f64,
    /// Decides everything that is left to chance. A random one unless given.
    #[arg(long, env = "HEADWATER_SEED", global = true)]
    pub seed: Option<u64>,
    /// Longest time to wait for the queue to drain, and again for curated/.
    #[arg(long, env = "HEADWATER_TIMEOUT", default_value = "180s", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
    /// Folder for the services' logs and the ledger. Unless given, one among the system's temporary
    /// files, which is kept only if something is wrong.
    #[arg(long, env = "HEADWATER_LOGS", global = true)]
    pub logs: Option<PathBuf>,
    /// Start local-aws as the endpoint, rather than use the one that AWS_ENDPOINT_URL names.
    #[arg(long, env = "HEADWATER_LOCAL_AWS", value_parser = FalseyValueParser::new())]
    pub local_aws: bool,
    /// Let ingest speak https and ask for certificates, which are made for the run.
    #[arg(long, env = "HEADWATER_TLS", value_parser = FalseyValueParser::new())]
    pub tls: bool,
    /// How log lines are written.
    #[arg(long, env, value_enum, default_value_t)]
    pub log_format: LogFormat,
}

/// What `chaos` can do beside rounds of the pipeline.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Kill `alerts` while it notifies receivers that fail in every way, on a local-aws of its own.
    Alerts(AlertsConfig),
}

impl Config {
    /// Says what is wrong with the settings, if anything is.
    ///
    /// # Errors
    ///
    /// Names the setting and what it must be.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.rounds <= 10_000 && self.outages <= 10_000,
            "HEADWATER_ROUNDS ({}) and HEADWATER_OUTAGES ({}) must be at most 10000",
            self.rounds,
            self.outages
        );
        ensure!(
            self.rounds + self.outages > 0,
            "HEADWATER_ROUNDS and HEADWATER_OUTAGES are both 0: ask for at least one round"
        );
        for (name, count) in [
            ("HEADWATER_CONSUMERS", self.consumers),
            ("HEADWATER_AGGREGATORS", self.aggregators),
        ] {
            ensure!((1..=8).contains(&count), "{name} ({count}) must be 1 to 8");
        }
        ensure!(
            self.rate.is_finite() && (1.0..=100_000.0).contains(&self.rate),
            "HEADWATER_RATE ({}) must be 1 to 100000 events a second",
            self.rate
        );
        ensure!(
            (SHORTEST_ROUND..=Duration::from_secs(3_600)).contains(&self.round_time),
            "HEADWATER_ROUND_TIME ({}) must be {} to 1h",
            humantime::format_duration(self.round_time),
            humantime::format_duration(SHORTEST_ROUND)
        );
        Ok(())
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            consumers: self.consumers,
            aggregators: self.aggregators,
        }
    }
}
