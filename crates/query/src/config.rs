//! Settings: read once, checked at start.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use aws::LakeSettings;
use bytesize::ByteSize;
use clap::{Parser, Subcommand};
use console::ConsoleSettings;
use contract::Kinds;
use secrecy::SecretString;
use service::emf::EmfSettings;
use service::keys::Source;
use service::keys::settings::{KeysFileSettings, READ_KEYS};
use service::logging::LogFormat;
use service::settings::Uses;
use service::tls::TlsSettings;

use crate::http::QuerySettings;
use engine::snapshot::SnapshotSettings;

/// Least HOT_LIMIT: an object of the consumer has 5 MB of lines.
const LEAST_HOT: ByteSize = ByteSize::mib(16);

/// What POLL may be: more often brings nothing, as objects come each second or two.
const POLL: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(60);

/// Default of METRICS_LISTEN.
pub const METRICS_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9103);

/// Answers questions about the lake, with events that arrived seconds ago.
///
/// Each flag can be given as an environment variable. AWS is reached by the SDK's own variables,
/// such as AWS_ENDPOINT_URL, AWS_REGION and AWS_PROFILE.
#[derive(Debug, Clone, Parser)]
#[command(name = "query", version)]
pub struct Config {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Address to listen on.
    #[arg(long, env, default_value = "127.0.0.1:3002", value_parser = service::settings::address)]
    pub listen: SocketAddr,

    /// Address that serves `/metrics`, `/livez` and `/readyz`.
    #[arg(long, env, default_value_t = METRICS_LISTEN, global = true, value_parser = service::settings::address)]
    pub metrics_listen: SocketAddr,

    /// Keys that readers send, separated by commas; several, so that they can be rotated. Each has at
    /// least 8 characters.
    #[arg(long, env, hide_env_values = true, value_delimiter = ',', value_parser = secret)]
    pub read_keys: Vec<SecretString>,

    /// File of further such keys, one a line or separated by commas; read at the start.
    #[arg(long, env)]
    pub read_keys_file: Option<PathBuf>,

    /// Keys with names, scopes and limits.
    #[command(flatten)]
    pub keys: KeysFileSettings,

    /// TLS towards clients.
    #[command(flatten)]
    pub tls: TlsSettings,

    /// The bucket of the lake.
    #[command(flatten)]
    pub lake: LakeSettings,

    /// Folder of further kinds of events, one TOML declaration each.
    #[arg(long, env)]
    pub contracts: Option<PathBuf>,

    /// Time between two looks at what has arrived; each is a listing, which is billed.
    #[arg(long, env, default_value = "750ms", help_heading = "Snapshot")]
    #[arg(value_parser = humantime::parse_duration)]
    pub poll: Duration,

    /// Most memory for events that are not committed yet, about. Past it newer ones are not seen until
    /// the aggregator has committed some.
    #[arg(long, env, default_value = "256MiB", help_heading = "Snapshot")]
    pub hot_limit: ByteSize,

    /// Bounds of queries.
    #[command(flatten, next_help_heading = "Limits")]
    pub queries: QuerySettings,

    /// Bounds of SQL.
    #[cfg(feature = "sql")]
    #[command(flatten, next_help_heading = "SQL")]
    pub sql: sql::SqlSettings,

    /// The PostgreSQL wire.
    #[cfg(feature = "sql")]
    #[command(flatten, next_help_heading = "PostgreSQL wire")]
    pub postgres: crate::postgres::PgSettings,

    /// The console and the live stream.
    #[command(flatten, next_help_heading = "Console")]
    pub console: ConsoleSettings,

    /// Most connections at a time; past it a new one is answered 503.
    #[arg(long, env, default_value = "1000", help_heading = "Limits")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: u32,

    /// Longest time to finish the answers under way after SIGTERM.
    #[arg(long, env, default_value = "20s", help_heading = "Limits")]
    #[arg(value_parser = humantime::parse_duration)]
    pub shutdown_grace: Duration,

    /// How log lines are written.
    #[arg(long, env, value_enum, default_value_t, help_heading = "Observation")]
    pub log_format: LogFormat,

    /// Metrics for CloudWatch.
    #[command(flatten, next_help_heading = "Observation")]
    pub emf: EmfSettings,
}

/// The flags that each command makes use of.
pub const USES: &Uses = &[("health", &["metrics_listen"])];

/// What `query` can do beside serving.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Command {
    /// Ask the query service that serves METRICS_LISTEN whether it is ready, for container health checks.
    Health {
        /// Ask only whether it answers, whatever S3 does: for orchestrators that replace what is
        /// unhealthy, because a new process would find S3 no better.
        #[arg(long)]
        live: bool,
    },
}

impl Config {
    /// Checks what clap cannot: the keys, the declarations, and the bounds of settings.
    ///
    /// # Errors
    ///
    /// Says which setting is wrong and what to do.
    pub fn check(&self) -> anyhow::Result<()> {
        let (unnamed, file) = (&self.read_keys, self.read_keys_file.as_deref());
        self.keys.check(READ_KEYS, unnamed, file)?;
        self.kinds()?;
        self.tls.load()?;
        #[cfg(feature = "sql")]
        self.postgres.tls(&self.tls)?;
        self.queries.check()?;
        self.console.check()?;
        ensure!(
            POLL.contains(&self.poll),
            "POLL is {}: set it to 100ms at least and 1m at most",
            humantime::format_duration(self.poll)
        );
        ensure!(
            self.hot_limit >= LEAST_HOT,
            "HOT_LIMIT is {}: set it to {LEAST_HOT} at least",
            self.hot_limit
        );
        Ok(())
    }

    /// Where the keys come from.
    pub(crate) fn keys(&self) -> anyhow::Result<Source> {
        let (unnamed, file) = (&self.read_keys, self.read_keys_file.as_deref());
        self.keys.source(READ_KEYS, unnamed, file)
    }

    pub(crate) fn kinds(&self) -> anyhow::Result<Kinds> {
        Kinds::load(self.contracts.as_deref()).context("cannot use CONTRACTS")
    }

    pub(crate) fn snapshot(&self) -> SnapshotSettings {
        SnapshotSettings {
            poll: self.poll,
            hot_limit: self.hot_limit.as_u64(),
            ..SnapshotSettings::default()
        }
    }
}

fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(text.trim().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Config {
        Config::try_parse_from([&["query"], arguments].concat()).unwrap()
    }

    #[test]
    fn settings_that_cannot_work_are_named() {
        for (arguments, named) in [
            (&[][..], "no read key"),
            (&["--read-keys=short"], "read key 1 has 5 characters"),
            (&["--read-keys=long-enough,"], "read key 2 is empty"),
            (&["--read-keys=with space in"], "visible ASCII"),
            (&["--read-keys=long-enough", "--poll=1ms"], "POLL"),
            (
                &["--read-keys=long-enough", "--hot-limit=1MiB"],
                "HOT_LIMIT",
            ),
            (
                &["--read-keys=long-enough", "--contracts=/no/such"],
                "/no/such",
            ),
        ] {
            let complaint = format!("{:#}", parse(arguments).check().unwrap_err());
            assert!(complaint.contains(named), "{complaint}");
        }
    }

    #[test]
    fn the_defaults_are_sound_and_keys_stay_out_of_debug() {
        let config = parse(&["--read-keys=first-key,second-key"]);
        config.check().unwrap();
        assert_eq!(config.read_keys.len(), 2);
        assert!(!format!("{config:?}").contains("first-key"));
    }
}
