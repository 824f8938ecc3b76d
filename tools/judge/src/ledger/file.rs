//! The file of a ledger: one JSON object a line.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use contract::Rejection;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

/// A ledger that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file.
    #[error("cannot {doing} the ledger `{path}`")]
    File {
        /// `read` or `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A line of it.
    #[error("`{path}`, line {line}: {reason}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// An event that its contract refuses, though ingest is said to have accepted it.
    #[error("this event breaks its contract, so it cannot have been accepted: {0}")]
    Event(#[from] Rejection),
    /// An event whose id or time ingest makes up: it cannot be told in the lake.
    #[error("{0}")]
    Unnamed(String),
    /// The file that the ledger is kept in.
    #[error("cannot write the ledger")]
    Write(#[source] std::io::Error),
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
pub(super) struct LedgerLine<'a> {
    pub(super) kind: &'a str,
    pub(super) event_id: Cow<'a, str>,
    pub(super) accepted_at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) maybe: bool,
    /// The event as sent: an object, or a string that holds its text.
    event: Cow<'a, RawValue>,
}

impl<'a> LedgerLine<'a> {
    /// The line of an event whose text is valid JSON. Text of several lines is kept as a string.
    pub(super) fn new(
        kind: &'a str,
        event_id: String,
        accepted_at: DateTime<Utc>,
        maybe: bool,
        text: &'a str,
    ) -> Result<LedgerLine<'a>, LedgerError> {
        let event = if text.contains(['\n', '\r']) {
            to_raw_value(text).map(Cow::Owned)
        } else {
            serde_json::from_str(text).map(Cow::Borrowed)
        };
        Ok(LedgerLine {
            kind,
            event_id: event_id.into(),
            accepted_at,
            maybe,
            event: event.map_err(|error| LedgerError::Write(error.into()))?,
        })
    }

    /// The event's text as it was sent.
    pub(super) fn text(&self) -> Result<Cow<'_, str>, String> {
        let event = self.event.get();
        if event.starts_with('"') {
            serde_json::from_str(event).map_err(|error| error.to_string())
        } else {
            Ok(event.into())
        }
    }
}

/// A file that is written.
#[derive(Debug)]
pub(super) struct LedgerFile(BufWriter<File>);

impl LedgerFile {
    /// Creates the file, or empties the one that is there.
    pub(super) fn create(path: &Path) -> Result<LedgerFile, LedgerError> {
        match File::create(path) {
            Ok(file) => Ok(LedgerFile(BufWriter::new(file))),
            Err(source) => Err(LedgerError::File {
                doing: "write",
                path: path.to_owned(),
                source,
            }),
        }
    }

    pub(super) fn append(&mut self, line: &LedgerLine<'_>) -> Result<(), LedgerError> {
        serde_json::to_writer(&mut self.0, line)
            .map_err(std::io::Error::from)
            .and_then(|()| self.0.write_all(b"\n"))
            .map_err(LedgerError::Write)
    }

    pub(super) fn flush(&mut self) -> Result<(), LedgerError> {
        self.0.flush().map_err(LedgerError::Write)
    }
}

/// Hands each line of the file to `each`, which says what is wrong with it, if anything is.
pub(super) fn read(
    path: &Path,
    mut each: impl FnMut(&LedgerLine<'_>) -> Result<(), String>,
) -> Result<(), LedgerError> {
    let failed = |source| LedgerError::File {
        doing: "read",
        path: path.to_owned(),
        source,
    };
    let lines = BufReader::new(File::open(path).map_err(failed)?).lines();
    for (at, text) in lines.enumerate() {
        let text = text.map_err(failed)?;
        if text.trim().is_empty() {
            continue;
        }
        serde_json::from_str(&text)
            .map_err(|error| format!("not a line of a ledger: {error}"))
            .and_then(|line| each(&line))
            .map_err(|reason| LedgerError::Line {
                path: path.to_owned(),
                line: at + 1,
                reason,
            })?;
    }
    Ok(())
}
