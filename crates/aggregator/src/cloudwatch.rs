//! The metrics that CloudWatch gets with `METRICS=emf`.

use service::emf::{Exported, Tell};

use crate::commit::UNDECLARED_NAMES;
use crate::run::{
    COMMIT_HOURS, CONFLICTS, DUPLICATES, EVENTS, FAILED_RUNS, LAG, MORE_VALUES, REFUSED,
};

/// Metrics sent to CloudWatch after each run.
pub const EXPORTED: &[Exported] = &[
    // 0 for a run that succeeded, 1 for one that failed: no sample means that there was no run.
    Exported::count("AggregatorFailedRuns", FAILED_RUNS),
    Exported::count("EventsCurated", EVENTS),
    Exported::count("DuplicateEvents", DUPLICATES),
    Exported::count("ConflictingEvents", CONFLICTS),
    Exported::count("RefusedLines", REFUSED),
    Exported::count("ValuesWithoutColumn", MORE_VALUES),
    level("CommitHours", COMMIT_HOURS, "Count"),
    Exported {
        source: UNDECLARED_NAMES,
        name: "UndeclaredNames",
        unit: "Count",
        tell: Tell::LevelBy {
            label: "kind",
            dimension: "kind",
        },
    },
    level("AggregatorLag", LAG, "Seconds"),
    Exported::AWS_DOLLARS,
];

const fn level(name: &'static str, source: &'static str, unit: &'static str) -> Exported {
    Exported {
        source,
        name,
        unit,
        tell: Tell::Level,
    }
}
