//! What became of each row, counted by file.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard};

use service::terminal::printable;

/// The most characters of a value or message that a report shows.
const SHOWN: usize = 120;

/// How often something happened in a file, and where first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) count: u64,
    /// The row of the first one, counted from 1.
    pub(crate) row: u64,
    /// The first value or message.
    pub(crate) example: String,
}

/// Counts of faults by their code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Faults(BTreeMap<String, Fault>);

impl Faults {
    pub(crate) fn add(&mut self, code: &str, row: u64, example: &str) {
        self.add_many(code, 1, row, example);
    }

    /// Adds `count` faults, the first of which is at `row`.
    pub(crate) fn add_many(&mut self, code: &str, count: u64, row: u64, example: &str) {
        match self.0.get_mut(code) {
            Some(fault) => {
                fault.count += count;
                // Answers of ingest come in no order.
                if row < fault.row {
                    (fault.row, fault.example) = (row, excerpt(example));
                }
            }
            None => {
                let first = Fault {
                    count,
                    row,
                    example: excerpt(example),
                };
                self.0.insert(code.to_owned(), first);
            }
        }
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.values().map(|fault| fault.count).sum()
    }

    fn write(&self, what: &str, place: &str, out: &mut String) {
        for (
            code,
            Fault {
                count,
                row,
                example,
            },
        ) in &self.0
        {
            let _ = write!(out, "\n  {what} {count} {code}: {place} {row}");
            if !example.is_empty() {
                let _ = write!(out, ", {example}");
            }
        }
    }
}

/// The counts of one file.
#[derive(Debug, Clone, Default)]
pub(crate) struct FileCounts {
    pub(crate) path: String,
    /// Rows that were read, also those that cannot be: each is in this count.
    pub(crate) read: u64,
    /// Rows that the reader could not take, such as for a quote that is never closed.
    pub(crate) broken: Faults,
    /// Cells that `number` or `instant` of the SQL could not read; the SQL sees NULL.
    pub(crate) unreadable: Faults,
    /// Rows of the SQL's result that are to be no event, by its own word in the column `skipped`.
    pub(crate) skipped: Faults,
    /// Events that the SQL gave.
    pub(crate) events: u64,
    /// Events that are equal to an earlier one of the file, or have its id: the lake takes the first.
    pub(crate) repeats: Faults,
    /// Events that were sent and got an answer; in a dry run those that were held against the contract.
    pub(crate) sent: u64,
    pub(crate) accepted: u64,
    /// Events that ingest, or in a dry run the contract, refused.
    pub(crate) refused: Faults,
    /// Events that got no answer.
    pub(crate) unanswered: u64,
    /// What ended the file early.
    pub(crate) failure: Option<String>,
    /// Whether the file was read to its end.
    pub(crate) ended: bool,
}

impl FileCounts {
    /// Whether every row became what the mapping says, and every event was taken.
    pub(crate) fn is_fine(&self) -> bool {
        self.failure.is_none()
            && self.broken.total() == 0
            && self.refused.total() == 0
            && self.unanswered == 0
            && !(self.ended && self.events == 0 && self.read > 0)
    }

    /// The counts in words; `done` is what became of the events: `accepted`, or `sound` in a dry run.
    pub(crate) fn words(&self, done: &str) -> String {
        let mut out = format!(
            "{}: {} rows read, {} events, {} sent, {} {done}, {} refused",
            printable(&self.path),
            self.read,
            self.events,
            self.sent,
            self.accepted,
            self.refused.total()
        );
        if self.unanswered > 0 {
            let _ = write!(out, ", {} without an answer", self.unanswered);
        }
        self.broken.write("not read", "row", &mut out);
        self.unreadable
            .write("not readable, taken as NULL:", "by row", &mut out);
        self.skipped.write("skipped", "row", &mut out);
        self.repeats
            .write("repeats, of which one lands:", "row", &mut out);
        self.refused.write("refused", "row", &mut out);
        if self.ended && self.events == 0 && self.read > 0 {
            out.push_str("\n  no event came of it: the mapping does not fit this file");
        }
        if let Some(failure) = &self.failure {
            let _ = write!(out, "\n  failed: {failure}");
        }
        out
    }
}

/// The counts of one file, shared between the reader, the functions of the SQL, and the sending.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally(Arc<Mutex<FileCounts>>);

impl Tally {
    pub(crate) fn new(path: &str) -> Tally {
        let counts = FileCounts {
            path: path.to_owned(),
            ..FileCounts::default()
        };
        Tally(Arc::new(Mutex::new(counts)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, FileCounts> {
        self.0.lock().expect("no holder of the counts panics")
    }
}

/// The counts of all files on one line.
pub(crate) fn total(files: &[Tally], done: &str) -> String {
    let sum =
        |count: fn(&FileCounts) -> u64| files.iter().map(|tally| count(&tally.lock())).sum::<u64>();
    format!(
        "{} files: {} rows read, {} not read, {} skipped, {} events, {} sent, {} {done}, {} refused",
        files.len(),
        sum(|file| file.read),
        sum(|file| file.broken.total()),
        sum(|file| file.skipped.total()),
        sum(|file| file.events),
        sum(|file| file.sent),
        sum(|file| file.accepted),
        sum(|file| file.refused.total()),
    )
}

fn excerpt(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    printable(&shown)
}
