//! What is logged and counted of a batch that was written.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use contract::Hour;
use metrics::{counter, histogram};
use tracing::info;

use crate::batch::batcher::Batch;
use crate::batch::objects::RawObject;
use crate::metrics::{BATCH_EVENTS, BYTES, EVENTS, LATENCY, OBJECTS, QUEUE_LATENCY};
use crate::write::latency;

/// The longest age that is told of an event, in milliseconds. Replayed and late data are days and years old, which says
/// nothing about the pipeline, and would drown what does in the sum.
const OLDEST_MS: i64 = 3_600_000;

/// Logs and counts what was written at `now`: everything but the objects of the hours in `unwritten`.
pub(super) fn report(
    batch: &Batch,
    objects: &[RawObject],
    unwritten: &HashSet<Hour>,
    now: DateTime<Utc>,
) {
    let (mut latencies, mut waits) = (Vec::new(), Vec::new());
    let now_ms = now.timestamp_millis();
    for delivery in batch.messages.values() {
        for mark in &delivery.contents.events {
            if unwritten.is_empty() || !unwritten.contains(&mark.hour()) {
                latencies.push((now_ms - mark.time_ms).min(OLDEST_MS));
                waits.push(now_ms - mark.received_at_ms);
            }
        }
    }
    // Packs hold long runs that are in order already, which this sort makes use of.
    latencies.sort();
    waits.sort();
    latency::record(LATENCY, &latencies);
    latency::record(QUEUE_LATENCY, &waits);
    let size = latencies.len();
    let written = objects.iter().filter(|one| !unwritten.contains(&one.hour));
    let count = written.clone().count() as u64;
    let bytes: u64 = written.map(|one| one.body.len() as u64).sum();
    counter!(EVENTS).increment(size as u64);
    counter!(OBJECTS).increment(count);
    counter!(BYTES).increment(bytes);
    histogram!(BATCH_EVENTS).record(size as f64);
    // No sentence: programs read this line, and its form is documented.
    info!(
        event = "write_batch", size,
        latency_p50 = %latency::shown(&latencies, 0.5), latency_p95 = %latency::shown(&latencies, 0.95),
        queue_p50 = %latency::shown(&waits, 0.5), queue_p95 = %latency::shown(&waits, 0.95),
        objects = count, messages = batch.messages.len(), bytes,
    );
}
