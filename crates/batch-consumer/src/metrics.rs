//! The metrics: names, help texts, and those that CloudWatch gets.

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge};
use service::emf::Exported;

use crate::write::latency;

macro_rules! counters {
    ($($constant:ident = $name:literal, $help:literal;)*) => {
        $(pub(crate) const $constant: &str = $name;)*

        /// The counters without labels: name and help text.
        const COUNTERS: &[(&str, &str)] = &[$(($constant, $help)),*];
    };
}

counters! {
    EVENTS = "headwater_consumer_events_total", "Events written to the lake";
    MESSAGES = "headwater_consumer_messages_total", "Messages deleted after all of their events were kept";
    OBJECTS = "headwater_consumer_objects_total", "Objects written to the lake";
    BYTES = "headwater_consumer_bytes_total", "Bytes of JSONL written to the lake";
    DEAD_LETTER_FAILURES = "headwater_consumer_dead_letter_failures_total", "Dead letters that could not be sent";
    REDELIVERIES = "headwater_consumer_redeliveries_total", "Deliveries that were not the first of their message";
    DUPLICATES = "headwater_consumer_duplicates_total", "Deliveries of a message that was in the open batch already";
    WRITE_RETRIES = "headwater_consumer_write_retries_total", "Puts that failed once and were tried again";
    WRITE_FAILURES = "headwater_consumer_write_failures_total", "Objects given up after the retry";
    DELETE_FAILURES = "headwater_consumer_delete_failures_total", "Deliveries that could not be deleted";
    RECEIVE_FAILURES = "headwater_consumer_receive_failures_total", "Receives that failed";
    EXTENSIONS = "headwater_consumer_visibility_extensions_total", "Visibility timeouts extended";
    EXTENSION_FAILURES = "headwater_consumer_visibility_extension_failures_total",
        "Visibility timeouts that could not be extended";
}

pub(crate) const BATCH_EVENTS: &str = "headwater_consumer_batch_events";
pub(crate) const BATCH_MESSAGES: &str = "headwater_consumer_batch_messages";
pub(crate) const LATENCY: &str = "headwater_consumer_latency_seconds";
pub(crate) const QUEUE_LATENCY: &str = "headwater_consumer_queue_latency_seconds";
pub(crate) const DEAD_LETTERS: &str = "headwater_consumer_dead_letters_total";
pub(crate) const HELD: &str = "headwater_consumer_held_messages";

/// What CloudWatch gets with `METRICS=emf`: its name there, and the metric that it shows.
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

/// Gives each metric its help text, and shows those without labels from the start.
pub(crate) fn describe() {
    for (name, help) in COUNTERS {
        describe_counter!(*name, *help);
        counter!(*name).increment(0);
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
