//! Settings: read once, checked at start.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use aws::{DlqSettings, LakeSettings, QueueSettings};
use chrono::{DateTime, Utc};
use clap::{Parser, Subcommand};
use contract::Kinds;
use lake::tail::TailSettings;
use secrecy::SecretString;
use sender::Trust;
use service::emf::EmfSettings;
use service::keys::Source;
use service::keys::settings::{KeysFileSettings, READ_KEYS};
use service::logging::LogFormat;
use service::settings::Uses;
use service::tls::TlsSettings;
use windows::{Settings, WatermarkSettings};

use crate::evaluate::EvaluatorSettings;
use crate::journal::SNAPSHOT_EVERY;
use crate::live::FollowSettings;
use crate::notify::{BUILTIN, NotifySources, Routing, read_notify};
use crate::rules::{Rules, read_folder};

/// What POLL may be: more often brings nothing, as objects come each second or two.
const POLL: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);

/// What LATENESS may be: panes are held for so long, and one is the least.
const LATENESS: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(3600);

/// Default of METRICS_LISTEN.
pub const METRICS_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9104);

/// Looks at rules over the events of the lake as they come, and notifies people.
///
/// Each flag can be given as an environment variable. AWS is reached by the SDK's own variables,
/// such as AWS_ENDPOINT_URL, AWS_REGION and AWS_PROFILE.
#[derive(Debug, Clone, Parser)]
#[command(name = "alerts", version)]
pub struct Config {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Address to listen on.
    #[arg(long, env, default_value = "127.0.0.1:3003", global = true, value_parser = service::settings::address)]
    pub listen: SocketAddr,

    /// Address that serves `/metrics`, `/livez` and `/readyz`.
    #[arg(long, env, default_value_t = METRICS_LISTEN, global = true, value_parser = service::settings::address)]
    pub metrics_listen: SocketAddr,

    /// Where people see the alerts, for links in notifications; `http://`, or with TLS `https://`, and LISTEN if it is not
    /// set.
    #[arg(long, env)]
    pub external_url: Option<String>,

    /// Keys that readers send, separated by commas; several, so that they can be rotated. Each has at
    /// least 8 characters.
    #[arg(long, env, hide_env_values = true, value_delimiter = ',', value_parser = secret, global = true)]
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

    /// The queue of events, which is asked whether events wait.
    #[command(flatten)]
    pub queue: QueueSettings,

    /// The dead-letter queue, which is asked how many letters it holds.
    #[command(flatten)]
    pub dlq: DlqSettings,

    /// Folder of further kinds of events, one TOML declaration each.
    #[arg(long, env, global = true)]
    pub contracts: Option<PathBuf>,

    /// Folder of rule files (`*.yml`) and of `notify.yml`; read again on SIGHUP. Without it the
    /// built-in rules are looked at, and alerts are printed.
    #[arg(long, env, global = true)]
    pub rules: Option<PathBuf>,

    /// Time between two looks at what has arrived; each is a listing, which is billed.
    #[arg(long, env, default_value = "1s", help_heading = "Evaluation")]
    #[arg(value_parser = humantime::parse_duration)]
    pub poll: Duration,

    /// How much later than its own time an event usually arrives. Windows are looked at this long
    /// after their end.
    #[arg(long, env, default_value = "10s", help_heading = "Evaluation")]
    #[arg(value_parser = humantime::parse_duration)]
    pub watermark_delay: Duration,

    /// How long an event is on its way to the lake at most while nothing is late: twice
    /// BATCH_MAX_WAIT of the consumer, and 2 s.
    #[arg(long, env, default_value = "6s", help_heading = "Evaluation")]
    #[arg(value_parser = humantime::parse_duration)]
    pub arrival_within: Duration,

    /// How long after the end of its window an event still changes it; later ones stand in the lake
    /// alone.
    #[arg(long, env, default_value = "5m", help_heading = "Evaluation")]
    #[arg(value_parser = humantime::parse_duration)]
    pub lateness: Duration,

    /// Records after which a snapshot of the log of alerts is written. No setting: simulations lower it, so that short
    /// runs have snapshots.
    #[arg(skip = SNAPSHOT_EVERY)]
    pub snapshot_every: u64,

    /// How long an alert must be quiet before it ends once it has fired more than five times within
    /// an hour; 0s lets it flap.
    #[arg(long, env, default_value = "15m", help_heading = "Evaluation")]
    #[arg(value_parser = humantime::parse_duration)]
    pub flap_quiet: Duration,

    /// Score at which an anomaly begins, by the standard deviation of its series; 0 scores none, and
    /// holds the signals of rules alone.
    #[arg(long, env, default_value = "3", help_heading = "Evaluation")]
    pub anomaly_threshold: f64,

    /// Most series (a signal of an entity) in memory; values of further ones are left out and counted.
    #[arg(long, env, default_value = "4000000", help_heading = "Limits")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub max_series: u32,

    /// Most alerts of one rule; further ones are left out and counted.
    #[arg(long, env, default_value = "10000", help_heading = "Limits")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub max_alerts: u32,

    /// Most connections at a time; past it a new one is answered 503.
    #[arg(long, env, default_value = "1000", help_heading = "Limits")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: u32,

    /// Longest time to finish what is under way after SIGTERM.
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
pub const USES: &Uses = &[
    ("health", &["metrics_listen"]),
    ("check", &["contracts"]),
    ("replay", &["contracts", "rules"]),
    ("notify-test", &["rules"]),
    ("retry", &["listen", "read_keys"]),
    ("test", &[]),
];

/// What `alerts` can do beside serving.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Ask the service that serves METRICS_LISTEN whether it is ready, for container health checks.
    Health {
        /// Ask only whether it answers, whatever S3 does: for orchestrators that replace what is
        /// unhealthy, because a new process would find S3 no better.
        #[arg(long)]
        live: bool,
    },
    /// Check rule files; exits with 1 if something in them is not taken.
    Check {
        /// Rule files, or folders of them.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Tell what the rules of RULES would have told over the events of the lake, and tell nobody else.
    Replay {
        /// Beginning, such as `2026-11-26T09:00:00Z`.
        #[arg(long)]
        from: DateTime<Utc>,
        /// End, before now.
        #[arg(long)]
        to: DateTime<Utc>,
    },
    /// Tell a receiver of `notify.yml` of an alert that is none, past routes and silences; exits with 1
    /// if one of its channels does not take it.
    NotifyTest {
        /// The receiver's name.
        #[arg(long)]
        receiver: String,
    },
    /// Ask the service that listens on LISTEN to send notifications again that are stuck.
    Retry {
        /// Their ids; all of them if none is given.
        ids: Vec<String>,
        /// Give them up for good instead, as where their receiver is gone.
        #[arg(long)]
        forget: bool,
        /// Where the service is, if not at LISTEN: with TLS, by a name of its certificate.
        #[arg(long)]
        url: Option<String>,
        /// How an https address is trusted.
        #[command(flatten)]
        trust: Trust,
    },
    /// Hold rules against made-up series, by promtool's test files; exits with 1 if a test fails.
    Test {
        /// Test files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

impl Config {
    /// Checks what clap cannot: the keys, the declarations, the rules, and the bounds of settings.
    ///
    /// # Errors
    ///
    /// Says which setting is wrong and what to do.
    pub fn check(&self) -> anyhow::Result<()> {
        let (unnamed, file) = (&self.read_keys, self.read_keys_file.as_deref());
        self.keys.check(READ_KEYS, unnamed, file)?;
        self.dlq.check(&self.queue).map_err(anyhow::Error::msg)?;
        self.kinds()?;
        self.rules()?;
        self.routing()?;
        self.tls.load()?;
        ensure!(
            POLL.contains(&self.poll),
            "POLL is {}: set it to 100ms at least and 1m at most",
            humantime::format_duration(self.poll)
        );
        ensure!(
            self.anomaly_threshold == 0.0 || self.anomaly_threshold >= 1.0,
            "ANOMALY_THRESHOLD is {}: set it to 1 at least, or to 0 for none",
            self.anomaly_threshold
        );
        ensure!(
            LATENESS.contains(&self.lateness),
            "LATENESS is {}: set it to 10s at least and 1h at most",
            humantime::format_duration(self.lateness)
        );
        Ok(())
    }

    /// Where the keys come from.
    pub(crate) fn keys(&self) -> anyhow::Result<Source> {
        let (unnamed, file) = (&self.read_keys, self.read_keys_file.as_deref());
        self.keys.source(READ_KEYS, unnamed, file)
    }

    /// The declared kinds of events.
    ///
    /// # Errors
    ///
    /// If a declaration is wrong.
    pub fn kinds(&self) -> anyhow::Result<Kinds> {
        Kinds::load(self.contracts.as_deref()).context("cannot use CONTRACTS")
    }

    /// The rules: those of the folder, or the built-in ones; and those about the pipeline itself.
    ///
    /// # Errors
    ///
    /// All that is not taken in the files.
    pub fn rules(&self) -> anyhow::Result<Rules> {
        let rules = match &self.rules {
            Some(folder) => read_folder(folder).context("cannot use RULES")?,
            None => Rules::builtin(),
        };
        Ok(rules.with_health())
    }

    /// Who is notified, by `notify.yml` of RULES; the built-in console line without it.
    ///
    /// # Errors
    ///
    /// All that is not taken in it.
    #[expect(
        clippy::disallowed_methods,
        reason = "notify.yml names variables that hold secrets, and no flag can stand for them"
    )]
    pub fn routing(&self) -> anyhow::Result<Routing> {
        let folder = self.rules.as_deref().unwrap_or(Path::new("."));
        let path = folder.join("notify.yml");
        let external_url = self.external_url();
        let sources = NotifySources {
            external_url: &external_url,
            folder,
            variable: &|name| std::env::var(name).ok(),
        };
        let is_there = self.rules.is_some() && path.exists();
        if !is_there {
            let routing = read_notify("notify.yml", BUILTIN, &sources);
            return routing.context("cannot use the built-in notify.yml");
        }
        let file = path.display().to_string();
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {file}"))?;
        read_notify(&file, &text, &sources).context("cannot use notify.yml")
    }

    /// Where a program on this machine finds the service.
    pub fn own_url(&self) -> String {
        let mut address = self.listen;
        if address.ip().is_unspecified() {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        format!("{}://{address}", self.tls.scheme())
    }

    pub(crate) fn external_url(&self) -> String {
        let given = self.external_url.clone();
        given.unwrap_or_else(|| format!("{}://{}", self.tls.scheme(), self.listen))
    }

    /// How the lake is followed.
    pub fn follow(&self) -> FollowSettings {
        FollowSettings {
            windows: Settings {
                lateness: millis(self.lateness),
                max_series: self.max_series as usize,
                anomaly_threshold: Some(self.anomaly_threshold).filter(|score| *score > 0.0),
                ..Settings::default()
            },
            watermark: WatermarkSettings {
                delay: millis(self.watermark_delay),
                way: millis(self.arrival_within),
                ..WatermarkSettings::default()
            },
            evaluator: EvaluatorSettings {
                lateness: millis(self.lateness),
                flap_quiet: millis(self.flap_quiet),
                most_alerts: self.max_alerts as usize,
            },
            tail: TailSettings::default(),
        }
    }
}

/// Saturates, past what 64 bits hold.
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(text.trim().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Config {
        Config::try_parse_from([&["alerts"], arguments].concat()).unwrap()
    }

    #[test]
    fn settings_that_cannot_work_are_named() {
        let key = "--read-keys=long-enough";
        for (arguments, named) in [
            (&[][..], "no read key"),
            (&["--read-keys=short"], "read key 1 has 5 characters"),
            (&["--read-keys=with space in"], "visible ASCII"),
            (&[key, "--poll=1ms"], "POLL"),
            (&[key, "--lateness=2h"], "LATENESS"),
            (&[key, "--lateness=9s"], "set it to 10s at least"),
            (&[key, "--dlq-name=headwater-events"], "DLQ_NAME"),
            (&[key, "--anomaly-threshold=nan"], "ANOMALY_THRESHOLD"),
            (&[key, "--contracts=/no/such"], "/no/such"),
            (&[key, "--rules=/no/such"], "/no/such: cannot be read"),
        ] {
            let complaint = format!("{:#}", parse(arguments).check().unwrap_err());
            assert!(complaint.contains(named), "{complaint}");
        }
    }

    #[test]
    fn the_defaults_are_sound_and_keys_stay_out_of_debug() {
        let config = parse(&["--read-keys=first-key,second-key"]);
        config.check().unwrap();
        assert_eq!(config.rules().unwrap().all.len(), 6);
        assert_eq!(config.external_url(), "http://127.0.0.1:3003");
        assert!(!format!("{config:?}").contains("first-key"));
    }

    #[test]
    fn commands_need_files() {
        assert!(Config::try_parse_from(["alerts", "check"]).is_err());
        let config = Config::try_parse_from(["alerts", "test", "a.yml", "b.yml"]).unwrap();
        assert!(matches!(config.command, Some(Command::Test { files }) if files.len() == 2));
    }
}
