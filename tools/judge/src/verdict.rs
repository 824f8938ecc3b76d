//! What the judge says.

use std::fmt;

use aws::PRICES_AS_OF;

use crate::cost::Cost;
use crate::latency::Latency;
use crate::recount::Recount;

/// Something that must not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// Accepted, and not in `raw/` or not in `curated/`.
    Lost,
    /// More than once in `curated/`.
    Duplicated,
    /// In the lake with other content than was accepted, or in the wrong place.
    Altered,
    /// In the lake, and never accepted.
    Invented,
}

impl Fault {
    /// The name in reports: `lost`.
    pub fn as_str(self) -> &'static str {
        match self {
            Fault::Lost => "lost",
            Fault::Duplicated => "duplicated",
            Fault::Altered => "altered",
            Fault::Invented => "invented",
        }
    }
}

/// One event with a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub fault: Fault,
    /// The event's kind; `?` where a line cannot be read.
    pub kind: String,
    /// The event's id, or for a line that cannot be read `line` and its number.
    pub event_id: String,
    /// The object in which it was found; `None` if it was not found.
    pub key: Option<String>,
    /// Where it is missing, or what stands there.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {}: {}",
            self.fault.as_str(),
            self.kind,
            self.event_id,
            self.detail
        )?;
        match &self.key {
            Some(key) => write!(f, " [{key}]"),
            None => Ok(()),
        }
    }
}

/// What is in one part of the lake.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// Objects that were read.
    pub objects: u64,
    /// Lines or rows of the ledger's events, repeats included.
    pub rows: u64,
    /// Accepted events that are there: in `raw/` at least once, in `curated/` exactly once.
    pub events: u64,
}

/// The verdict.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// Different events that were accepted.
    pub accepted: u64,
    /// Acceptances, further ones of the same event included.
    pub acceptances: u64,
    /// Different events of which it is not known whether they were accepted.
    pub maybe: u64,
    /// Events that were sent with more than one content under one id.
    pub conflicts: u64,
    /// What is in `raw/`, if that was read.
    pub raw: Option<Found>,
    /// What is in `curated/`, if that was read.
    pub curated: Option<Found>,
    /// What a recount of `aggregates/` gave, if there was one.
    pub aggregates: Option<Recount>,
    /// Accepted events that are not in `raw/` or not in `curated/`.
    pub lost: u64,
    /// Events that are more than once in `curated/`.
    pub duplicated: u64,
    /// Events that are in the lake with other content than was accepted.
    pub altered: u64,
    /// Events in the lake that were never accepted.
    pub invented: u64,
    /// Examples, at most [`EXAMPLES`](crate::EXAMPLES) of each fault.
    pub findings: Vec<Finding>,
    /// Time from acceptance to `raw/`; `None` if the arrivals were not watched.
    pub latency: Option<Latency>,
    /// What AWS bills for the requests; `None` if they were not counted.
    pub cost: Option<Cost>,
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn clean(&self) -> bool {
        [self.lost, self.duplicated, self.altered, self.invented] == [0; 4]
            && self.aggregates.as_ref().is_none_or(Recount::clean)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut notes = Vec::new();
        let mut note = |count: u64, what: &str| {
            if count > 0 {
                notes.push(format!("{count} {what}"));
            }
        };
        note(
            self.acceptances.saturating_sub(self.accepted),
            "accepted again",
        );
        note(self.conflicts, "with two contents");
        note(self.maybe, "without an answer");
        row(f, "accepted", self.accepted, &notes.join(", "))?;
        if let Some(raw) = &self.raw {
            let repeats = raw.rows.saturating_sub(raw.events);
            let notes = format!("{} objects, {repeats} repeats", raw.objects);
            row(f, "in raw/", raw.events, &notes)?;
        }
        if let Some(curated) = &self.curated {
            row(
                f,
                "once in curated/",
                curated.events,
                &format!("{} objects", curated.objects),
            )?;
        }
        if let Some(recount) = &self.aggregates {
            row(f, "aggregates/", recount.rows, &recount.notes())?;
        }
        if let Some(latency) = &self.latency {
            writeln!(f, "{:<17} {latency}", "latency")?;
        }
        if let Some(cost) = &self.cost {
            writeln!(f, "{:<17} {cost}", "AWS requests")?;
            writeln!(
                f,
                "{:<17} ${:.6}, ${:.4} per million events (us-east-1, {PRICES_AS_OF})",
                "AWS cost",
                cost.dollars(),
                cost.per_million(self.acceptances)
            )?;
        }
        for finding in &self.findings {
            writeln!(f, "  {finding}")?;
        }
        for (fault, count) in [
            (Fault::Lost, self.lost),
            (Fault::Duplicated, self.duplicated),
            (Fault::Altered, self.altered),
            (Fault::Invented, self.invented),
        ] {
            let named = self
                .findings
                .iter()
                .filter(|finding| finding.fault == fault)
                .count() as u64;
            if count > named {
                writeln!(f, "  … and {} more {}", count - named, fault.as_str())?;
            }
        }
        if let Some(recount) = &self.aggregates {
            recount.write_differences(f)?;
        }
        write!(
            f,
            "lost {}, duplicated {}, altered {}, invented {}",
            self.lost, self.duplicated, self.altered, self.invented
        )
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, count: u64, notes: &str) -> fmt::Result {
    let gap = if notes.is_empty() { "" } else { "   " };
    writeln!(f, "{name:<17} {count:>9}{gap}{notes}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_the_verdict_and_examples_stand_before_it() {
        let mut verdict = Verdict {
            accepted: 3,
            acceptances: 4,
            raw: Some(Found {
                objects: 1,
                rows: 4,
                events: 3,
            }),
            ..Verdict::default()
        };
        let text = verdict.to_string();
        assert!(
            text.ends_with("\nlost 0, duplicated 0, altered 0, invented 0"),
            "{text}"
        );
        assert!(
            text.contains("1 accepted again") && text.contains("1 repeats"),
            "{text}"
        );
        assert!(verdict.clean());
        verdict.lost = 2;
        verdict.findings.push(Finding {
            fault: Fault::Lost,
            kind: "cell".into(),
            event_id: "7".into(),
            key: None,
            detail: "not in raw/".into(),
        });
        let text = verdict.to_string();
        assert!(
            text.contains("  lost cell 7: not in raw/\n  … and 1 more lost\n"),
            "{text}"
        );
        assert!(!verdict.clean());
    }
}
