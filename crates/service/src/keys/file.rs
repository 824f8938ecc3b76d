//! Reads the file of keys (`KEYS_FILE`), TOML:
//!
//! ```
//! let text = r#"
//! [[key]]
//! name = "fleet-north"
//! hash = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
//! may = ["write"]                       # of write, read, admin
//! write_kinds = ["vehicle"]             # all if absent
//! write_entities = ["veh-*"]            # all if absent
//! requests_per_second = 20              # no bound if absent
//! requests_burst = 100                  # ten seconds' worth if absent
//! events_per_second = 500
//! events_burst = 10_000
//! bytes_per_day = 10_000_000_000
//! expires = 2027-06-30T00:00:00Z        # never if absent
//! "#;
//! let file = service::keys::KeysFile::parse(text).unwrap();
//! assert_eq!(file.entries[0].name, "fleet-north");
//! ```
//!
//! An error says its line and column, and never shows the line: whoever puts a key where its hash belongs must not find
//! it in a log.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::entry::read_entry;
use super::limit::Limits;
use super::scope::Scope;
use super::scram::{Salt, Verifier};
use crate::nearest::nearest;

/// Most bytes of a file: more than 10,000 keys.
pub const MOST_BYTES: usize = 8 * 1024 * 1024;

/// The SHA-256 of a key.
pub type Digest = [u8; 32];

/// What the file says of one key.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// 1 to 64 of `a-z`, `0-9`, `_`, `.` and `-`; no other entry has it.
    pub name: String,
    /// No other entry has it.
    pub digest: Digest,
    /// What the key may do.
    pub scope: Scope,
    /// How much of it.
    pub limits: Limits,
    /// From when on it is not accepted.
    pub expires: Option<DateTime<Utc>>,
    /// For PostgreSQL clients; without one the key opens no PostgreSQL connection.
    pub scram: Option<Verifier>,
}

/// A whole file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct KeysFile {
    /// In the order of the file.
    pub entries: Vec<Entry>,
    /// The salt of the verifiers; there is one where any entry has a verifier.
    pub scram_salt: Option<Salt>,
}

/// What is wrong with a file of keys, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct FileError {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// Without the text of the line.
    pub message: String,
}

/// An error before its place is counted.
pub(super) type Fault = (Range<usize>, String);

impl KeysFile {
    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong: syntax, an unknown or missing field, a value that cannot be, or a name or hash
    /// that two entries have.
    pub fn parse(text: &str) -> Result<KeysFile, FileError> {
        read(text).map_err(|(span, message)| {
            let before = text.get(..span.start).unwrap_or(text);
            let line_start = before.rfind('\n').map_or(0, |at| at + 1);
            FileError {
                line: before.matches('\n').count() + 1,
                column: before[line_start..].chars().count() + 1,
                message,
            }
        })
    }
}

fn read(text: &str) -> Result<KeysFile, Fault> {
    if text.len() > MOST_BYTES {
        return Err((0..0, format!("the file has more than {MOST_BYTES} bytes")));
    }
    let table = DeTable::parse(text)
        .map_err(|error| (error.span().unwrap_or(0..0), error.message().to_owned()))?;
    let mut file = KeysFile::default();
    for (name, value) in table.get_ref() {
        match &**name.get_ref() {
            "scram_salt" => {
                let salt = value.get_ref().as_str();
                let salt = salt.and_then(|text| STANDARD.decode(text).ok()?.try_into().ok());
                let wanted =
                    "`scram_salt` must be 16 bytes in base64, as `headwater keys new` writes it";
                file.scram_salt = Some(salt.ok_or((value.span(), wanted.to_owned()))?);
            }
            "key" => file.entries = entries(value)?,
            other => return Err((name.span(), unknown(other, &["key", "scram_salt"]))),
        }
    }
    if file.scram_salt.is_none() && file.entries.iter().any(|entry| entry.scram.is_some()) {
        let missing = "an entry has `scram`, and the file does not begin with their `scram_salt`";
        return Err((0..0, missing.to_owned()));
    }
    Ok(file)
}

fn entries(value: &Spanned<DeValue<'_>>) -> Result<Vec<Entry>, Fault> {
    const WANTED: &str = "`key` must be a list of tables: write each as `[[key]]`";
    let DeValue::Array(tables) = value.get_ref() else {
        return Err((value.span(), WANTED.to_owned()));
    };
    let (mut names, mut digests) = (HashSet::new(), HashMap::new());
    let mut entries = Vec::with_capacity(tables.len());
    for table in tables.iter() {
        let fields = table.get_ref().as_table();
        let fields = fields.ok_or((table.span(), WANTED.to_owned()))?;
        let entry = read_entry(fields, table.span())?;
        let place = |field: &str| fields.get(field).map_or(table.span(), Spanned::span);
        if !names.insert(entry.name.clone()) {
            let twice = format!("two keys have the name `{}`", entry.name);
            return Err((place("name"), twice));
        }
        if let Some(other) = digests.insert(entry.digest, entry.name.clone()) {
            let name = &entry.name;
            let same = format!("`{name}` has the hash of `{other}`: a key has one name");
            return Err((place("hash"), same));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// What is said of a field that is none.
pub(super) fn unknown(field: &str, fields: &[&str]) -> String {
    match nearest(field, fields.iter().copied()) {
        Some(near) => format!("no such field: `{field}`; `{near}` is the nearest"),
        // Not shown: it is like none of them, and may be a key that was pasted into the wrong place.
        None => format!("no such field; there are {}", fields.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, more: &str) -> String {
        let digest = super::super::digest(name.as_bytes());
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("[[key]]\nname = \"{name}\"\nhash = \"sha256:{hex}\"\n{more}\n")
    }

    fn complaint(text: &str) -> String {
        KeysFile::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_not_with_its_line() {
        let may = "may = [\"write\"]";
        for (more, said) in [
            (
                "may = [\"rite\"]",
                "line 4, column 8: `may` holds `rite`; `write` is the nearest",
            ),
            ("may = []", "line 4, column 7: `may` holds nothing"),
            ("", "line 1, column 1: the key `a` has no `may`"),
            (
                "may = [\"read\"]\nwrite_kinds = [\"x\"]",
                "line 5, column 15: `write_kinds` bounds what is written",
            ),
            (
                &format!("{may}\nwrite_kind = [\"x\"]"),
                "line 5, column 1: no such field: `write_kind`; `write_kinds` is",
            ),
            (
                &format!("{may}\nevents_burst = 7"),
                "line 5, column 16: `events_burst` without `events_per_second`",
            ),
            (
                &format!("{may}\nevents_per_second = 0"),
                "line 5, column 21: `events_per_second` must be",
            ),
            (
                &format!("{may}\nrequests_per_second = \"x\""),
                "line 5, column 23: `requests_per_second` must be",
            ),
            (
                &format!("{may}\nrequests_per_second = 1\nrequests_burst = 0.5"),
                "line 6, column 18: `requests_burst` must be",
            ),
            (
                &format!("{may}\nbytes_per_day = -1"),
                "line 5, column 17: `bytes_per_day` must be",
            ),
            (
                &format!("{may}\nexpires = 2027-01-01"),
                "line 5, column 11: `expires` must be",
            ),
            (
                &format!("{may}\nscram = \"x\""),
                "line 5, column 9: `scram` must be",
            ),
            ("may = [\"write\"", "line 4, column 15: "),
        ] {
            let complaint = complaint(&entry("a", more));
            assert!(
                complaint.starts_with(said),
                "{complaint} rather than {said}"
            );
        }
        let secret = "[[key]]\nname = \"a\"\nhash = \"hwk_very_secret\"\nmay = [\"read\"]";
        let complaint = complaint(secret);
        assert!(
            complaint.starts_with("line 3, column 8: `hash` must be"),
            "{complaint}"
        );
        assert!(!complaint.contains("very_secret"), "{complaint}");
    }

    #[test]
    fn names_and_hashes_are_there_once() {
        let (may, one) = ("may = [\"read\"]", entry("a", "may = [\"read\"]"));
        let twice = complaint(&format!("{one}{}", entry("a", may)));
        assert_eq!(twice, "line 6, column 8: two keys have the name `a`");
        let same = complaint(&format!(
            "{one}{}",
            one.replace("name = \"a\"", "name = \"b\"")
        ));
        assert_eq!(
            same,
            "line 7, column 8: `b` has the hash of `a`: a key has one name"
        );
        for name in ["", "A", "a b", "other", "unnamed", &"x".repeat(65)] {
            let complaint = complaint(&entry(name, may));
            assert!(complaint.contains("`name` must be"), "{complaint}");
        }
        assert_eq!(KeysFile::parse("").unwrap(), KeysFile::default());
        assert!(complaint("keys = 1").contains("`key` is the nearest"));
        assert!(complaint("key = 1").contains("[[key]]"));
    }

    #[test]
    fn bursts_are_ten_seconds_unless_they_are_said() {
        let text = entry(
            "a",
            "may = [\"write\"]\nevents_per_second = 0.01\nrequests_per_second = 20\nrequests_burst = 30",
        );
        let limits = KeysFile::parse(&text).unwrap().entries[0].limits;
        let (events, requests) = (limits.events.unwrap(), limits.requests.unwrap());
        assert_eq!((events.per_second, events.burst), (0.01, 1.0));
        assert_eq!((requests.per_second, requests.burst), (20.0, 30.0));
    }
}
