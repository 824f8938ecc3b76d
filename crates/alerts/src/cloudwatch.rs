//! The metrics that CloudWatch gets with `METRICS=emf`.

use service::emf::{Exported, Tell};

/// Metrics sent to CloudWatch each minute.
pub(crate) const EXPORTED: &[Exported] = &[
    level("AlertsLag", "headwater_alerts_lag_seconds", "Seconds"),
    level("AlertsSeries", "headwater_alerts_series", "Count"),
    level("AlertsFiring", "headwater_alerts_firing", "Count"),
    level(
        "NotificationsOpen",
        "headwater_alerts_notifications_open",
        "Count",
    ),
    level(
        "NotificationsStuck",
        "headwater_alerts_notifications_stuck",
        "Count",
    ),
    Exported::count(
        "AlertsRefusedReloads",
        "headwater_alerts_refused_reloads_total",
    ),
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
