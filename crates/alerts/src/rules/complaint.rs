//! What is wrong with files.

use std::fmt;

/// Something in a rule file that is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The file.
    pub file: String,
    /// Line and column, from 1; None where the whole file is meant.
    pub place: Option<(u64, u64)>,
    /// What is wrong and what would be taken.
    pub message: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((line, column)) => {
                write!(out, "{}:{line}:{column}: {}", self.file, self.message)
            }
            None => write!(out, "{}: {}", self.file, self.message),
        }
    }
}

/// All that is not taken in the files that were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaints(pub Vec<Complaint>);

impl fmt::Display for Complaints {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, complaint) in self.0.iter().enumerate() {
            if place > 0 {
                writeln!(out)?;
            }
            write!(out, "{complaint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Complaints {}
