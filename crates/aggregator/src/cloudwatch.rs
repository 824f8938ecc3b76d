//! The metrics that CloudWatch gets.

use service::emf::Exported;

use crate::run::FAILED_RUNS;

/// What CloudWatch gets with `METRICS=emf`, at the end of each run.
pub const EXPORTED: &[Exported] = &[
    // 0 where the run succeeded, 1 where it failed: no sample at all is no run at all.
    Exported::count("AggregatorFailedRuns", FAILED_RUNS),
    Exported::count("EventsCurated", "headwater_aggregator_events_total"),
    Exported::count("DuplicateEvents", "headwater_aggregator_duplicates_total"),
    Exported::count("ConflictingEvents", "headwater_aggregator_conflicts_total"),
    Exported::count("RefusedLines", "headwater_aggregator_refused_total"),
    Exported::AWS_DOLLARS,
];
