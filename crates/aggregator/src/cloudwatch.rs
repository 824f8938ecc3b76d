//! The metrics that CloudWatch gets with `METRICS=emf`.

use service::emf::Exported;

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
    Exported::AWS_DOLLARS,
];
