//! Settings; each flag can be given as an environment variable of the same name.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use aws::{LakeSettings, QueueSettings};
use chrono::{DateTime, Utc};
use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand};
use contract::Kinds;
use secrecy::SecretString;
use service::logging::LogFormat;
use simulator::{Client, ClientConfig, Plan, Trust};

use crate::send::SendOptions;

/// Holds what was accepted against what is in the lake.
///
/// Without a subcommand it runs: sends events, waits until they are through, and judges.
#[derive(Debug, Clone, Parser)]
#[command(name = "judge", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; `run` unless named.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Settings of the run.
    #[command(flatten)]
    pub run: RunConfig,
}

/// What the judge is to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Send events with known ids, wait until they are through, and judge the lake.
    Run(Box<RunConfig>),
    /// Judge the lake by a ledger of accepted events.
    Check(CheckConfig),
    /// Hold dead letters against what was expected to die.
    Letters(LettersConfig),
}

/// Settings of a run and of a check.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// The queue that must be empty before the lake is judged.
    #[command(flatten)]
    pub queue: QueueSettings,
    /// The lake.
    #[command(flatten)]
    pub lake: LakeSettings,
    /// Folder with declarations of further kinds (*.toml).
    #[arg(long, env)]
    pub contracts: Option<PathBuf>,
    /// Judge raw/ alone.
    #[arg(long, env = "HEADWATER_RAW_ONLY", value_parser = FalseyValueParser::new())]
    pub raw_only: bool,
    /// Wait until the aggregator has brought every accepted event to curated/. On unless it says
    /// false in a run, off unless given in a check.
    #[arg(long, env = "HEADWATER_WAIT_CURATED", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub wait_curated: Option<bool>,
    /// Longest time to wait for the queue to drain, and again for curated/.
    #[arg(long, env = "HEADWATER_TIMEOUT", default_value = "120s", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
    /// Others write to the lake too: judge the ledger's events alone, call nothing invented.
    #[arg(long, env = "HEADWATER_SHARED", value_parser = FalseyValueParser::new())]
    pub shared: bool,
    /// Where the services serve their metrics, separated by commas, for requests and cost:
    /// http://127.0.0.1:9100/metrics,http://127.0.0.1:9101/metrics.
    #[arg(long, env = "HEADWATER_METRICS_URLS", value_delimiter = ',')]
    pub metrics_urls: Vec<String>,
    /// How https addresses are trusted.
    #[command(flatten)]
    pub trust: Trust,
    /// How log lines are written.
    #[arg(long, env, value_enum, default_value_t)]
    pub log_format: LogFormat,
}

/// Settings of a run.
#[derive(Debug, Clone, Args)]
pub struct RunConfig {
    /// Settings of queue and lake.
    #[command(flatten)]
    pub common: Config,
    /// Where ingest is.
    #[arg(
        long,
        env = "HEADWATER_INGEST_URL",
        default_value = "http://127.0.0.1:3000"
    )]
    pub ingest_url: String,
    /// One of ingest's API_KEYS.
    #[arg(long, env = "HEADWATER_API_KEY", hide_env_values = true)]
    pub api_key: Option<SecretString>,
    /// Number of events to send in all.
    #[arg(long, env = "HEADWATER_COUNT", default_value_t = 10_000)]
    pub count: u64,
    /// Events in one post; 1 sends each by itself.
    #[arg(long, env = "HEADWATER_BATCH", default_value_t = 1)]
    pub batch: usize,
    /// Posts under way at once.
    #[arg(long, env = "HEADWATER_CONNECTIONS", default_value_t = 16)]
    pub connections: usize,
    /// Events a second; 0 is as many as ingest takes.
    #[arg(long, env = "HEADWATER_RATE", default_value_t = 0.0)]
    pub rate: f64,
    /// Number of vehicles.
    #[arg(long, env = "HEADWATER_VEHICLES", default_value_t = 20)]
    pub vehicles: u32,
    /// Number of radio cells.
    #[arg(long, env = "HEADWATER_CELLS", default_value_t = 5)]
    pub cells: u32,
    /// Share of events sent a second time, 0 to 1.
    #[arg(long, env = "HEADWATER_DUPLICATES", default_value_t = 0.0)]
    pub duplicates: f64,
    /// Share of events whose time is hours to days ago, 0 to 1.
    #[arg(long, env = "HEADWATER_LATE", default_value_t = 0.0)]
    pub late: f64,
    /// Share of events that break their contract, 0 to 1: ingest must refuse them.
    #[arg(long, env = "HEADWATER_BROKEN", default_value_t = 0.0)]
    pub broken: f64,
    /// Decides all chance. A random one unless given.
    #[arg(long, env = "HEADWATER_SEED")]
    pub seed: Option<u64>,
    /// Simulated time that the events are spread over, up to now.
    #[arg(long, env = "HEADWATER_SPAN", default_value = "2h", value_parser = humantime::parse_duration)]
    pub span: Duration,
    /// Keep the ledger of accepted events in this file.
    #[arg(long, env = "HEADWATER_LEDGER")]
    pub ledger: Option<PathBuf>,
    /// How often to look for new objects in raw/: the resolution of the latencies.
    #[arg(long, env = "HEADWATER_POLL", default_value = "200ms", value_parser = humantime::parse_duration)]
    pub poll: Duration,
    /// How long a post is tried again after 429, 503 and connection errors.
    #[arg(long, env = "HEADWATER_RETRY_FOR", default_value = "60s", value_parser = humantime::parse_duration)]
    pub retry_for: Duration,
}

/// Settings of a check.
#[derive(Debug, Clone, Args)]
pub struct CheckConfig {
    /// Settings of queue and lake.
    #[command(flatten)]
    pub common: Config,
    /// The ledger: a JSON object a line, {"kind","event_id","accepted_at","event"}.
    #[arg(long, env = "HEADWATER_LEDGER")]
    pub ledger: PathBuf,
    /// Only what ingest received from this time on can be called invented, RFC 3339. All unless given.
    #[arg(long, env = "HEADWATER_SINCE")]
    pub since: Option<DateTime<Utc>>,
    /// Judge the lake as it is, rather than wait until the queue is empty.
    #[arg(long, env = "HEADWATER_NO_DRAIN", value_parser = FalseyValueParser::new())]
    pub no_drain: bool,
}

/// Settings of an account of dead letters.
#[derive(Debug, Clone, Args)]
pub struct LettersConfig {
    /// The letters: a JSON object a line, {"body","attributes"}, as `batch-consumer dlq show --json` has them.
    #[arg(long, env = "HEADWATER_LETTERS")]
    pub letters: PathBuf,
    /// What was expected to die: a JSON object a line, {"text","reason"}.
    #[arg(long, env = "HEADWATER_EXPECTED")]
    pub expected: PathBuf,
    /// How log lines are written.
    #[arg(long, env, value_enum, default_value_t)]
    pub log_format: LogFormat,
}

impl Cli {
    /// The command, `run` where none is named.
    pub fn command(self) -> Command {
        self.command
            .unwrap_or_else(|| Command::Run(Box::new(self.run)))
    }
}

impl Command {
    /// How log lines are written.
    pub fn log_format(&self) -> LogFormat {
        match self {
            Command::Run(run) => run.common.log_format,
            Command::Check(check) => check.common.log_format,
            Command::Letters(letters) => letters.log_format,
        }
    }
}

impl Config {
    /// The declared kinds.
    ///
    /// # Errors
    ///
    /// If the folder or a declaration in it cannot be used.
    pub fn kinds(&self) -> anyhow::Result<Arc<Kinds>> {
        let kinds = Kinds::load(self.contracts.as_deref()).context("cannot load CONTRACTS")?;
        Ok(Arc::new(kinds))
    }

    pub(crate) fn check(&self) -> anyhow::Result<()> {
        ensure!(
            !(self.raw_only && self.wait_curated == Some(true)),
            "HEADWATER_RAW_ONLY and HEADWATER_WAIT_CURATED contradict each other: leave one out"
        );
        for url in &self.metrics_urls {
            ensure!(
                url.starts_with("http://") || url.starts_with("https://"),
                "HEADWATER_METRICS_URLS: `{url}` is not an address: give http://host:port/metrics"
            );
        }
        Ok(())
    }
}

impl RunConfig {
    /// Says what is wrong with the settings, if anything is.
    ///
    /// # Errors
    ///
    /// Names the setting and what it must be.
    pub fn check(&self) -> anyhow::Result<()> {
        self.common.check()?;
        ensure!(
            self.count > 0,
            "HEADWATER_COUNT is 0: send at least one event"
        );
        ensure!(
            (1..=1_000).contains(&self.batch) && (1..=10_000).contains(&self.connections),
            "HEADWATER_BATCH ({}) must be 1 to 1000, HEADWATER_CONNECTIONS ({}) 1 to 10000",
            self.batch,
            self.connections
        );
        ensure!(
            self.rate.is_finite() && self.rate >= 0.0,
            "HEADWATER_RATE ({}) must be 0 or more events a second",
            self.rate
        );
        ensure!(
            self.poll >= Duration::from_millis(20),
            "POLL ({}) must be at least 20ms",
            humantime::format_duration(self.poll)
        );
        Ok(())
    }

    /// What is sent.
    pub(crate) fn plan(&self, now: DateTime<Utc>, seed: u64) -> Plan {
        Plan {
            vehicles: self.vehicles,
            cells: self.cells,
            count: Some(self.count),
            seed,
            duplicates: self.duplicates,
            late: self.late,
            broken: self.broken,
            ..Plan::default()
        }
        .spread_before(now, self.span)
    }

    pub(crate) fn send_options(&self) -> SendOptions {
        SendOptions {
            batch: self.batch,
            connections: self.connections,
            rate: (self.rate > 0.0).then_some(self.rate),
        }
    }

    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        let Some(api_key) = self.api_key.clone() else {
            bail!(
                "HEADWATER_API_KEY is not set: give it one of the keys that ingest was started with (API_KEYS)"
            );
        };
        let config = ClientConfig {
            retry_for: self.retry_for,
            trust: self.common.trust.clone(),
            ..ClientConfig::new(&self.ingest_url, api_key)
        };
        Ok(Client::new(&config)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Command {
        Cli::try_parse_from([&["judge"], arguments].concat())
            .unwrap()
            .command()
    }

    #[test]
    fn a_run_needs_no_subcommand() {
        for arguments in [&["--count", "7"][..], &["run", "--count", "7"]] {
            let Command::Run(run) = parse(arguments) else {
                panic!("not a run")
            };
            assert_eq!((run.count, run.common.wait_curated), (7, None));
            run.check().unwrap();
        }
        let Command::Check(check) =
            parse(&["check", "--ledger", "l", "--wait-curated", "--raw-only"])
        else {
            panic!("not a check")
        };
        assert!(check.common.check().is_err());
        assert!(Cli::try_parse_from(["judge", "check"]).is_err());
    }

    #[test]
    fn settings_that_cannot_work_are_named() {
        for (wrong, named) in [
            ("--count=0", "HEADWATER_COUNT"),
            ("--batch=0", "HEADWATER_BATCH"),
            ("--connections=0", "HEADWATER_CONNECTIONS"),
            ("--rate=-1", "HEADWATER_RATE"),
            ("--poll=1ms", "POLL"),
            ("--metrics-urls=localhost:3000", "HEADWATER_METRICS_URLS"),
        ] {
            let Command::Run(run) = parse(&[wrong]) else {
                panic!("not a run")
            };
            let error = run.check().unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn the_key_is_shown_nowhere() {
        let run = parse(&["--api-key", "hush-hush"]);
        assert!(!format!("{run:?}").contains("hush-hush"));
    }
}
