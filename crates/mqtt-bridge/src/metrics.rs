//! The metrics: names and help texts.

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge};

pub(crate) const RECEIVED: &str = "headwater_mqtt_messages_received_total";
pub(crate) const AGAIN: &str = "headwater_mqtt_messages_held_already_total";
pub(crate) const DROPPED: &str = "headwater_mqtt_messages_dropped_total";
pub(crate) const ACCEPTED: &str = "headwater_mqtt_events_accepted_total";
pub(crate) const REFUSED: &str = "headwater_mqtt_events_refused_total";
pub(crate) const FAILED_POSTS: &str = "headwater_mqtt_post_failures_total";
pub(crate) const POST_SECONDS: &str = "headwater_mqtt_post_seconds";
pub(crate) const POST_EVENTS: &str = "headwater_mqtt_post_events";
pub(crate) const UNACKNOWLEDGED: &str = "headwater_mqtt_unacknowledged_messages";
pub(crate) const MEMORY: &str = "headwater_mqtt_held_bytes";
pub(crate) const CONNECTED: &str = "headwater_mqtt_connected";
pub(crate) const RECONNECTS: &str = "headwater_mqtt_reconnects_total";

/// Gives each metric its help text, and shows those without labels from the start.
pub(crate) fn describe() {
    for (name, help) in [
        (
            RECEIVED,
            "Messages that came from the broker, those sent again among them",
        ),
        (
            AGAIN,
            "Messages sent again by the broker while they were held: not posted a second time",
        ),
        (
            DROPPED,
            "Messages of QoS 0 that found no memory free, and are lost",
        ),
        (RECONNECTS, "Connections to the broker after the first"),
    ] {
        describe_counter!(name, help);
        counter!(name).increment(0);
    }
    describe_counter!(ACCEPTED, "Events that ingest has accepted, by kind");
    describe_counter!(
        REFUSED,
        "Events refused for good, by kind and code; without a kind, messages that are no event"
    );
    describe_counter!(
        FAILED_POSTS,
        "Posts that failed and are tried again, by reason"
    );
    describe_histogram!(POST_SECONDS, "Time of a post that was answered, in seconds");
    describe_histogram!(POST_EVENTS, "Events of a post that was answered");
    describe_gauge!(
        UNACKNOWLEDGED,
        "Messages that the broker waits for an acknowledgement of"
    );
    describe_gauge!(MEMORY, "Bytes of MAX_HELD that messages take now");
    describe_gauge!(
        CONNECTED,
        "1 while the broker is connected and has taken the subscriptions, else 0"
    );
    gauge!(CONNECTED).set(0.0);
}
