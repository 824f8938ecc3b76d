//! The names of the metrics, and what they mean.

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge};

use service::emf::Exported;

use crate::latency;

/// Events written.
pub const EVENTS: &str = "headwater_consumer_events_total";
/// Messages deleted after all of their events were kept.
pub const MESSAGES: &str = "headwater_consumer_messages_total";
/// Objects written.
pub const OBJECTS: &str = "headwater_consumer_objects_total";
/// Bytes of JSONL written.
pub const BYTES: &str = "headwater_consumer_bytes_total";
/// Events of a batch.
pub const BATCH_EVENTS: &str = "headwater_consumer_batch_events";
/// Messages of a batch.
pub const BATCH_MESSAGES: &str = "headwater_consumer_batch_messages";
/// From an event's own time to its write.
pub const LATENCY: &str = "headwater_consumer_latency_seconds";
/// From an event's receipt by ingest to its write.
pub const QUEUE_LATENCY: &str = "headwater_consumer_queue_latency_seconds";
/// Dead letters sent, by `reason`.
pub const DEAD_LETTERS: &str = "headwater_consumer_dead_letters_total";
/// Dead letters that could not be sent.
pub const DEAD_LETTER_FAILURES: &str = "headwater_consumer_dead_letter_failures_total";
/// Deliveries received that were not the first of their message.
pub const REDELIVERIES: &str = "headwater_consumer_redeliveries_total";
/// Deliveries of a message that was in the open batch already.
pub const DUPLICATES: &str = "headwater_consumer_duplicates_total";
/// Puts that failed once and were tried again.
pub const WRITE_RETRIES: &str = "headwater_consumer_write_retries_total";
/// Objects given up after the retry; their messages come again.
pub const WRITE_FAILURES: &str = "headwater_consumer_write_failures_total";
/// Deliveries that could not be deleted; their messages come again.
pub const DELETE_FAILURES: &str = "headwater_consumer_delete_failures_total";
/// Receives that failed.
pub const RECEIVE_FAILURES: &str = "headwater_consumer_receive_failures_total";
/// Visibility timeouts extended.
pub const EXTENSIONS: &str = "headwater_consumer_visibility_extensions_total";
/// Visibility timeouts that could not be extended.
pub const EXTENSION_FAILURES: &str = "headwater_consumer_visibility_extension_failures_total";
/// Deliveries held now.
pub const HELD: &str = "headwater_consumer_held_messages";

/// What CloudWatch gets with `METRICS=emf`.
pub const EXPORTED: &[Exported] = &[
    Exported::count("EventsWritten", EVENTS),
    Exported::samples("BatchEvents", BATCH_EVENTS, "Count"),
    Exported::samples("LatencySeconds", LATENCY, "Seconds"),
    Exported::samples("QueueLatencySeconds", QUEUE_LATENCY, "Seconds"),
    Exported::count("DeadLetters", DEAD_LETTERS),
    Exported::count("Redeliveries", REDELIVERIES),
    Exported::count("WriteFailures", WRITE_FAILURES),
    Exported::AWS_DOLLARS,
];

/// Gives each metric its help text, and shows the plain counters from the start.
pub fn describe() {
    for (name, help) in [
        (EVENTS, "Events written to the lake"),
        (
            MESSAGES,
            "Messages deleted after all of their events were kept",
        ),
        (OBJECTS, "Objects written to the lake"),
        (BYTES, "Bytes of JSONL written to the lake"),
        (DEAD_LETTER_FAILURES, "Dead letters that could not be sent"),
        (
            REDELIVERIES,
            "Deliveries that were not the first of their message",
        ),
        (
            DUPLICATES,
            "Deliveries of a message that was in the open batch already",
        ),
        (WRITE_RETRIES, "Puts that failed once and were tried again"),
        (WRITE_FAILURES, "Objects given up after the retry"),
        (DELETE_FAILURES, "Deliveries that could not be deleted"),
        (RECEIVE_FAILURES, "Receives that failed"),
        (EXTENSIONS, "Visibility timeouts extended"),
        (
            EXTENSION_FAILURES,
            "Visibility timeouts that could not be extended",
        ),
    ] {
        describe_counter!(name, help);
        counter!(name).increment(0);
    }
    describe_counter!(DEAD_LETTERS, "Dead letters sent, by reason");
    describe_histogram!(BATCH_EVENTS, "Events of a batch");
    describe_histogram!(BATCH_MESSAGES, "Messages of a batch");
    latency::describe(LATENCY, "From an event's own time to its write, in seconds");
    latency::describe(
        QUEUE_LATENCY,
        "From an event's receipt to its write, in seconds",
    );
    describe_gauge!(HELD, "Deliveries held now");
    gauge!(HELD).set(0.0);
}
