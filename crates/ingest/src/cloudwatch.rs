//! The metrics that CloudWatch gets.

use service::emf::{Exported, Tell};

/// What `METRICS=emf` exports.
pub(crate) const EXPORTED: &[Exported] = &[
    Exported::count("EventsAccepted", "headwater_ingest_events_accepted_total"),
    Exported {
        name: "EventsRejected",
        source: "headwater_ingest_events_rejected_total",
        unit: "Count",
        tell: Tell::GrowthBy {
            label: "code",
            dimension: "reason",
        },
    },
    Exported::count("Packs", "headwater_ingest_packs_total"),
    Exported {
        name: "PackBytes",
        source: "headwater_ingest_pack_bytes_total",
        unit: "Bytes",
        tell: Tell::Growth,
    },
    Exported {
        name: "PendingBytes",
        source: "headwater_ingest_pending_bytes",
        unit: "Bytes",
        tell: Tell::Level,
    },
    Exported::count("SendFailures", "headwater_ingest_send_failures_total"),
    Exported::AWS_DOLLARS,
];
