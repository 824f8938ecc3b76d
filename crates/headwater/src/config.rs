//! Settings; each flag can be given as an environment variable: `--count` as `HEADWATER_COUNT`. Settings that the
//! services have too, such as CONTRACTS, keep their names, which the services read as well.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use secrecy::{ExposeSecret, SecretString};
use service::logging::LogFormat;
use service::tls::TlsSettings;
use simulator::Trust;

use crate::cost::CostConfig;
use crate::keys_command::KeysConfig;

/// The published API key, for an ingest that only this machine can reach.
pub(crate) const DEV_KEY: &str = "local-dev-key";

/// How long the events of `demo --chaos` may flow.
const CHAOS_TIME: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(10)..=Duration::from_secs(3_600);

/// The whole telemetry pipeline in one process, on an embedded emulation of SQS and S3.
///
/// Without a subcommand it runs the demo.
#[derive(Debug, Clone, Parser)]
#[command(name = "headwater", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// The command; `demo` if none is named.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Settings of the demo, for a call without a subcommand.
    #[command(flatten)]
    pub demo: DemoConfig,
}

/// A subcommand of `headwater`.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Send simulated events through the pipeline, aggregate them, and check that none is lost or repeated.
    Demo(DemoConfig),
    /// Keep the pipeline running, fed by a simulated fleet, until Ctrl-C.
    Serve(ServeConfig),
    /// Ask a lake in SQL, of a running service or without one. Needs a program with the feature `sql`.
    Query(QueryConfig),
    /// Show what a month on AWS costs, next to other ways to do the same.
    Cost(CostConfig),
    /// Make, list and take out keys with names, in the file that the services read as KEYS_FILE.
    Keys(KeysConfig),
}

/// Settings of the demo.
#[derive(Debug, Clone, Args)]
pub struct DemoConfig {
    /// Folder for the files of the demo; those of an earlier demo are removed.
    #[arg(long, env = "HEADWATER_DATA", default_value = "data/demo")]
    pub data: PathBuf,
    /// Number of events to send.
    #[arg(long, env = "HEADWATER_COUNT", default_value_t = 10_000)]
    pub count: u64,
    /// Share of events sent a second time, 0 to 1.
    #[arg(long, env = "HEADWATER_DUPLICATES", default_value_t = 0.05)]
    pub duplicates: f64,
    /// Share of events that are hours to days late, 0 to 1.
    #[arg(long, env = "HEADWATER_LATE", default_value_t = 0.03)]
    pub late: f64,
    /// Share of events that ingest must refuse, 0 to 1.
    #[arg(long, env = "HEADWATER_BROKEN", default_value_t = 0.02)]
    pub broken: f64,
    /// Live streams among what is simulated, with their chats; each kind that is late falls into hours of its own.
    #[arg(long, env = "HEADWATER_STREAMS", default_value_t = 0)]
    pub streams: u32,
    /// Seed of all random choices; if not given, a random one.
    #[arg(long, env = "HEADWATER_SEED")]
    pub seed: Option<u64>,
    /// Kill and freeze ingest, consumer and aggregator while the events flow, slower than otherwise.
    #[arg(long, env = "HEADWATER_CHAOS", value_parser = FalseyValueParser::new())]
    pub chaos: bool,
    /// How long the events of `--chaos` flow.
    #[arg(long, env = "HEADWATER_CHAOS_TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    pub chaos_time: Duration,
    /// Show the services' whole log rather than its warnings.
    #[arg(long, env = "HEADWATER_VERBOSE", value_parser = FalseyValueParser::new())]
    pub verbose: bool,
}

/// Settings of `serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeConfig {
    /// Folder for queues and lake; a later run goes on with what it holds.
    #[arg(long, env = "HEADWATER_DATA", default_value = "data/serve")]
    pub data: PathBuf,
    /// Address of ingest.
    #[arg(long, env = "HEADWATER_LISTEN", default_value = "127.0.0.1:3000", value_parser = service::settings::address)]
    pub listen: SocketAddr,
    /// Address of the emulated SQS and S3.
    #[arg(long, env = "HEADWATER_AWS_LISTEN", default_value = "127.0.0.1:4566", value_parser = service::settings::address)]
    pub aws_listen: SocketAddr,
    /// Let other machines reach the emulated SQS and S3: needed where HEADWATER_AWS_LISTEN is not a loopback address.
    /// Whoever reaches it may read and delete all.
    #[arg(long, env = "HEADWATER_AWS_ALLOW_REMOTE", value_parser = FalseyValueParser::new())]
    pub aws_allow_remote: bool,
    /// Address that serves probes, and the metrics of all services.
    #[arg(long, env, default_value_t = ingest::METRICS_LISTEN, value_parser = service::settings::address)]
    pub metrics_listen: SocketAddr,
    /// Address of the PostgreSQL wire of query; the password is HEADWATER_API_KEY.
    #[cfg(feature = "sql")]
    #[arg(long, env, default_value = "127.0.0.1:5433", value_parser = service::settings::address)]
    pub pg_listen: SocketAddr,
    /// Simulated events a second; 0 for none.
    #[arg(long, env = "HEADWATER_RATE", default_value_t = 20.0)]
    pub rate: f64,
    /// Simulated live streams, with their chats, beside 20 vehicles and 5 cells.
    #[arg(long, env = "HEADWATER_STREAMS", default_value_t = 2)]
    pub streams: u32,
    /// Time between two runs of the aggregator.
    #[arg(long, env = "HEADWATER_INTERVAL", default_value = "10s", value_parser = humantime::parse_duration)]
    pub interval: Duration,
    /// Key that clients must send in the header `x-api-key`.
    #[arg(long, env = "HEADWATER_API_KEY", default_value = DEV_KEY, hide_env_values = true)]
    pub api_key: SecretString,
    /// TLS towards clients.
    #[command(flatten, next_help_heading = "TLS")]
    pub tls: TlsSettings,
    /// How the simulator trusts the certificate of TLS_CERT, which must be good for HEADWATER_LISTEN.
    #[command(flatten, next_help_heading = "TLS")]
    pub trust: Trust,
    /// Folder with declarations of further kinds (*.toml).
    #[arg(long, env)]
    pub contracts: Option<PathBuf>,
    /// How log lines are written. On a terminal a line of what goes through stands in their place, and only warnings
    /// are printed, unless this or RUST_LOG is set. [default: logfmt]
    #[arg(long, env, value_enum)]
    pub log_format: Option<LogFormat>,
}

/// Settings of `query`. Without `--url`, the lake is that of LAKE_BUCKET, reached as AWS_ENDPOINT_URL and AWS's other
/// variables say, and the settings of the query service hold.
#[derive(Debug, Clone, Args)]
pub struct QueryConfig {
    /// The statement: one, that only reads.
    pub statement: String,
    /// URL of the service to ask, such as `http://127.0.0.1:3000`; the lake is read without a service if absent.
    #[arg(long)]
    pub url: Option<String>,
    /// Read key of that service.
    #[arg(long, env = "HEADWATER_KEY", hide_env_values = true, requires = "url")]
    pub key: Option<SecretString>,
    /// How that service is trusted, if its address is https.
    #[command(flatten)]
    pub trust: Trust,
    /// How long the lake may take to be read, where no service is asked.
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
    pub wait: Duration,
    /// How rows are printed.
    #[arg(long, value_enum, default_value_t)]
    pub format: QueryFormat,
    /// Let the statement look at more than MAX_SCAN_BYTES.
    #[arg(long)]
    pub full: bool,
}

/// How rows are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum QueryFormat {
    /// A table for readers.
    #[default]
    Table,
    /// CSV with a line of names.
    Csv,
    /// The service's JSON.
    Json,
}

impl Cli {
    /// The command; `demo` if none is named.
    pub fn command(self) -> Command {
        self.command.unwrap_or(Command::Demo(self.demo))
    }
}

impl DemoConfig {
    /// Says what is wrong with the settings, if anything is.
    ///
    /// # Errors
    ///
    /// Names the setting and what it must be.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.count >= 2,
            "HEADWATER_COUNT ({}) must be at least 2",
            self.count
        );
        for (name, share) in [
            ("HEADWATER_DUPLICATES", self.duplicates),
            ("HEADWATER_LATE", self.late),
            ("HEADWATER_BROKEN", self.broken),
        ] {
            ensure!(
                (0.0..=1.0).contains(&share),
                "{name} ({share}) must be from 0 to 1"
            );
        }
        ensure!(
            CHAOS_TIME.contains(&self.chaos_time),
            "HEADWATER_CHAOS_TIME ({}) must be from 10s to 1h",
            humantime::format_duration(self.chaos_time)
        );
        let sum = self.duplicates + self.late + self.broken;
        ensure!(
            sum <= 1.0,
            "HEADWATER_DUPLICATES, HEADWATER_LATE and HEADWATER_BROKEN add up to {sum}: they must be at most 1"
        );
        Ok(())
    }
}

impl ServeConfig {
    /// Says what is wrong with the settings, if anything is.
    ///
    /// # Errors
    ///
    /// Names the setting and what it must be.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.rate.is_finite() && (0.0..=10_000.0).contains(&self.rate),
            "HEADWATER_RATE ({}) must be from 0 to 10000 events a second",
            self.rate
        );
        ensure!(
            self.listen.ip().is_loopback() || self.api_key.expose_secret() != DEV_KEY,
            "HEADWATER_LISTEN ({}) can be reached from other machines: set HEADWATER_API_KEY to a key that only you know",
            self.listen
        );
        ensure!(
            self.aws_allow_remote || self.aws_listen.ip().is_loopback(),
            "HEADWATER_AWS_LISTEN ({}) can be reached from other machines, and whoever reaches it may read and delete all: set \
             HEADWATER_AWS_ALLOW_REMOTE=true if that is meant",
            self.aws_listen
        );
        ensure!(
            self.interval >= Duration::from_secs(1),
            "HEADWATER_INTERVAL must be at least 1s"
        );
        contract::Kinds::load(self.contracts.as_deref())
            .context("cannot load the kinds from CONTRACTS")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Command {
        Cli::try_parse_from([&["headwater"], arguments].concat())
            .unwrap()
            .command()
    }

    #[test]
    fn bare_it_is_the_demo() {
        for arguments in [&["--count", "7"][..], &["demo", "--count", "7"]] {
            let Command::Demo(demo) = parse(arguments) else {
                panic!("not the demo")
            };
            assert_eq!(demo.count, 7);
            demo.check().unwrap();
        }
        assert!(matches!(parse(&[]), Command::Demo(_)));
    }

    #[test]
    fn the_key_that_everybody_knows_opens_nothing_to_the_network() {
        let check = |arguments: &[&str]| match parse(&[&["serve"], arguments].concat()) {
            Command::Serve(serve) => serve.check(),
            other => panic!("not serve: {other:?}"),
        };
        check(&[]).unwrap();
        check(&["--listen", "0.0.0.0:3000", "--api-key", "a-key-of-my-own"]).unwrap();
        let error = check(&["--listen", "0.0.0.0:3000"]).unwrap_err();
        assert!(error.to_string().contains("HEADWATER_API_KEY"), "{error}");
        let error = check(&["--aws-listen", "0.0.0.0:4566"]).unwrap_err();
        assert!(
            error.to_string().contains("HEADWATER_AWS_ALLOW_REMOTE"),
            "{error}"
        );
        check(&["--aws-listen", "0.0.0.0:4566", "--aws-allow-remote"]).unwrap();
        assert!(check(&["--rate=-1"]).is_err());
    }

    #[test]
    fn shares_that_are_none_are_refused() {
        for wrong in [
            "--late=1.5",
            "--broken=0.97",
            "--duplicates=-0.1",
            "--count=1",
            "--chaos-time=1s",
        ] {
            let Command::Demo(demo) = parse(&[wrong]) else {
                panic!("not the demo")
            };
            assert!(demo.check().is_err(), "{wrong}");
        }
    }
}
