//! Settings of the aggregator.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use aws::{CreateSettings, LakeSettings};
use bytesize::ByteSize;
use chrono::{DateTime, NaiveDate, Utc};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use contract::{Hour, Kinds};
use service::emf::EmfSettings;
use service::logging::LogFormat;
use service::settings::Uses;

use crate::budget::Budget;
use crate::workers::Workers;

/// Least MEMORY_LIMIT: with less, an hour would become very many parts.
const LEAST_MEMORY: ByteSize = ByteSize::mib(64);

/// Least SPILL_LIMIT: less would make commits smaller than memory allows.
const LEAST_SPILL: ByteSize = ByteSize::gib(1);

/// Turns raw events into deduplicated Parquet and hourly aggregates.
///
/// Each flag can be given as an environment variable. AWS is reached by the SDK's own variables,
/// such as AWS_ENDPOINT_URL, AWS_REGION and AWS_PROFILE.
#[derive(Debug, Parser)]
#[command(name = "aggregator", version, about, mut_args(|arg| arg.global(true)))]
pub struct Cli {
    /// What to do; `once` by default.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Settings of all commands.
    #[command(flatten)]
    pub config: Config,
}

/// The flags of commands that make parts again, after they have finished a commit that was begun.
const MADE_AGAIN: &[&str] = &[
    "lake_bucket",
    "create",
    "contracts",
    "log_format",
    "commit_max_hours",
    "memory_limit",
    "spill_dir",
    "spill_limit",
    "threads",
];

/// The flags that each command makes use of; `watch` and the program without a command have all of them.
pub const USES: &Uses = &[
    (
        "once",
        &[
            "lake_bucket",
            "create",
            "contracts",
            "log_format",
            "commit_max_hours",
            "memory_limit",
            "spill_dir",
            "spill_limit",
            "threads",
            "full",
            "metrics",
            "metrics_namespace",
        ],
    ),
    ("rebuild", MADE_AGAIN),
    ("forget", MADE_AGAIN),
    (
        "names",
        &["lake_bucket", "create", "contracts", "log_format"],
    ),
    ("health", &["metrics_listen"]),
];

/// What the aggregator is to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Take in all that is new, print a summary and end.
    Once,
    /// Look for what is new every INTERVAL until stopped, and take it in once it is enough or old enough.
    Watch,
    /// Rebuild event hours from `raw/`, as after a lost object or a changed declaration.
    Rebuild {
        /// First hour: `2026-11-21`, `2026-11-21T13` or an RFC 3339 time.
        #[arg(long, value_parser = parse_hour)]
        from: Hour,
        /// The hour after the last one.
        #[arg(long, value_parser = parse_hour)]
        to: Hour,
    },
    /// Forget an entity: take its events, and all that was made of them, out of the lake. What waits in `raw/` is
    /// committed first. Other processes may go on; docs/forget.md says what to do first, and what remains.
    Forget {
        /// The kind of its events.
        #[arg(long)]
        kind: String,
        /// The entity, as in `entity_id`.
        #[arg(long)]
        entity: String,
        /// Only events that happened before: `2026-11-21`, `2026-11-21T13` or an RFC 3339 time.
        #[arg(long, value_parser = parse_time)]
        before: Option<DateTime<Utc>>,
        /// Only say how much there is.
        #[arg(long)]
        dry_run: bool,
        /// Do it without a question.
        #[arg(long)]
        yes: bool,
    },
    /// List the names of undeclared signals that have a column, or take some out to make room for others.
    Names {
        /// What to do with them.
        #[command(subcommand)]
        action: NamesAction,
    },
    /// Ask the `watch` on this machine whether its last run succeeded; exit 0 if so.
    Health {
        /// Ask only whether it answers, whatever S3 does: for orchestrators that replace what is unhealthy, because a
        /// new process would find S3 no better.
        #[arg(long)]
        live: bool,
    },
}

/// What to do with the names of undeclared signals.
#[derive(Debug, Clone, Subcommand)]
pub enum NamesAction {
    /// Print kind, name and type of each, and how many more each kind may have.
    List {
        /// Of this kind alone.
        #[arg(long)]
        kind: Option<String>,
    },
    /// Take names out: later values go to the column `_more`, and other names may take their places.
    Drop {
        /// The kind.
        #[arg(long)]
        kind: String,
        /// The names; case does not matter.
        #[arg(required = true)]
        names: Vec<String>,
    },
}

/// Settings of the aggregator; each flag can be given as an environment variable.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Bucket of the lake.
    #[command(flatten)]
    pub lake: LakeSettings,
    /// Whether a missing bucket is created.
    #[command(flatten)]
    pub create: CreateSettings,
    /// Folder with declarations of further kinds (*.toml).
    #[arg(long, env, global = true)]
    pub contracts: Option<PathBuf>,
    /// `watch` commits once so many bytes of parts wait, reckoned as a twelfth of their raw objects.
    #[arg(long, env, default_value = "64MiB", global = true)]
    pub commit_min_bytes: ByteSize,
    /// `watch` commits once an event has waited so long; 0s commits what there is in every run.
    #[arg(long, env, default_value = "15m", value_parser = humantime::parse_duration, global = true)]
    pub commit_max_age: Duration,
    /// Most event hours with few events (16 KiB of lines), of whatever kinds, that a commit writes. It puts off the
    /// oldest others: commits of their own write them, between those of what is new.
    #[arg(long, env, default_value = "5000", global = true)]
    pub commit_max_hours: NonZeroUsize,
    /// Memory for events, about; at least 64 MiB. What does not fit waits on disk.
    #[arg(long, env, default_value = "256MiB", global = true)]
    pub memory_limit: ByteSize,
    /// Folder for events that do not fit into memory; by default the system's folder for temporary files.
    #[arg(long, env, global = true)]
    pub spill_dir: Option<PathBuf>,
    /// Most bytes on disk; at least 1 GiB. What does not fit is left for the next commit.
    #[arg(long, env, default_value = "16GiB", global = true)]
    pub spill_limit: ByteSize,
    /// Threads that compute; by default one for each core.
    #[arg(long, env, global = true)]
    pub threads: Option<NonZeroUsize>,
    /// List all of `raw/` rather than the last two days, as is done once a day anyway.
    #[arg(long, global = true)]
    pub full: bool,
    /// Time from one run of `watch` to the next; at least 100 ms.
    #[arg(long, env, default_value = "60s", value_parser = humantime::parse_duration, global = true)]
    pub interval: Duration,
    /// Where `watch` serves /metrics, /livez and /readyz.
    #[arg(long, env, default_value = "127.0.0.1:9102", global = true, value_parser = service::settings::address)]
    pub metrics_listen: SocketAddr,
    /// How log lines are written.
    #[arg(long, env, value_enum, default_value_t = LogFormat::Logfmt, global = true)]
    pub log_format: LogFormat,
    /// Metrics for CloudWatch.
    #[command(flatten)]
    pub emf: EmfSettings,
}

impl Cli {
    /// Checks the settings, and that the command can work with them.
    ///
    /// # Errors
    ///
    /// Names the setting or flag, and what it must be.
    pub fn check(&self) -> anyhow::Result<()> {
        if let Some(Command::Rebuild { from, to }) = &self.command {
            ensure!(
                from < to,
                "--from must be before --to: no hour lies between"
            );
        }
        if let Some(Command::Forget { kind, .. }) = &self.command {
            crate::forget::declared(&self.config.kinds()?, kind)?;
        }
        self.config.check()
    }
}

impl Default for Config {
    /// The defaults of the flags, whatever the environment says.
    fn default() -> Config {
        let flags = Cli::command().mut_args(|flag| flag.env(None::<&'static str>));
        let defaults = flags.get_matches_from(["aggregator"]);
        Config::from_arg_matches(&defaults).expect("each flag has a default or may be missing")
    }
}

impl Config {
    /// The default settings, whatever the environment says, for a lake in this bucket.
    pub fn for_bucket(bucket: &str) -> Config {
        let mut config = Config::default();
        config.lake.lake_bucket = bucket.to_owned();
        config
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// Names the setting, and what it must be.
    pub fn check(&self) -> anyhow::Result<()> {
        let (memory, spill) = (self.memory_limit, self.spill_limit);
        if memory < LEAST_MEMORY {
            bail!("MEMORY_LIMIT is {memory}: set it to {LEAST_MEMORY} at least");
        }
        if spill < LEAST_SPILL {
            bail!("SPILL_LIMIT is {spill}: set it to {LEAST_SPILL} at least");
        }
        let folder = self.spill_folder();
        if !folder.is_dir() {
            bail!("SPILL_DIR (`{}`) must be a folder", folder.display());
        }
        if self.interval < Duration::from_millis(100) {
            let interval = humantime::format_duration(self.interval);
            bail!("INTERVAL ({interval}) must be at least 100ms");
        }
        self.kinds().map(|_| ())
    }

    pub(crate) fn kinds(&self) -> anyhow::Result<Kinds> {
        Kinds::load(self.contracts.as_deref()).context("cannot load the kinds from CONTRACTS")
    }

    fn spill_folder(&self) -> PathBuf {
        self.spill_dir.clone().unwrap_or_else(std::env::temp_dir)
    }

    pub(crate) fn budget(&self) -> Budget {
        Budget::new(self.memory_limit.as_u64(), self.spill_folder())
    }

    /// Number of threads that compute.
    pub fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        self.threads.map_or_else(cores, NonZeroUsize::get)
    }

    pub(crate) fn workers(&self) -> Workers {
        Workers::new(self.threads())
    }
}

fn parse_hour(text: &str) -> Result<Hour, String> {
    parse_time(text).map(Hour::of)
}

fn parse_time(text: &str) -> Result<DateTime<Utc>, String> {
    let time = |text: &str| DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    let day = || {
        let day = text.parse::<NaiveDate>();
        day.map(|day| day.and_time(chrono::NaiveTime::MIN).and_utc())
    };
    time(text)
        .or_else(|_| time(&format!("{text}:00:00Z")))
        .or_else(|_| day())
        .map_err(|_| {
            format!(
                "`{text}` is not a time: give `2026-11-21`, `2026-11-21T13` or an RFC 3339 time"
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_read_from_days_hours_and_times() {
        for text in [
            "2026-11-21T13",
            "2026-11-21T13:45:00Z",
            "2026-11-21T15:45:00+02:00",
        ] {
            assert_eq!(
                parse_hour(text).unwrap().to_string(),
                "year=2026/month=11/day=21/hour=13"
            );
        }
        assert_eq!(
            parse_hour("2026-11-21").unwrap().to_string(),
            "year=2026/month=11/day=21/hour=00"
        );
        assert!(parse_hour("noon").is_err());
    }

    #[test]
    fn a_flag_may_stand_before_or_after_the_command() {
        for line in [
            ["aggregator", "--lake-bucket=other", "once"],
            ["aggregator", "once", "--lake-bucket=other"],
        ] {
            let cli = Cli::try_parse_from(line).unwrap();
            assert_eq!(cli.config.lake.lake_bucket, "other");
            cli.check().unwrap();
        }
    }

    #[test]
    fn the_help_of_a_command_lists_its_own_flags() {
        let command = service::settings::with_uses(Cli::command(), USES);
        let flags = |name: &str| {
            let asked = command
                .clone()
                .try_get_matches_from(["aggregator", name, "--help"]);
            let help = asked.unwrap_err().to_string();
            let lines = help.lines().filter_map(|line| {
                let (_, flag) = line.trim_start().split_once("--")?;
                let is_flag = line.trim_start().starts_with('-');
                is_flag.then(|| {
                    flag.split([' ', '=', '['])
                        .next()
                        .unwrap_or_default()
                        .to_owned()
                })
            });
            lines.collect::<Vec<_>>()
        };
        let own = [
            "from",
            "to",
            "lake-bucket",
            "create",
            "contracts",
            "commit-max-hours",
            "memory-limit",
            "spill-dir",
            "spill-limit",
        ];
        let own: Vec<&str> = own
            .into_iter()
            .chain(["threads", "log-format", "help"])
            .collect();
        let mut rebuild = flags("rebuild");
        rebuild.retain(|flag| flag != "version");
        assert_eq!(rebuild, own);
        assert!(flags("watch").iter().any(|flag| flag == "interval"));
        // Each name is that of a flag.
        let ids: Vec<_> = command
            .get_arguments()
            .map(|arg| arg.get_id().as_str())
            .collect();
        let mut named = USES.iter().flat_map(|(_, used)| used.iter());
        assert!(named.all(|name| ids.contains(name)), "{ids:?}");
    }

    #[test]
    fn settings_that_cannot_work_are_named() {
        let hours = |from: &'static str| {
            [
                "aggregator",
                "rebuild",
                "--from",
                from,
                "--to=2026-11-21T05",
            ]
        };
        for (line, named) in [
            (&["aggregator", "--memory-limit=1MB"][..], "MEMORY_LIMIT"),
            (&["aggregator", "--spill-limit=1MB"], "SPILL_LIMIT"),
            (&["aggregator", "--spill-dir=/no/such"], "SPILL_DIR"),
            (&hours("2026-11-21T05"), "--from"),
        ] {
            let error = Cli::try_parse_from(line).unwrap().check().unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
        let sound = Cli::try_parse_from(hours("2026-11-21T04")).unwrap();
        sound.check().unwrap();
    }
}
