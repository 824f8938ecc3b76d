//! The metrics that CloudWatch gets with `METRICS=emf`.

use service::emf::{Exported, Tell};

use engine::metrics::{AGE, FAILED_REFRESHES, HOT_BYTES, HOT_FULL, REFUSED};

/// Metrics sent to CloudWatch each minute.
pub(crate) const EXPORTED: &[Exported] = &[
    level("SnapshotAge", AGE, "Seconds"),
    level("HotBytes", HOT_BYTES, "Bytes"),
    level("HotFull", HOT_FULL, "Count"),
    Exported::count("QueryFailedRefreshes", FAILED_REFRESHES),
    Exported::count("QueryRefusedLines", REFUSED),
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
