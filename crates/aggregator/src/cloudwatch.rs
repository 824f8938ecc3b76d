//! The metrics that CloudWatch gets.

use service::emf::Exported;

use crate::run::{CONFLICTS, DUPLICATES, EVENTS, FAILED_RUNS, REFUSED};

/// What CloudWatch gets with `METRICS=emf`, at the end of each run.
pub const EXPORTED: &[Exported] = &[
    // 0 where the run succeeded, 1 where it failed: no sample at all is no run at all.
    Exported::count("AggregatorFailedRuns", FAILED_RUNS),
    Exported::count("EventsCurated", EVENTS),
    Exported::count("DuplicateEvents", DUPLICATES),
    Exported::count("ConflictingEvents", CONFLICTS),
    Exported::count("RefusedLines", REFUSED),
    Exported::AWS_DOLLARS,
];
