//! The course of a run, line by line.

use std::fmt::Write;

use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The lines of a run and their hash.
#[derive(Debug)]
pub struct Trace {
    start: Instant,
    digest: u64,
    lines: Option<Vec<String>>,
    print: bool,
    line: String,
}

/// What to do with the lines of a trace besides hashing them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// Nothing.
    #[default]
    Hash,
    /// Keep them for [`Trace::into_lines`].
    Lines,
    /// Print them as they come.
    Print,
}

impl Trace {
    /// A trace that starts now.
    pub fn new(keep: Keep) -> Trace {
        Trace {
            start: Instant::now(),
            digest: 0,
            lines: (keep == Keep::Lines).then(Vec::new),
            print: keep == Keep::Print,
            line: String::new(),
        }
    }

    /// Adds a line: the time since the start, who, and what.
    pub fn add(&mut self, who: &str, what: std::fmt::Arguments<'_>) {
        self.line.clear();
        let millis = self.start.elapsed().as_millis();
        let (seconds, millis) = (millis / 1000, millis % 1000);
        // Writing to a string does not fail.
        let _ = write!(self.line, "{seconds:5}.{millis:03} {who:<14} {what}");
        self.digest = xxh3_64_with_seed(self.line.as_bytes(), self.digest);
        if self.print {
            println!("{}", self.line);
        }
        if let Some(lines) = &mut self.lines {
            lines.push(self.line.clone());
        }
    }

    /// The hash of all lines.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// The lines; empty unless [`Keep::Lines`].
    pub fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}
