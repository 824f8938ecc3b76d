//! Settings of the aggregator.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use aws::{CreateSettings, LakeSettings, ObjectInfo};
use bytesize::ByteSize;
use chrono::{DateTime, NaiveDate};
use clap::{Args, Parser, Subcommand};
use contract::{Hour, Kinds};
use service::emf::EmfSettings;
use service::logging::LogFormat;

/// Bounds of COMMIT_MAX_BYTES. With less, each raw object would be a commit of its own; with more, the ids of an hour
/// could take more than the 2^31 bytes that Arrow's offsets reach.
const COMMIT_BYTES: RangeInclusive<ByteSize> = ByteSize::mib(1)..=ByteSize::gib(1);

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

/// What the aggregator is to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Take in all that is new, print a summary and end.
    Once,
    /// Take in what is new every INTERVAL until stopped.
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
    /// Ask the `watch` on this machine whether its last run succeeded; exit 0 if so.
    Health,
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
    /// Most bytes of raw objects in one commit, which bounds memory: 1 MiB to 1 GiB.
    #[arg(long, env, default_value = "64MiB", global = true)]
    pub commit_max_bytes: ByteSize,
    /// Most raw objects in one commit; at least 1.
    #[arg(long, env, default_value_t = 2000, global = true)]
    pub commit_max_objects: usize,
    /// List all of `raw/` rather than the last two days, as is done once a day anyway.
    #[arg(long, global = true)]
    pub full: bool,
    /// Time from one run of `watch` to the next; at least 100 ms.
    #[arg(long, env, default_value = "60s", value_parser = humantime::parse_duration, global = true)]
    pub interval: Duration,
    /// Where `watch` serves /metrics, /livez and /readyz.
    #[arg(long, env, default_value = "127.0.0.1:9102", global = true)]
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
        self.config.check()
    }
}

impl Config {
    /// The default settings, for a lake in this bucket.
    pub fn for_bucket(bucket: &str) -> Config {
        let mut config = Cli::parse_from(["aggregator"]).config;
        config.lake.lake_bucket = bucket.to_owned();
        config
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// Names the setting, and what it must be.
    pub fn check(&self) -> anyhow::Result<()> {
        if self.commit_max_objects == 0 {
            bail!("COMMIT_MAX_OBJECTS must be at least 1");
        }
        let (bytes, least, most) = (
            self.commit_max_bytes,
            COMMIT_BYTES.start(),
            COMMIT_BYTES.end(),
        );
        if !COMMIT_BYTES.contains(&bytes) {
            bail!("COMMIT_MAX_BYTES is {bytes}: set it to {least} at least and {most} at most");
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

    /// Cuts the objects into commits within the bounds; a larger object is a commit of its own.
    pub(crate) fn cut<'a>(&self, objects: &'a [ObjectInfo]) -> Vec<&'a [ObjectInfo]> {
        let mut chunks = Vec::new();
        let (mut start, mut bytes) = (0, 0);
        for (at, object) in objects.iter().enumerate() {
            let full = at - start >= self.commit_max_objects
                || bytes + object.size > self.commit_max_bytes.as_u64();
            if full && at > start {
                chunks.push(&objects[start..at]);
                (start, bytes) = (at, 0);
            }
            bytes += object.size;
        }
        if start < objects.len() {
            chunks.push(&objects[start..]);
        }
        chunks
    }
}

fn parse_hour(text: &str) -> Result<Hour, String> {
    let time = |text: &str| DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    let day = || {
        let day = text.parse::<NaiveDate>();
        day.map(|day| day.and_time(chrono::NaiveTime::MIN).and_utc())
    };
    time(text)
        .or_else(|_| time(&format!("{text}:00:00Z")))
        .or_else(|_| day())
        .map(Hour::of)
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
            (
                &["aggregator", "--commit-max-bytes=0"][..],
                "COMMIT_MAX_BYTES",
            ),
            (
                &["aggregator", "--commit-max-objects=0"],
                "COMMIT_MAX_OBJECTS",
            ),
            (&hours("2026-11-21T05"), "--from"),
        ] {
            let error = Cli::try_parse_from(line).unwrap().check().unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
        let sound = Cli::try_parse_from(hours("2026-11-21T04")).unwrap();
        sound.check().unwrap();
    }

    #[test]
    fn commits_are_cut_at_the_bounds_and_hold_at_least_one_object() {
        let mut config = Config::for_bucket("b");
        config.commit_max_objects = 3;
        config.commit_max_bytes = ByteSize(100);
        let objects: Vec<_> = [60, 60, 500, 1, 1, 1, 1]
            .iter()
            .map(|size| ObjectInfo {
                key: String::new(),
                size: *size,
                etag: String::new(),
            })
            .collect();
        let sizes: Vec<_> = config
            .cut(&objects)
            .iter()
            .map(|chunk| chunk.len())
            .collect();
        assert_eq!(sizes, [1, 1, 1, 3, 1]);
    }
}
