//! Settings; each flag can be given as an environment variable of the same name.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use chrono::{DateTime, TimeDelta, Utc};
use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand};
use contract::Kinds;
use secrecy::SecretString;
use sender::{Client, ClientConfig, Compression, SendOptions, Trust};
use service::logging::LogFormat;

use crate::replay::{Replay, Speed};
use crate::simulate::Plan;

/// Simulated time that a run covers at full speed unless `--span` says otherwise.
const USUAL_SPAN: Duration = Duration::from_secs(2 * 3_600);

/// Sends simulated vehicles, cells and live streams, or recorded data, to ingest.
///
/// Without a subcommand a small fleet sends at a gentle rate until Ctrl-C.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct Config {
    /// What to do instead of simulating.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Settings of the simulation.
    #[command(flatten)]
    pub fleet: FleetConfig,
    /// Settings of sending.
    #[command(flatten)]
    pub target: TargetConfig,
    /// How log lines are written.
    #[arg(long, env, global = true, value_enum, default_value_t)]
    pub log_format: LogFormat,
}

/// What to do instead of simulating.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Sends recorded events: NDJSON in our contracts.
    Replay(ReplayConfig),
}

/// Settings of the simulation.
#[derive(Debug, Clone, Args)]
pub struct FleetConfig {
    /// Number of vehicles.
    #[arg(long, env = "HEADWATER_VEHICLES", default_value_t = 20)]
    pub vehicles: u32,
    /// Number of radio cells.
    #[arg(long, env = "HEADWATER_CELLS", default_value_t = 5)]
    pub cells: u32,
    /// Number of live streams, with their chats, viewers and payments.
    #[arg(long, env = "HEADWATER_STREAMS", default_value_t = 0)]
    pub streams: u32,
    /// Events a second; 0 is as many as ingest takes, and needs --count.
    #[arg(long, env = "HEADWATER_RATE", default_value_t = 50.0)]
    pub rate: f64,
    /// Number of events to send in all; without end unless given.
    #[arg(long, env = "HEADWATER_COUNT")]
    pub count: Option<u64>,
    /// Decides all chance: the same seed and --start give the same events. A random one unless given.
    #[arg(long, env = "HEADWATER_SEED")]
    pub seed: Option<u64>,
    /// Share of events sent a second time, 0 to 1.
    #[arg(long, env = "HEADWATER_DUPLICATES", default_value_t = 0.0)]
    pub duplicates: f64,
    /// Share of events whose time is hours to days ago, 0 to 1.
    #[arg(long, env = "HEADWATER_LATE", default_value_t = 0.0)]
    pub late: f64,
    /// Share of events that break their contract, each in another way, 0 to 1.
    #[arg(long, env = "HEADWATER_BROKEN", default_value_t = 0.0)]
    pub broken: f64,
    /// Simulated time of the first event, RFC 3339. Unless given: now, or with --rate 0 or --span as
    /// long ago as the events take.
    #[arg(long, env = "HEADWATER_START")]
    pub start: Option<DateTime<Utc>>,
    /// Simulated time that --count events are spread over, such as 6h. Unless given: as long as they
    /// take at --rate; 2h for --rate 0.
    #[arg(long, env = "HEADWATER_SPAN", value_parser = humantime::parse_duration)]
    pub span: Option<Duration>,
}

/// Settings of sending.
#[derive(Debug, Clone, Args)]
pub struct TargetConfig {
    /// Where ingest is.
    #[arg(
        long,
        env = "HEADWATER_INGEST_URL",
        global = true,
        default_value = "http://127.0.0.1:3000"
    )]
    pub ingest_url: String,
    /// One of ingest's API_KEYS.
    #[arg(long, env = "HEADWATER_API_KEY", global = true, hide_env_values = true)]
    pub api_key: Option<SecretString>,
    /// How an https address is trusted.
    #[command(flatten)]
    pub trust: Trust,
    /// Events in one post; 1 sends each by itself, more sends NDJSON.
    #[arg(long, env = "HEADWATER_BATCH", global = true, default_value_t = 1)]
    pub batch: usize,
    /// Longest time that an event waits for its post to fill.
    #[arg(long, env = "HEADWATER_LINGER", global = true, default_value = "1s", value_parser = humantime::parse_duration)]
    pub linger: Duration,
    /// How posts are compressed.
    #[arg(
        long,
        env = "HEADWATER_COMPRESS",
        global = true,
        value_enum,
        default_value_t
    )]
    pub compress: Compression,
    /// Posts under way at once.
    #[arg(
        long,
        env = "HEADWATER_CONNECTIONS",
        global = true,
        default_value_t = 16
    )]
    pub connections: usize,
    /// How long a post is tried again after 429, 503 and connection errors.
    #[arg(long, env = "HEADWATER_RETRY_FOR", global = true, default_value = "60s", value_parser = humantime::parse_duration)]
    pub retry_for: Duration,
    /// Print the events as NDJSON rather than post them.
    #[arg(long, env = "HEADWATER_DRY_RUN", global = true, value_parser = FalseyValueParser::new())]
    pub dry_run: bool,
}

/// Settings of a replay.
#[derive(Debug, Clone, Args)]
pub struct ReplayConfig {
    /// Files to send, one after the other: .ndjson, .jsonl or .json, plain, .gz or .zst; - is
    /// standard input.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// How fast recorded time passes: 1 is as recorded, 60 an hour in a minute, max all at once.
    #[arg(long, env = "HEADWATER_SPEED", default_value = "max")]
    pub speed: Speed,
    /// Folder with declarations of further kinds.
    #[arg(long, env)]
    pub contracts: Option<PathBuf>,
}

impl FleetConfig {
    /// The plan that the settings come to, as of `now`; `any_seed` is used where none is given.
    ///
    /// # Errors
    ///
    /// Where settings contradict each other, with words for the user.
    pub fn plan(&self, now: DateTime<Utc>, any_seed: u64) -> anyhow::Result<Plan> {
        if !(self.rate.is_finite() && self.rate >= 0.0) {
            bail!(
                "HEADWATER_RATE ({}) must be 0 or more events a second",
                self.rate
            );
        }
        if self.count.is_none() && self.rate == 0.0 {
            bail!(
                "HEADWATER_RATE is 0, as fast as possible: set HEADWATER_COUNT, or simulated time would run away from the clock"
            );
        }
        if self.count.is_none() && self.span.is_some() {
            bail!("HEADWATER_SPAN spreads events over a time: set HEADWATER_COUNT too");
        }
        let plan = Plan {
            vehicles: self.vehicles,
            cells: self.cells,
            streams: self.streams,
            count: self.count,
            seed: self.seed.unwrap_or(any_seed),
            duplicates: self.duplicates,
            late: self.late,
            broken: self.broken,
            start: self.start.unwrap_or(now),
            step: Duration::ZERO,
        };
        let between = Duration::try_from_secs_f64(1.0 / self.rate);
        Ok(match (self.span, between) {
            // A slower rate than one in centuries: dates end before the second event.
            (None, Ok(step)) => Plan {
                step: step.min(Duration::from_secs(86_400 * 365)),
                ..plan
            },
            (span, _) => {
                let spread = plan.spread_before(now, span.unwrap_or(USUAL_SPAN));
                Plan {
                    start: self.start.unwrap_or(spread.start),
                    ..spread
                }
            }
        })
    }

    /// Real time from each event to the next; `None` is as fast as possible.
    pub fn interval(&self) -> Option<Duration> {
        Duration::try_from_secs_f64(1.0 / self.rate).ok()
    }
}

impl TargetConfig {
    /// How events are sent.
    ///
    /// # Errors
    ///
    /// Where a number makes no sense.
    pub fn send_options(&self) -> anyhow::Result<SendOptions> {
        // An answer lists at most 1,000 refused events: of more there would be no telling which.
        if !(1..=1_000).contains(&self.batch) || !(1..=10_000).contains(&self.connections) {
            bail!(
                "HEADWATER_BATCH ({}) must be 1 to 1000, HEADWATER_CONNECTIONS ({}) 1 to 10000",
                self.batch,
                self.connections
            );
        }
        Ok(SendOptions {
            batch: self.batch,
            connections: self.connections,
            linger: self.linger,
        })
    }

    /// The client.
    ///
    /// # Errors
    ///
    /// Where the key is missing, or the address no address.
    pub fn client(&self) -> anyhow::Result<Client> {
        let Some(api_key) = self.api_key.clone() else {
            bail!(
                "HEADWATER_API_KEY is not set: give it one of the keys that ingest was started with (API_KEYS)"
            );
        };
        let config = ClientConfig {
            compress: self.compress,
            retry_for: self.retry_for,
            trust: self.trust.clone(),
            ..ClientConfig::new(&self.ingest_url, api_key)
        };
        Ok(Client::new(&config)?)
    }
}

impl ReplayConfig {
    /// The replay, at its first event.
    ///
    /// # Errors
    ///
    /// Where a file or a declaration cannot be used, with words for the user.
    pub fn replay(&self) -> anyhow::Result<Replay> {
        let kinds = Kinds::load(self.contracts.as_deref()).context("cannot load CONTRACTS")?;
        Ok(Replay::new(&self.files, &kinds, self.speed)?)
    }
}

/// How far past `now` the last event of a plan would be; zero if it is not. In a run bound to a rate
/// simulated time keeps level with the clock, so that only the start counts.
pub(crate) fn ahead_of_clock(plan: &Plan, rate_bound: bool, now: DateTime<Utc>) -> TimeDelta {
    let count = i32::try_from(plan.count.unwrap_or(0)).unwrap_or(i32::MAX);
    let span = TimeDelta::from_std(plan.step)
        .ok()
        .and_then(|step| step.checked_mul(count))
        .unwrap_or(TimeDelta::MAX);
    let end = if rate_bound {
        plan.start
    } else {
        plan.start
            .checked_add_signed(span)
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    };
    (end - now).max(TimeDelta::zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(arguments: &[&str]) -> Config {
        Config::try_parse_from([&["simulator"], arguments].concat()).unwrap()
    }

    fn now() -> DateTime<Utc> {
        "2025-10-04T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn the_bare_command_is_a_gentle_endless_run_that_keeps_the_clocks_time() {
        let plan = config(&[]).fleet.plan(now(), 9).unwrap();
        assert_eq!(
            (plan.vehicles, plan.cells, plan.count, plan.seed),
            (20, 5, None, 9)
        );
        assert_eq!((plan.start, plan.step), (now(), Duration::from_millis(20)));
        assert_eq!(
            config(&[]).fleet.interval(),
            Some(Duration::from_millis(20))
        );
    }

    #[test]
    fn full_speed_runs_cover_the_hours_before_now() {
        let fleet = config(&["--rate", "0", "--count", "7200", "--seed", "3"]).fleet;
        let plan = fleet.plan(now(), 9).unwrap();
        assert_eq!(
            (plan.start, plan.step, plan.seed),
            (now() - TimeDelta::hours(2), Duration::from_secs(1), 3)
        );
        assert_eq!(fleet.interval(), None);
        let spread = config(&[
            "--count",
            "6",
            "--span",
            "6h",
            "--start",
            "2025-10-01T00:00:00Z",
        ])
        .fleet;
        let plan = spread.plan(now(), 9).unwrap();
        assert_eq!(
            (plan.start.to_rfc3339(), plan.step.as_secs()),
            ("2025-10-01T00:00:00+00:00".into(), 3_600)
        );
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        for wrong in [
            ["--rate", "0"],
            ["--span", "1h"],
            ["--rate", "-1"],
            ["--rate", "NaN"],
        ] {
            let wrong = [format!("{}={}", wrong[0], wrong[1])];
            assert!(
                config(&[&wrong[0]]).fleet.plan(now(), 1).is_err(),
                "{wrong:?}"
            );
        }
        assert!(config(&["--batch", "0"]).target.send_options().is_err());
        assert!(
            config(&["--ingest-url", "ftp://x", "--api-key", "k"])
                .target
                .client()
                .is_err()
        );
    }

    #[test]
    fn a_replay_takes_the_settings_of_sending_after_its_files() {
        let config = config(&[
            "replay",
            "a.ndjson.gz",
            "-",
            "--speed",
            "60",
            "--batch",
            "500",
        ]);
        let Some(Command::Replay(replay)) = &config.command else {
            panic!("no replay")
        };
        assert_eq!(
            (replay.files.len(), replay.speed, config.target.batch),
            (2, Speed::Times(60.0), 500)
        );
    }

    #[test]
    fn the_key_is_shown_nowhere() {
        let config = config(&["--api-key", "hush-hush"]);
        assert!(!format!("{config:?}").contains("hush-hush"));
    }
}
