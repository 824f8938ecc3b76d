//! What was forgotten, in numbers: it names nobody, and has no hash of an id, which could be guessed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{DateTime, Utc};
use contract::{CURATED, Hour};
use serde::{Serialize, Serializer};

use crate::forget::hours::Marks;

/// What a run of `forget` has found and taken out; in a dry run what it would take out. A run that died before has its
/// share in no report.
#[derive(Debug, Serialize)]
pub struct ForgetReport {
    /// The kind.
    pub kind: String,
    /// Only events before this time were forgotten.
    pub before: Option<DateTime<Utc>>,
    /// Whether nothing was written.
    #[serde(skip)]
    pub dry_run: bool,
    /// When the run began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
    /// Objects that had something of the entity, by folder.
    pub objects: BTreeMap<&'static str, u64>,
    /// Rows of parts.
    pub rows: u64,
    /// Lines of other objects.
    pub lines: u64,
    /// Event hours that were counted again.
    #[serde(serialize_with = "count")]
    pub hours: BTreeSet<Hour>,
    /// Old versions that were deleted; none where the bucket keeps none.
    pub old_versions: Option<u64>,
    /// The marks of all commits, once they have been read.
    #[serde(skip)]
    pub(super) marks: Option<Marks>,
}

fn count<S: Serializer>(hours: &BTreeSet<Hour>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(hours.len() as u64)
}

impl ForgetReport {
    pub(super) fn new(
        kind: &str,
        before: Option<DateTime<Utc>>,
        dry_run: bool,
        started_at: DateTime<Utc>,
    ) -> ForgetReport {
        ForgetReport {
            kind: kind.to_owned(),
            before,
            dry_run,
            started_at,
            ended_at: started_at,
            objects: BTreeMap::new(),
            rows: 0,
            lines: 0,
            hours: BTreeSet::new(),
            old_versions: None,
            marks: None,
        }
    }

    pub(super) fn add(&mut self, prefix: &'static str, found: &BTreeMap<String, u64>) {
        if found.is_empty() {
            return;
        }
        *self.objects.entry(prefix).or_default() += found.len() as u64;
        let sum = if prefix == CURATED {
            &mut self.rows
        } else {
            &mut self.lines
        };
        *sum += found.values().sum::<u64>();
    }

    /// Whether nothing of the entity was found.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
            && self.hours.is_empty()
            && self.old_versions.unwrap_or_default() == 0
    }
}

impl fmt::Display for ForgetReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return out.write_str("nothing of this entity was found");
        }
        let would = if self.dry_run {
            "would forget"
        } else {
            "forgot"
        };
        write!(
            out,
            "{would} {} rows and {} lines; objects changed:",
            self.rows, self.lines
        )?;
        for (prefix, objects) in &self.objects {
            write!(out, " {objects} in `{prefix}`,")?;
        }
        write!(out, " {} hours counted again, ", self.hours.len())?;
        match self.old_versions {
            Some(versions) => write!(out, "{versions} old versions deleted"),
            None => out.write_str("the bucket keeps no old versions"),
        }
    }
}
