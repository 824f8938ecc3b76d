//! The changes that make up the queues' state, and the file with these changes.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::message::Message;
use crate::wall_clock::Moment;

/// A journal smaller than this is not rewritten.
const SMALL_BYTES: u64 = 16 * 1024 * 1024;

/// After this many changes a larger journal is looked at, and rewritten if more than half of it is about
/// messages that are gone.
const LOOK_AFTER_CHANGES: usize = 1_000;

/// One change. Applying all changes in order gives the state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Change {
    /// A queue was created, or its attributes were replaced.
    Queue {
        name: String,
        region: String,
        created: Moment,
        modified: Moment,
        attributes: BTreeMap<String, String>,
    },
    QueueDeleted {
        queue: String,
    },
    Purged {
        queue: String,
    },
    /// A message arrived, from a sender or from another queue.
    Arrived {
        queue: String,
        message: Message,
    },
    /// A message was delivered for the `count`th time.
    Received {
        queue: String,
        seq: u64,
        count: u32,
        at: Moment,
        visible_at: Moment,
    },
    Hidden {
        queue: String,
        seq: u64,
        visible_at: Moment,
    },
    /// A message was deleted or moved elsewhere.
    Removed {
        queue: String,
        seq: u64,
    },
}

/// An append-only file of changes, one JSON object a line. The changes of a request are one write to the
/// file, before the answer: a killed process loses none of them, a machine that loses power may.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// Changes since [`Self::is_overgrown`] last looked at the file.
    changes: usize,
}

impl Journal {
    /// Reads the changes in the file at `path`, if there is one. A cut-off last line is skipped: its
    /// request was never answered.
    pub(crate) fn load(path: &Path, mut apply: impl FnMut(Change)) -> io::Result<()> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        let mut number = 0;
        while reader.read_until(b'\n', &mut line)? > 0 {
            number += 1;
            match serde_json::from_slice(&line) {
                Ok(change) => apply(change),
                Err(_) if !line.ends_with(b"\n") => break,
                Err(error) => {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("cannot read line {number} of `{}`: {error}", path.display()),
                    ));
                }
            }
            line.clear();
        }
        Ok(())
    }

    /// Replaces the file at `path` by these changes and keeps it open to append to.
    pub(crate) fn rewrite(path: &Path, changes: impl Iterator<Item = Change>) -> io::Result<Self> {
        let temporary = path.with_extension("new");
        let mut text = Vec::new();
        for change in changes {
            write_line(&mut text, &change)?;
        }
        fs::write(&temporary, &text)?;
        fs::rename(&temporary, path)?;
        let bytes = text.len() as u64;
        Ok(Self {
            file: OpenOptions::new().append(true).open(path)?,
            path: path.to_owned(),
            bytes,
            changes: 0,
        })
    }

    pub(crate) fn append(&mut self, changes: &[Change]) -> io::Result<()> {
        let mut text = Vec::new();
        for change in changes {
            write_line(&mut text, change)?;
        }
        if let Err(error) = self.file.write_all(&text) {
            // The next change must not follow half a line.
            self.file.set_len(self.bytes)?;
            return Err(error);
        }
        self.bytes += text.len() as u64;
        self.changes += changes.len();
        Ok(())
    }

    /// Whether the file takes more than twice the bytes `needed` for the present state. `needed` is
    /// costly, so it is called once in 1,000 changes.
    pub(crate) fn is_overgrown(&mut self, needed: impl FnOnce() -> u64) -> bool {
        if self.bytes < SMALL_BYTES || self.changes < LOOK_AFTER_CHANGES {
            return false;
        }
        self.changes = 0;
        self.bytes > needed() * 2
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn write_line(text: &mut Vec<u8>, change: &Change) -> io::Result<()> {
    serde_json::to_writer(&mut *text, change)?;
    text.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cut_off_at_the_end_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sqs.jsonl");
        let purged = |queue: &str| Change::Purged {
            queue: queue.to_owned(),
        };
        let mut journal = Journal::rewrite(&path, [purged("a")].into_iter()).unwrap();
        journal.append(&[purged("b")]).unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(br#"{"Purged":{"que"#).unwrap();
        let mut read = Vec::new();
        Journal::load(&path, |change| read.push(format!("{change:?}"))).unwrap();
        assert_eq!(
            read,
            [r#"Purged { queue: "a" }"#, r#"Purged { queue: "b" }"#]
        );
    }

    #[test]
    fn a_broken_line_in_the_middle_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sqs.jsonl");
        fs::write(&path, "{\n{\"Purged\":{\"queue\":\"a\"}}\n").unwrap();
        let error = Journal::load(&path, |_| ()).unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
    }

    #[test]
    fn a_journal_that_is_mostly_of_what_is_gone_is_overgrown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sqs.jsonl");
        let change = Change::Purged {
            queue: "x".repeat(20_000),
        };
        let mut journal = Journal::rewrite(&path, std::iter::empty()).unwrap();
        journal.append(&vec![change.clone(); 999]).unwrap();
        assert!(!journal.is_overgrown(|| panic!("it should not be looked at yet")));
        journal.append(std::slice::from_ref(&change)).unwrap();
        assert!(!journal.is_overgrown(|| journal_bytes(&path) * 3 / 5));
        assert!(!journal.is_overgrown(|| panic!("it was looked at just now")));
        journal.append(&vec![change; 1_000]).unwrap();
        assert!(journal.is_overgrown(|| journal_bytes(&path) * 2 / 5));
    }

    fn journal_bytes(path: &Path) -> u64 {
        fs::metadata(path).unwrap().len()
    }
}
