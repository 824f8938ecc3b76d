//! Settings; each flag of sending can be given as an environment variable of the same name.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use contract::Kinds;
use secrecy::SecretString;
use sender::{Client, ClientConfig, Compression, SendOptions, Trust};

use crate::input::{CsvForm, Format, Reading, encoding_of};
use crate::mapping::Mapping;

/// Brings recorded data in: SQL says what event a row of a file is.
///
/// The SQL reads the table `input`, which has the file's columns and `file` (its name), `path` (as given) and `row`
/// (counted from 1). It runs once for each file. Each row of its result is an event: columns that the kind declares as
/// fields by their names, all others are signals. Lines `-- import: --flag value` in its file are settings too.
#[derive(Debug, Clone, Parser)]
#[command(version, args_override_self = true)]
pub struct Config {
    /// Files to read, one after the other: .csv, .tsv, .txt, .ndjson, .jsonl, .json, .parquet; text also as .gz or
    /// .zst. Patterns such as 'trips/**/*.csv' are looked up.
    #[arg(required = true)]
    pub files: Vec<String>,
    /// The kind of the events, such as vehicle.
    #[arg(long)]
    pub kind: String,
    /// The file with the SQL.
    #[arg(long)]
    pub sql: PathBuf,
    /// Folder with declarations of further kinds: the one that ingest has.
    #[arg(long, env)]
    pub contracts: Option<PathBuf>,

    /// What the files hold, if not what their names say.
    #[arg(long, value_enum, help_heading = "Reading")]
    pub format: Option<Format>,
    /// Encoding of texts: utf-8, utf-16le, utf-16be, latin1, windows-1252 or another name of the WHATWG Encoding
    /// Standard. A byte order mark decides over it.
    #[arg(long, default_value = "utf-8", help_heading = "Reading")]
    pub encoding: String,
    /// What parts the cells of CSV: one character, or tab. A tab for files that end in .tsv.
    #[arg(long, default_value = ",", value_parser = character, help_heading = "Reading")]
    pub delimiter: char,
    /// What may stand around the cells of CSV: one character, or none.
    #[arg(long, default_value = "\"", value_parser = quote, help_heading = "Reading")]
    pub quote: Quote,
    /// The first line of CSV is a row like any other.
    #[arg(long, help_heading = "Reading")]
    pub no_header: bool,
    /// Names of CSV's columns in their order, parted by commas, in place of those in the header.
    #[arg(long, value_delimiter = ',', help_heading = "Reading")]
    pub names: Vec<String>,
    /// Lines before the header of CSV that are left out.
    #[arg(long, default_value_t = 0, help_heading = "Reading")]
    pub skip_lines: u64,
    /// Rows of CSV may have fewer cells than there are columns: the missing ones are NULL. Else they are refused.
    #[arg(long, help_heading = "Reading")]
    pub ragged: bool,

    /// Hold every event against its contract, and send nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Print the first events as NDJSON, and send nothing; 0 prints all.
    #[arg(long, value_name = "EVENTS", conflicts_with = "dry_run")]
    pub print: Option<u64>,
    /// The most events that are taken of all files.
    #[arg(long, value_name = "EVENTS")]
    pub limit: Option<u64>,
    /// Go on at this row of this file, as an import that was stopped says; files before it are left out.
    #[arg(long, value_name = "FILE:ROW")]
    pub from: Option<StartAt>,

    /// Where ingest is.
    #[arg(
        long,
        env = "HEADWATER_INGEST_URL",
        default_value = "http://127.0.0.1:3000",
        help_heading = "Sending"
    )]
    pub ingest_url: String,
    /// One of ingest's API_KEYS.
    #[arg(
        long,
        env = "HEADWATER_API_KEY",
        hide_env_values = true,
        help_heading = "Sending"
    )]
    pub api_key: Option<SecretString>,
    /// How an https address is trusted.
    #[command(flatten, next_help_heading = "Sending")]
    pub trust: Trust,
    /// Events a second; as many as ingest takes unless given.
    #[arg(long, env = "HEADWATER_RATE", help_heading = "Sending")]
    pub rate: Option<f64>,
    /// Events in one post.
    #[arg(
        long,
        env = "HEADWATER_BATCH",
        default_value_t = 1_000,
        help_heading = "Sending"
    )]
    pub batch: usize,
    /// Posts under way at once.
    #[arg(
        long,
        env = "HEADWATER_CONNECTIONS",
        default_value_t = 4,
        help_heading = "Sending"
    )]
    pub connections: usize,
    /// How posts are compressed.
    #[arg(long, env = "HEADWATER_COMPRESS", value_enum, default_value_t = Compression::Zstd, help_heading = "Sending")]
    pub compress: Compression,
    /// How long a post is tried again after 429, 503 and connection errors.
    #[arg(long, env = "HEADWATER_RETRY_FOR", default_value = "60s", value_parser = humantime::parse_duration, help_heading = "Sending")]
    pub retry_for: Duration,
}

/// What may stand around a cell; `None` if nothing may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote(Option<char>);

/// The file and row at which an import goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartAt {
    /// The file, as it was given.
    pub file: String,
    /// The first row whose events are sent, counted from 1.
    pub row: u64,
}

impl FromStr for StartAt {
    type Err = String;

    fn from_str(text: &str) -> Result<StartAt, String> {
        let parts = text
            .rsplit_once(':')
            .and_then(|(file, row)| Some((file, row.parse().ok()?)));
        let (file, row) = parts.ok_or("it looks like trips/a.csv:1200")?;
        Ok(StartAt {
            file: file.to_owned(),
            row,
        })
    }
}

fn character(text: &str) -> Result<char, String> {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(one), None) => Ok(one),
        _ if text == "tab" || text == "\\t" => Ok('\t'),
        _ => Err("one character, or tab".to_owned()),
    }
}

fn quote(text: &str) -> Result<Quote, String> {
    if text == "none" {
        Ok(Quote(None))
    } else {
        character(text).map(|quote| Quote(Some(quote)))
    }
}

impl Config {
    /// The settings of these arguments, the first of which is the program's name, and of the SQL's own lines of
    /// settings; where both set a flag, the arguments do.
    ///
    /// # Errors
    ///
    /// Clap's, or that the file of the SQL cannot be read.
    pub fn from_arguments(arguments: impl IntoIterator<Item = OsString>) -> anyhow::Result<Config> {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        let config: Config = service::settings::try_parse_from(arguments.clone())?;
        let mapping = config.mapping()?;
        let own: Vec<OsString> = mapping.settings().map(OsString::from).collect();
        if own.is_empty() {
            return Ok(config);
        }
        let (program, given) = arguments.split_at(1.min(arguments.len()));
        Ok(service::settings::try_parse_from(
            [program, &own, given].concat(),
        )?)
    }

    pub(crate) fn mapping(&self) -> anyhow::Result<Mapping> {
        Mapping::load(&self.sql)
            .with_context(|| format!("cannot read --sql `{}`", self.sql.display()))
    }

    pub(crate) fn kinds(&self) -> anyhow::Result<Kinds> {
        Kinds::load(self.contracts.as_deref()).context("cannot load CONTRACTS")
    }

    /// How files are read.
    pub(crate) fn reading(&self) -> anyhow::Result<Reading> {
        let csv = CsvForm {
            delimiter: self.delimiter,
            quote: self.quote.0,
            header: !self.no_header,
            names: self.names.clone(),
            skip_lines: self.skip_lines,
            ragged: self.ragged,
        };
        if csv.quote == Some(csv.delimiter) {
            bail!("--delimiter and --quote are the same character");
        }
        let encoding = encoding_of(&self.encoding)
            .map_err(anyhow::Error::msg)
            .context("cannot use --encoding")?;
        Ok(Reading {
            format: self.format,
            encoding,
            csv,
        })
    }

    /// The files that the arguments name, patterns looked up, from the one at which the import is to go on.
    pub(crate) fn paths(&self) -> anyhow::Result<Vec<String>> {
        let mut paths = Vec::new();
        for given in &self.files {
            if std::path::Path::new(given).exists() {
                paths.push(given.clone());
                continue;
            }
            let before = paths.len();
            for found in
                glob::glob(given).with_context(|| format!("`{given}` is no file and no pattern"))?
            {
                let found = found?;
                if found.is_file() {
                    paths.push(found.to_string_lossy().into_owned());
                }
            }
            if paths.len() == before {
                bail!("no file `{given}`");
            }
        }
        if let Some(folder) = paths
            .iter()
            .find(|path| std::path::Path::new(path).is_dir())
        {
            bail!("`{folder}` is a folder: name the files in it, such as '{folder}/**/*.csv'");
        }
        if let Some(from) = &self.from {
            let at = paths.iter().position(|path| *path == from.file);
            let at = at.with_context(|| format!("--from: `{}` is none of the files", from.file))?;
            paths.drain(..at);
        }
        Ok(paths)
    }

    /// Time from each event to the next.
    pub(crate) fn interval(&self) -> anyhow::Result<Option<Duration>> {
        let Some(rate) = self.rate else {
            return Ok(None);
        };
        let interval = Duration::try_from_secs_f64(1.0 / rate)
            .ok()
            .filter(|_| rate > 0.0 && rate.is_finite());
        Ok(Some(interval.with_context(|| {
            format!("HEADWATER_RATE ({rate}) must be more than 0 events a second")
        })?))
    }

    /// How events are sent.
    pub(crate) fn send_options(&self) -> anyhow::Result<SendOptions> {
        if self.batch == 0 || self.connections == 0 {
            bail!("HEADWATER_BATCH and HEADWATER_CONNECTIONS must be at least 1");
        }
        Ok(SendOptions {
            batch: self.batch,
            connections: self.connections,
            linger: Duration::from_secs(1),
        })
    }

    pub(crate) fn client(&self, kind: &str) -> anyhow::Result<Client> {
        let Some(api_key) = self.api_key.clone() else {
            bail!(
                "HEADWATER_API_KEY is not set: give it one of the keys that ingest was started with (API_KEYS)"
            );
        };
        let config = ClientConfig {
            kind: Some(kind.to_owned()),
            compress: self.compress,
            retry_for: self.retry_for,
            trust: self.trust.clone(),
            ..ClientConfig::new(&self.ingest_url, api_key)
        };
        Ok(Client::new(&config)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sql_sets_what_the_arguments_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let sql = folder.path().join("map.sql");
        std::fs::write(
            &sql,
            "-- import: --delimiter ; --encoding latin1\n-- import: --ragged\nSELECT 1",
        )
        .unwrap();
        let arguments = [
            "import",
            "a.csv",
            "--kind",
            "vehicle",
            "--encoding",
            "utf-16le",
            "--sql",
        ];
        let arguments = arguments
            .iter()
            .map(OsString::from)
            .chain([sql.into_os_string()]);
        let config = Config::from_arguments(arguments).unwrap();
        assert_eq!(
            (config.delimiter, config.ragged, config.encoding.as_str()),
            (';', true, "utf-16le")
        );
        assert_eq!(config.files, ["a.csv"]);
    }

    #[test]
    fn a_place_to_go_on_is_a_file_and_a_row() {
        let at: StartAt = "a:b/c.csv:12".parse().unwrap();
        assert_eq!((at.file.as_str(), at.row), ("a:b/c.csv", 12));
        assert!("c.csv".parse::<StartAt>().is_err());
    }
}
