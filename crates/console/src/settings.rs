//! What bounds the console, and where it finds alerts.

use std::time::Duration;

use anyhow::{Context, ensure};
use axum::http::Uri;
use bytesize::ByteSize;
use clap::Args;
use secrecy::SecretString;
use sender::Trust;

/// Settings of the console and the live stream; each flag can be given as an environment variable.
#[derive(Debug, Clone, Args)]
pub struct ConsoleSettings {
    /// Hours after which a sign-in on the console ends.
    #[arg(long, env, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=720))]
    pub session_hours: u32,

    /// Most sign-ins at a time; past it the one that would end first ends.
    #[arg(long, env, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_sessions: u32,

    /// URL of the service alerts, such as `http://alerts:3003`, for what the console shows of it; nothing is shown
    /// if absent.
    #[arg(long, env)]
    pub alerts_url: Option<String>,

    /// Read key of that service; of several, as its READ_KEYS has them, the first is used.
    #[arg(long, env, hide_env_values = true, value_delimiter = ',')]
    pub alerts_key: Vec<SecretString>,

    /// How that service is trusted, if its address is https.
    #[command(flatten)]
    pub alerts_trust: Trust,

    /// Most clients of the live stream at a time; past it the answer is 503.
    #[arg(long, env, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    pub live_max_clients: u32,

    /// Most topics of one client of the live stream; one more is refused.
    #[arg(long, env, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..))]
    pub live_max_topics: u32,

    /// Most topics of all clients together that are not the same.
    #[arg(long, env, default_value_t = 400_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub live_max_all_topics: u32,

    /// Most bytes that wait for one client beside the newest message of each topic: errors, and what it missed.
    #[arg(long, env, default_value = "1MiB")]
    pub live_outbox_bytes: ByteSize,

    /// Most bytes of messages that are kept for clients that come back.
    #[arg(long, env, default_value = "16MiB")]
    pub live_history_bytes: ByteSize,
}

impl Default for ConsoleSettings {
    fn default() -> ConsoleSettings {
        ConsoleSettings {
            session_hours: 12,
            max_sessions: 1000,
            alerts_url: None,
            alerts_key: Vec::new(),
            alerts_trust: Trust::default(),
            live_max_clients: 256,
            live_max_topics: 2000,
            live_max_all_topics: 400_000,
            live_outbox_bytes: ByteSize::mib(1),
            live_history_bytes: ByteSize::mib(16),
        }
    }
}

impl ConsoleSettings {
    /// Checks what one setting alone cannot show.
    ///
    /// # Errors
    ///
    /// Says which setting is wrong.
    pub fn check(&self) -> anyhow::Result<()> {
        if let Some(url) = &self.alerts_url {
            let parsed: Uri = url
                .parse()
                .with_context(|| format!("ALERTS_URL is `{url}`"))?;
            let scheme = parsed.scheme_str();
            ensure!(
                matches!(scheme, Some("http" | "https")) && parsed.query().is_none(),
                "ALERTS_URL is `{url}`: write it as `http://host:port`"
            );
            ensure!(
                !self.alerts_key.is_empty(),
                "ALERTS_URL is set and ALERTS_KEY is not: set it to a read key of alerts"
            );
        }
        ensure!(
            self.live_outbox_bytes >= ByteSize::kib(16),
            "LIVE_OUTBOX_BYTES is {}: set it to 16 KiB at least",
            self.live_outbox_bytes
        );
        Ok(())
    }

    /// How long a sign-in lasts.
    pub(crate) fn session(&self) -> Duration {
        Duration::from_secs(u64::from(self.session_hours) * 3600)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Config {
        #[command(flatten)]
        console: ConsoleSettings,
    }

    fn parse(arguments: &[&str]) -> ConsoleSettings {
        Config::try_parse_from([&["query"], arguments].concat())
            .unwrap()
            .console
    }

    #[test]
    fn what_flags_leave_out_is_as_by_default_and_wrong_settings_are_named() {
        let (parsed, default) = (parse(&[]), ConsoleSettings::default());
        assert_eq!(format!("{parsed:?}"), format!("{default:?}"));
        default.check().unwrap();
        let key = "--alerts-key=a-read-key";
        parse(&["--alerts-url=http://alerts:3003", key])
            .check()
            .unwrap();
        for (wrong, named) in [
            (&["--alerts-url=http://alerts:3003"][..], "ALERTS_KEY"),
            (&["--alerts-url=alerts:3003", key], "http://host:port"),
            (&["--alerts-url=ftp://alerts", key], "http://host:port"),
            (&["--live-outbox-bytes=1KiB"], "LIVE_OUTBOX_BYTES"),
        ] {
            let complaint = format!("{:#}", parse(wrong).check().unwrap_err());
            assert!(complaint.contains(named), "{complaint}");
        }
    }
}
