//! Settings: read once, checked at start.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytesize::ByteSize;
use clap::{Args, Parser};
use contract::Kinds;
use rumqttc::v5::mqttbytes::QoS;
use secrecy::SecretString;
use sender::{ClientConfig, Compression, Trust};
use service::logging::LogFormat;

use crate::broker::{Address, BrokerSettings};
use crate::deliver::DeliverSettings;
use crate::rules::{RuleText, Rules, Time};

/// Default of METRICS_LISTEN.
pub const METRICS_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9105);

/// What KEEP_ALIVE may be: the client takes no less, and the packet no more.
const KEEP_ALIVE: RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_secs(65_535);

/// What MAX_HELD may be: less hardly holds a message, more is no bound.
const MAX_HELD: RangeInclusive<ByteSize> = ByteSize::mib(1)..=ByteSize::gib(4);

/// Most events of a post: as many refused ones as an answer of ingest lists.
const BATCH: RangeInclusive<usize> = 1..=1_000;

/// How long a post is tried again before the log and `/readyz` say so. It is tried again after that too.
const RETRY_FOR: Duration = Duration::from_secs(10);

/// Takes messages from an MQTT broker, and posts them to ingest as events.
///
/// A message is acknowledged to the broker once ingest has all of its events, or has refused them for good; until then
/// the broker keeps it. Each flag can be given as an environment variable.
#[derive(Debug, Clone, Parser)]
#[command(name = "mqtt-bridge", version)]
pub struct Config {
    /// Where the broker is, which speaks MQTT 5: mqtt://host:1883, or with TLS mqtts://host:8883.
    #[arg(
        long,
        env,
        default_value = "mqtt://127.0.0.1:1883",
        help_heading = "Broker"
    )]
    pub mqtt_url: Address,
    /// Name at the broker.
    #[arg(long, env, help_heading = "Broker")]
    pub mqtt_user: Option<String>,
    /// Password of MQTT_USER.
    #[arg(long, env, hide_env_values = true, help_heading = "Broker")]
    pub mqtt_password: Option<SecretString>,
    /// File of that password.
    #[arg(long, env, conflicts_with = "mqtt_password", help_heading = "Broker")]
    pub mqtt_password_file: Option<PathBuf>,
    /// Certificates for the broker, and for an ingest behind https.
    #[command(flatten, next_help_heading = "TLS, to the broker and to ingest")]
    pub trust: Trust,
    /// The session at the broker: no two bridges may have the same, and a bridge must keep its own.
    #[arg(
        long,
        env,
        default_value = "headwater-mqtt-bridge",
        help_heading = "Broker"
    )]
    pub client_id: String,
    /// Group of bridges that share the messages: each message goes to one of them.
    #[arg(long, env, value_name = "GROUP", help_heading = "Broker")]
    pub share: Option<String>,
    /// 1: nothing is lost. 0: what comes while the bridge is away, or has no room, is lost. 2 is taken as 1.
    #[arg(long, env, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=2), help_heading = "Broker")]
    pub qos: u8,
    /// How long the broker keeps messages for a bridge that is away.
    #[arg(long, env, default_value = "7d", value_parser = humantime::parse_duration, help_heading = "Broker")]
    pub session_expiry: Duration,
    /// Longest silence on the connection; a broker that does not answer within it is away.
    #[arg(long, env, default_value = "30s", value_parser = humantime::parse_duration, help_heading = "Broker")]
    pub keep_alive: Duration,
    /// Most messages that the broker sends ahead of acknowledgements.
    #[arg(long, env, default_value_t = 1_000, help_heading = "Broker")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub receive_maximum: u16,
    /// Longest message, its topic included. The broker keeps longer ones back, and says so to nobody.
    #[arg(long, env, default_value = "1MB", help_heading = "Broker")]
    pub max_message: ByteSize,
    /// Most bytes of messages in memory: while they are taken, no more is read from the broker.
    #[arg(long, env, default_value = "64MiB", help_heading = "Broker")]
    pub max_held: ByteSize,

    /// Which topics become which events.
    #[command(flatten)]
    pub rules: RuleSettings,

    /// Where ingest is.
    #[arg(
        long,
        env,
        default_value = "http://127.0.0.1:3000",
        help_heading = "Sending"
    )]
    pub ingest_url: String,
    /// One of ingest's keys.
    #[arg(long, env, hide_env_values = true, help_heading = "Sending")]
    pub api_key: Option<SecretString>,
    /// File of that key.
    #[arg(long, env, conflicts_with = "api_key", help_heading = "Sending")]
    pub api_key_file: Option<PathBuf>,
    /// Most events of a post, 1 to 1,000.
    #[arg(long, env, default_value_t = 500, help_heading = "Sending")]
    pub batch: usize,
    /// Longest time that an event waits for its post to fill; a tenth of it where nothing more comes.
    #[arg(long, env, default_value = "50ms", value_parser = humantime::parse_duration, help_heading = "Sending")]
    pub linger: Duration,
    /// Most posts under way.
    #[arg(long, env, default_value_t = 4, help_heading = "Sending")]
    pub connections: usize,
    /// How posts are compressed.
    #[arg(long, env, value_enum, default_value_t = Compression::Zstd, help_heading = "Sending")]
    pub compress: Compression,

    /// Address that serves `/metrics`, `/livez` and `/readyz`.
    #[arg(long, env, default_value_t = METRICS_LISTEN)]
    pub metrics_listen: SocketAddr,
    /// Form of the log lines.
    #[arg(long, env, value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// Longest time that a stop may take.
    #[arg(long, env, default_value = "20s", value_parser = humantime::parse_duration)]
    pub shutdown_grace: Duration,
}

/// Which topics become which events: a file of rules, or one rule by flags.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Rules")]
pub struct RuleSettings {
    /// File of rules (TOML).
    #[arg(long, env, conflicts_with = "mqtt_topic")]
    pub rules: Option<PathBuf>,
    /// Without a file, the topics of the one rule: fleet/{vehicle_id}/can/{can_id}.
    #[arg(long, env, requires = "mqtt_kind")]
    pub mqtt_topic: Option<String>,
    /// The kind of its events, such as vehicle.
    #[arg(long, env, conflicts_with = "rules")]
    pub mqtt_kind: Option<String>,
    /// The signal that a payload which is a bare value is of.
    #[arg(long, env, conflicts_with = "rules")]
    pub mqtt_signal: Option<String>,
    /// The time of events without one.
    #[arg(long, env, value_enum, conflicts_with = "rules")]
    pub mqtt_time: Option<Time>,
    /// Folder with declarations of further kinds: the one that ingest has.
    #[arg(long, env, value_name = "FOLDER")]
    pub contracts: Option<PathBuf>,
}

impl RuleSettings {
    /// The declared kinds.
    ///
    /// # Errors
    ///
    /// If a declaration cannot be read.
    pub fn kinds(&self) -> anyhow::Result<Kinds> {
        Kinds::load(self.contracts.as_deref()).context("cannot load CONTRACTS")
    }

    /// The rules, held against the kinds.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or a rule is wrong.
    pub fn load(&self, kinds: &Kinds) -> anyhow::Result<Rules> {
        if let Some(path) = &self.rules {
            return Rules::load(path, kinds);
        }
        let (Some(topic), Some(kind)) = (self.mqtt_topic.clone(), self.mqtt_kind.clone()) else {
            bail!("there is no rule: set RULES, or MQTT_TOPIC and MQTT_KIND");
        };
        let rule = RuleText {
            topic,
            kind,
            signal: self.mqtt_signal.clone(),
            time: self.mqtt_time,
            constants: BTreeMap::new(),
        };
        Rules::of(vec![rule], kinds)
    }
}

impl Config {
    /// Checks the bounds of settings, and what several must be together.
    ///
    /// # Errors
    ///
    /// If a setting is wrong; the error says which one to change.
    pub fn check(&self) -> anyhow::Result<()> {
        let shown = humantime::format_duration;
        ensure!(
            KEEP_ALIVE.contains(&self.keep_alive),
            "KEEP_ALIVE is {}: set it to 5 s at least and 65,535 s at most",
            shown(self.keep_alive)
        );
        ensure!(
            MAX_HELD.contains(&self.max_held),
            "MAX_HELD is {}: set it to {} at least and {} at most",
            self.max_held,
            MAX_HELD.start(),
            MAX_HELD.end()
        );
        ensure!(
            (ByteSize::kb(1)..=ByteSize::mib(256)).contains(&self.max_message),
            "MAX_MESSAGE is {}: set it to 1 kB at least and 256 MiB at most",
            self.max_message
        );
        ensure!(
            BATCH.contains(&self.batch),
            "BATCH is {}: set it to 1 at least and 1,000 at most",
            self.batch
        );
        ensure!(
            self.connections >= 1,
            "CONNECTIONS is 0: set it to 1 or more"
        );
        ensure!(
            !self.client_id.is_empty(),
            "CLIENT_ID is empty: the session needs a name"
        );
        let group = self.share.as_deref().unwrap_or("group");
        ensure!(
            !group.is_empty() && !group.contains(['/', '+', '#']),
            "SHARE is `{group}`: a group has a name without `/`, `+` and `#`"
        );
        ensure!(
            self.mqtt_user.is_some()
                || (self.mqtt_password.is_none() && self.mqtt_password_file.is_none()),
            "MQTT_PASSWORD is set and MQTT_USER is not: set both or neither"
        );
        ensure!(
            self.trust.client_cert.is_some() == self.trust.client_key.is_some(),
            "CLIENT_CERT and CLIENT_KEY belong together: set both or neither"
        );
        Ok(())
    }

    pub(crate) fn broker(&self, rules: &Rules) -> anyhow::Result<BrokerSettings> {
        let group = self.share.as_deref();
        let filters = rules.filters().into_iter().map(|filter| match group {
            Some(group) => format!("$share/{group}/{filter}"),
            None => filter,
        });
        let password = secret(
            "MQTT_PASSWORD",
            &self.mqtt_password,
            self.mqtt_password_file.as_deref(),
        )?;
        let login = self.mqtt_user.clone();
        Ok(BrokerSettings {
            address: self.mqtt_url.clone(),
            client_id: self.client_id.clone(),
            login: login.map(|user| (user, password.unwrap_or_default())),
            trust: self.trust.clone(),
            filters: filters.collect(),
            qos: if self.qos == 0 {
                QoS::AtMostOnce
            } else {
                QoS::AtLeastOnce
            },
            session_expiry: self.session_expiry,
            keep_alive: self.keep_alive,
            receive_maximum: self.receive_maximum,
            max_message: self.max_message,
            max_held: self.max_held,
        })
    }

    pub(crate) fn deliver(&self) -> anyhow::Result<DeliverSettings> {
        let api_key = secret("API_KEY", &self.api_key, self.api_key_file.as_deref())?;
        let api_key =
            api_key.context("API_KEY is not set: give it one of the keys that ingest takes")?;
        Ok(DeliverSettings {
            client: ClientConfig {
                compress: self.compress,
                retry_for: RETRY_FOR,
                trust: self.trust.clone(),
                ..ClientConfig::new(&self.ingest_url, api_key)
            },
            batch: self.batch,
            linger: self.linger,
            connections: self.connections,
        })
    }
}

/// A secret of a setting, or of the file that another setting names.
fn secret(
    name: &str,
    given: &Option<SecretString>,
    file: Option<&Path>,
) -> anyhow::Result<Option<SecretString>> {
    let Some(path) = file else {
        return Ok(given.clone());
    };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read {name}_FILE `{}`", path.display()))?;
    let text = text.trim_end_matches(['\r', '\n']);
    ensure!(
        !text.is_empty(),
        "{name}_FILE `{}` is empty",
        path.display()
    );
    Ok(Some(text.into()))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn config(flags: &[&str]) -> Config {
        let fixed = [
            "mqtt-bridge",
            "--mqtt-topic",
            "fleet/{vehicle_id}/can/{can_id}",
            "--mqtt-kind",
            "vehicle",
        ];
        Config::try_parse_from(fixed.iter().chain(flags)).unwrap()
    }

    #[test]
    fn settings_that_cannot_work_are_named() {
        config(&[]).check().unwrap();
        for (flags, named) in [
            (&["--keep-alive=1s"][..], "KEEP_ALIVE"),
            (&["--max-held=1kB"], "MAX_HELD"),
            (&["--max-message=1B"], "MAX_MESSAGE"),
            (&["--batch=1001"], "BATCH"),
            (&["--connections=0"], "CONNECTIONS"),
            (&["--client-id="], "CLIENT_ID"),
            (&["--share=a/b"], "SHARE"),
            (&["--mqtt-password=x"], "MQTT_USER"),
            (&["--client-cert=x"], "CLIENT_KEY"),
        ] {
            let error = config(flags).check().unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
        assert!(
            config(&[])
                .deliver()
                .unwrap_err()
                .to_string()
                .contains("API_KEY")
        );
    }

    #[test]
    fn a_group_stands_in_front_of_each_filter() {
        let config = config(&["--share=fleet", "--qos=2"]);
        let rules = config.rules.load(&Kinds::builtin()).unwrap();
        let broker = config.broker(&rules).unwrap();
        assert_eq!(broker.filters, ["$share/fleet/fleet/+/can/+"]);
        assert_eq!(broker.qos, QoS::AtLeastOnce);
    }

    #[test]
    fn a_secret_comes_from_its_setting_or_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, "hush-hush\n").unwrap();
        let flag = format!("--api-key-file={}", file.display());
        let settings = config(&[&flag]).deliver().unwrap();
        assert_eq!(settings.client.api_key.expose_secret(), "hush-hush");
        assert!(!format!("{settings:?}").contains("hush-hush"));
    }
}
