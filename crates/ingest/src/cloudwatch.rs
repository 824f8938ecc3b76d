//! The metrics that are exported to CloudWatch.

use service::emf::{Exported, Tell};

use crate::app::PENDING_BYTES;
use crate::counts::{EVENTS_ACCEPTED, EVENTS_REJECTED};
use crate::queue::pack_sender::{PACK_BYTES, PACKS, SEND_FAILURES};

pub(crate) const EXPORTED: &[Exported] = &[
    Exported::count("EventsAccepted", EVENTS_ACCEPTED),
    Exported {
        name: "EventsRejected",
        source: EVENTS_REJECTED,
        unit: "Count",
        tell: Tell::GrowthBy {
            label: "code",
            dimension: "reason",
        },
    },
    Exported::count("Packs", PACKS),
    Exported {
        name: "PackBytes",
        source: PACK_BYTES,
        unit: "Bytes",
        tell: Tell::Growth,
    },
    Exported {
        name: "PendingBytes",
        source: PENDING_BYTES,
        unit: "Bytes",
        tell: Tell::Level,
    },
    Exported::count("SendFailures", SEND_FAILURES),
    Exported::AWS_DOLLARS,
];
