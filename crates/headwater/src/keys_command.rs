//! `headwater keys`: makes, lists and takes out keys with names.

use std::path::PathBuf;

use bytesize::ByteSize;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand, ValueEnum};
use secrecy::ExposeSecret;
use service::keys::{Access, Entry, Limits, NewKey, Rate, add, list, revoke};

use crate::output::write_stdout;

/// Settings of `keys`.
#[derive(Debug, Clone, Args)]
pub struct KeysConfig {
    /// The file of keys.
    #[arg(long, env, global = true, default_value = "keys.toml")]
    pub keys_file: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub command: KeysCommand,
}

/// What `keys` can do.
#[derive(Debug, Clone, Subcommand)]
pub enum KeysCommand {
    /// Make a key, add it to the file with its hash, and print it: it is shown this once.
    New(NewKeyConfig),
    /// Show the names, scopes and limits of all keys.
    List,
    /// Take a key out of the file; services that follow the file refuse it within 5 s.
    Revoke {
        /// Name of the key.
        name: String,
    },
}

/// A key to make.
#[derive(Debug, Clone, Args)]
pub struct NewKeyConfig {
    /// Name of the key, as logs and metrics show it.
    pub name: String,
    /// What it may do, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', required = true)]
    pub may: Vec<May>,
    /// Kinds of events that it may send, separated by commas; all if not given.
    #[arg(long, value_delimiter = ',')]
    pub write_kinds: Vec<String>,
    /// Patterns of entities whose events it may send, such as `veh-*`, separated by commas; all if not given.
    #[arg(long, value_delimiter = ',')]
    pub write_entities: Vec<String>,
    /// Requests a second, in each process of a service.
    #[arg(long)]
    pub requests_per_second: Option<f64>,
    /// Requests at once after a pause; ten seconds' worth if not given.
    #[arg(long, requires = "requests_per_second")]
    pub requests_burst: Option<f64>,
    /// Events a second, in each process of ingest.
    #[arg(long)]
    pub events_per_second: Option<f64>,
    /// Events at once after a pause, and most of one body; ten seconds' worth if not given.
    #[arg(long, requires = "events_per_second")]
    pub events_burst: Option<f64>,
    /// Bytes of bodies a day (UTC), in each process of ingest, such as `10GB`.
    #[arg(long)]
    pub bytes_per_day: Option<ByteSize>,
    /// When it ends: a time such as `2027-06-30T00:00:00Z`, or how long from now, such as `90d`; never if not given.
    #[arg(long, value_parser = end)]
    pub expires: Option<DateTime<Utc>>,
    /// Let PostgreSQL clients in with it, which needs a verifier beside the hash.
    #[arg(long)]
    pub postgres: bool,
}

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum May {
    /// Send events.
    Write,
    /// Ask for data, alerts and the console.
    Read,
    /// Silence and acknowledge alerts.
    Admin,
}

impl From<May> for Access {
    fn from(may: May) -> Access {
        match may {
            May::Write => Access::Write,
            May::Read => Access::Read,
            May::Admin => Access::Admin,
        }
    }
}

fn end(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    let wanted =
        || "write a time such as 2027-06-30T00:00:00Z, or a duration such as 90d".to_owned();
    let lasts = humantime::parse_duration(text).map_err(|_| wanted())?;
    Utc::now()
        .checked_add_signed(chrono::TimeDelta::from_std(lasts).map_err(|_| wanted())?)
        .ok_or_else(wanted)
}

fn rate(per_second: Option<f64>, burst: Option<f64>) -> Option<Rate> {
    per_second.map(|per_second| Rate {
        per_second,
        burst: burst.unwrap_or((per_second * 10.0).max(1.0)),
    })
}

/// Does what was asked for.
///
/// # Errors
///
/// If the file cannot be read or written, or is wrong; says where.
pub fn keys(config: &KeysConfig) -> anyhow::Result<()> {
    let path = &config.keys_file;
    match &config.command {
        KeysCommand::New(asked) => {
            let new = NewKey {
                name: asked.name.clone(),
                may: asked.may.iter().map(|may| Access::from(*may)).collect(),
                write_kinds: asked.write_kinds.clone(),
                write_entities: asked.write_entities.clone(),
                limits: Limits {
                    requests: rate(asked.requests_per_second, asked.requests_burst),
                    events: rate(asked.events_per_second, asked.events_burst),
                    bytes_per_day: asked.bytes_per_day.map(|bytes| bytes.as_u64()),
                },
                expires: asked.expires,
                postgres: asked.postgres,
            };
            let key = add(path, &new)?;
            // Words apart from the key, so that this can stand in `$(…)`.
            eprintln!(
                "the key `{}`, whose hash is now in {}; it is shown this once:",
                new.name,
                path.display()
            );
            Ok(write_stdout(
                format!("{}\n", key.expose_secret()).as_bytes(),
            )?)
        }
        KeysCommand::List => {
            let lines: Vec<String> = list(path)?
                .entries
                .iter()
                .map(|entry| line(entry, Utc::now()))
                .collect();
            Ok(write_stdout(lines.concat().as_bytes())?)
        }
        KeysCommand::Revoke { name } => {
            revoke(path, name)?;
            eprintln!("`{name}` is no longer in {}", path.display());
            Ok(())
        }
    }
}

/// A key on a line.
fn line(entry: &Entry, now: DateTime<Utc>) -> String {
    let mut parts = vec![entry.scope.to_string()];
    for (what, rate) in [
        ("requests", entry.limits.requests),
        ("events", entry.limits.events),
    ] {
        if let Some(rate) = rate {
            parts.push(format!(
                "{} {what}/s, {} at once",
                rate.per_second, rate.burst
            ));
        }
    }
    if let Some(bytes) = entry.limits.bytes_per_day {
        parts.push(format!("{} a day", ByteSize(bytes)));
    }
    if entry.scram.is_some() {
        parts.push("PostgreSQL".to_owned());
    }
    if let Some(expires) = entry.expires {
        let word = if expires <= now { "EXPIRED" } else { "expires" };
        parts.push(format!(
            "{word} {}",
            expires.to_rfc3339_opts(SecondsFormat::Secs, true)
        ));
    }
    format!("{:<24} {}\n", entry.name, parts.join(" | "))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::{Cli, Command};

    use super::*;

    fn run(path: &std::path::Path, arguments: &[&str]) -> anyhow::Result<()> {
        let arguments = [&["headwater", "keys"], arguments].concat();
        let Command::Keys(mut config) = Cli::try_parse_from(arguments)?.command() else {
            panic!("another command");
        };
        config.keys_file = path.to_owned();
        keys(&config)
    }

    #[test]
    fn a_key_is_made_shown_and_taken_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        let new = [
            "new",
            "fleet-north",
            "--may",
            "write,read",
            "--write-entities",
            "veh-*",
            "--events-per-second",
            "50",
            "--bytes-per-day",
            "10GB",
            "--expires",
            "2026-01-01T00:00:00Z",
            "--postgres",
        ];
        run(&path, &new).unwrap();
        run(&path, &["new", "ops", "--may", "admin", "--expires", "90d"]).unwrap();
        let entries = list(&path).unwrap().entries;
        let shown = line(&entries[0], Utc::now());
        let expected = "fleet-north              write events from veh-*; read | 50 events/s, 500 at once | 9.3 GiB a day | \
                        PostgreSQL | EXPIRED 2026-01-01T00:00:00Z\n";
        assert_eq!(shown, expected);
        assert!(line(&entries[1], Utc::now()).contains("admin | expires 20"));
        run(&path, &["list"]).unwrap();
        run(&path, &["revoke", "fleet-north"]).unwrap();
        assert!(run(&path, &["revoke", "fleet-north"]).is_err());
        for wrong in [
            &["new", "x"][..],
            &["new", "x", "--may", "all"],
            &["new", "X", "--may", "read"],
            &["new", "x", "--may", "read", "--write-kinds", "vehicle"],
            &["new", "x", "--may", "write", "--events-per-second", "0"],
            &["new", "x", "--may", "write", "--expires", "soon"],
        ] {
            assert!(run(&path, wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(list(&path).unwrap().entries.len(), 1);
    }
}
