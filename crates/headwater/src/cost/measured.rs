//! Measured figures of the pipeline, and settings' defaults that the bill goes by. docs/benchmarks.md has what was
//! measured, the machine, and how to measure it again. CPU figures are seconds on that machine.

/// Events a second that one aggregator keeps up with, on two cores. More need lanes (adr/0021), which are not built.
///
/// Reckoned with a margin from `AGGREGATOR_CPU`, not measured over an hour.
pub(super) const ONE_AGGREGATOR: f64 = 20_000.0;

/// CPU of ingest for an event, by the number of events in a post.
pub(super) fn ingest_cpu(batch: f64) -> f64 {
    INGEST_POST_CPU / batch + INGEST_EVENT_CPU
}

/// CPU of ingest for a post.
const INGEST_POST_CPU: f64 = 24.4e-6;
/// CPU of ingest for an event in a post of 500.
const INGEST_EVENT_CPU: f64 = 1.9e-6;
/// CPU of the consumer for an event in packs.
pub(super) const CONSUMER_CPU: f64 = 0.97e-6;
/// CPU of the aggregator for an event.
pub(super) const AGGREGATOR_CPU: f64 = 1.96e-6;
/// CPU of ingest on top for an event, if each event is a message of its own.
pub(super) const PLAIN_MORE_CPU: f64 = 18e-6;
/// CPU of the consumer for an event that is a message of its own.
pub(super) const PLAIN_CONSUMER_CPU: f64 = 51e-6;

/// Bytes of a pack for an event of `bytes` as sent, without an id of its own.
pub(super) fn packed_bytes(bytes: f64) -> f64 {
    0.123 * bytes + 27.6
}

/// Bytes of a line in `raw/`: what was sent, and the server's three fields.
pub(super) fn line_bytes(bytes: f64) -> f64 {
    bytes + 115.0
}

/// Bytes in `curated/` for an event of `bytes` as sent: an id hardly compresses.
pub(super) fn curated_bytes(bytes: f64) -> f64 {
    0.07 * bytes + 18.0
}

/// Bytes of an event in the digest of its part's ids: reckoned, differences of some 27 bits as LEB128.
pub(super) const DIGEST_BYTES: f64 = 4.0;

/// Bytes in `aggregates/` for an entity and hour, Parquet and JSONL together, with a handful of signals.
pub(super) const AGGREGATE_BYTES: f64 = 1_600.0;

/// A send to SQS and its answer, within a region.
pub(super) const SEND_SECONDS: f64 = 0.015;
/// The consumer's pause after a receive that was not full, and the receive.
pub(super) const RECEIVE_ROUND_SECONDS: f64 = 0.112;
/// BATCH_MAX_WAIT and BATCH_MAX_BYTES.
pub(super) const BATCH_SECONDS: f64 = 2.0;
pub(super) const OBJECT_BYTES: f64 = 5e6;
