//! Findings: what must not be, in words.

use std::fmt;

use judge::EXAMPLES;

/// Findings, of which the first few are named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    named: Vec<String>,
    count: u64,
}

impl Findings {
    /// Adds a finding, unless the same words are among those named already.
    pub(crate) fn add(&mut self, finding: String) {
        if self.named.contains(&finding) {
            return;
        }
        self.count += 1;
        if self.named.len() < EXAMPLES {
            self.named.push(finding);
        }
    }

    /// How many findings there are, named or not.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The first findings, at most [`EXAMPLES`].
    pub fn named(&self) -> &[String] {
        &self.named
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl fmt::Display for Findings {
    /// An indented line for each named finding, then the number of those not named.
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
