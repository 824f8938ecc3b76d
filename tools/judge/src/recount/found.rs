//! What a recount found.

use std::fmt;

use crate::examples::EXAMPLES;

/// Something in `aggregates/` that a recount of `curated/` does not give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The name of the kind.
    pub kind: String,
    /// Entity and signal of the row; `None` where the object as a whole is wrong.
    pub row: Option<(String, String)>,
    /// The key of the object.
    pub key: String,
    /// What it says, and what it must say.
    pub detail: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "aggregates {}", self.kind)?;
        if let Some((entity, signal)) = &self.row {
            write!(f, " {entity} {signal}")?;
        }
        write!(f, ": {} [{}]", self.detail, self.key)
    }
}

/// What a recount found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recount {
    /// Hours that were counted, of each kind by itself.
    pub hours: u64,
    /// Rows that the objects of these hours must have.
    pub rows: u64,
    /// Rows and whole objects that differ.
    pub difference_count: u64,
    /// How many of the differences are an object that does not count all parts yet.
    pub behind: u64,
    /// The first of the differences, at most [`EXAMPLES`].
    pub differences: Vec<Difference>,
}

impl Recount {
    /// Whether nothing differs.
    pub fn clean(&self) -> bool {
        self.difference_count == 0
    }

    /// Whether the only differences are parts that the aggregator has yet to count.
    pub fn clean_but_behind(&self) -> bool {
        self.difference_count == self.behind
    }

    pub(super) fn differ(&mut self, difference: Difference) {
        self.difference_count += 1;
        if self.differences.len() < EXAMPLES {
            self.differences.push(difference);
        }
    }

    pub(super) fn add(&mut self, other: Recount) {
        self.hours += other.hours;
        self.rows += other.rows;
        self.difference_count += other.difference_count;
        self.behind += other.behind;
        let room = EXAMPLES - self.differences.len();
        self.differences
            .extend(other.differences.into_iter().take(room));
    }

    /// The line of the report without the differences: what was counted, and how many differ.
    pub(crate) fn notes(&self) -> String {
        format!(
            "rows in {} hours, {} differences",
            self.hours, self.difference_count
        )
    }

    /// Writes a line for each difference that is named.
    pub(crate) fn write_differences(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for difference in &self.differences {
            writeln!(f, "  {difference}")?;
        }
        let named = self.differences.len() as u64;
        match self.difference_count.saturating_sub(named) {
            0 => Ok(()),
            more => writeln!(f, "  … and {more} more differences"),
        }
    }
}

impl fmt::Display for Recount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_differences(f)?;
        write!(f, "aggregates/ {} {}", self.rows, self.notes())
    }
}
