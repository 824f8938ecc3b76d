//! What must not be, in words: the first of it, and how much there is.

use std::fmt;

use crate::examples::EXAMPLES;

/// Findings, of which the first few are named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    named: Vec<String>,
    count: u64,
}

impl Findings {
    /// Adds one; one that is named already is not another.
    pub(crate) fn add(&mut self, finding: String) {
        if self.named.contains(&finding) {
            return;
        }
        self.count += 1;
        if self.named.len() < EXAMPLES {
            self.named.push(finding);
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The first of them, at most [`EXAMPLES`].
    pub fn named(&self) -> &[String] {
        &self.named
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl fmt::Display for Findings {
    /// A line each, indented, with how many more there are at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.named {
            writeln!(f, "  {finding}")?;
        }
        match self.count - self.named.len() as u64 {
            0 => Ok(()),
            more => writeln!(f, "  … and {more} more"),
        }
    }
}
