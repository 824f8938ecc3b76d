//! When events were first received, and whether what a message says of it can be true. Neither changes between
//! deliveries, so that the same message always gives the same lines.

use aws::Message;
use chrono::{DateTime, TimeDelta, Utc};

/// Attribute that says when Headwater first received the events, so that a replay does not change their time of
/// receipt: RFC 3339, UTC, milliseconds.
pub(crate) const ATTRIBUTE_RECEIVED_AT: &str = "received_at";

/// 2000-01-01: no event was received before it, and a clock that was never set stands before it.
const EARLIEST_MS: i64 = 946_684_800_000;

/// How much later than SQS took its message an event may have been received: clocks differ.
const MAX_AHEAD: TimeDelta = TimeDelta::days(1);

/// The times of receipt that can be true of the events of one message, in milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plausible {
    latest_ms: i64,
}

impl Plausible {
    pub(super) fn of(message: &Message) -> Plausible {
        let sent_ms = message.sent_at.timestamp_millis();
        // Where SQS does not say when it took the message, nothing is known of the latest time.
        let latest_ms = if sent_ms < EARLIEST_MS {
            i64::MAX
        } else {
            sent_ms.saturating_add(MAX_AHEAD.num_milliseconds())
        };
        Plausible { latest_ms }
    }

    pub(super) fn has(self, received_at_ms: i64) -> bool {
        (EARLIEST_MS..=self.latest_ms).contains(&received_at_ms)
    }

    /// What is wrong with such a time, such as `` is `9999-…`, more than a day after … ``.
    pub(super) fn refusal(self, received_at: DateTime<Utc>) -> String {
        let shown = contract::format_millis(received_at);
        if received_at.timestamp_millis() < EARLIEST_MS {
            format!("is `{shown}`, before 2000-01-01: no event was received then")
        } else {
            format!(
                "is `{shown}`, more than a day after the message was sent: nothing is received before it is there"
            )
        }
    }
}

/// When the events of a plain message were received: what its attribute says, if that can be true, else when the
/// message was sent.
pub(crate) fn received_at(message: &Message) -> DateTime<Utc> {
    attribute(message)
        .filter(|time| Plausible::of(message).has(time.timestamp_millis()))
        .unwrap_or(message.sent_at)
}

/// What is wrong with the message's attribute, if it names a time that cannot be true.
pub(super) fn refused_attribute(message: &Message) -> Option<String> {
    let (time, plausible) = (attribute(message)?, Plausible::of(message));
    let refusal = || {
        format!(
            "attribute `{ATTRIBUTE_RECEIVED_AT}` {}",
            plausible.refusal(time)
        )
    };
    (!plausible.has(time.timestamp_millis())).then(refusal)
}

fn attribute(message: &Message) -> Option<DateTime<Utc>> {
    let text = message.attributes.get(ATTRIBUTE_RECEIVED_AT)?;
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    Some(time.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(received_at: &str) -> Message {
        Message {
            id: "m-1".into(),
            receipt_handle: "r-1".into(),
            body: String::new(),
            attributes: [(ATTRIBUTE_RECEIVED_AT.to_owned(), received_at.to_owned())].into(),
            sent_at: "2025-10-04T12:34:56.200Z".parse().unwrap(),
            receive_count: 1,
        }
    }

    #[test]
    fn the_time_of_receipt_outlives_a_replay() {
        let replayed = message("2025-10-01T00:00:00.000Z");
        let time = contract::format_millis(received_at(&replayed));
        assert_eq!(time, "2025-10-01T00:00:00.000Z");
        assert_eq!(refused_attribute(&replayed), None);
    }

    #[test]
    fn a_time_that_cannot_be_true_gives_way_to_that_of_the_sending() {
        let odd = message("yesterday");
        assert_eq!(received_at(&odd), odd.sent_at);
        assert_eq!(refused_attribute(&odd), None);
        for (time, why) in [
            ("9999-12-31T23:59:59Z", "more than a day after"),
            ("2025-10-05T12:34:56.201Z", "more than a day after"),
            ("1999-12-31T23:59:59.999Z", "before 2000"),
            ("0001-01-01T00:00:00Z", "before 2000"),
        ] {
            let odd = message(time);
            assert_eq!(received_at(&odd), odd.sent_at);
            assert!(refused_attribute(&odd).unwrap().contains(why), "{time}");
        }
        assert_eq!(
            refused_attribute(&message("2025-10-05T12:34:56.200Z")),
            None
        );
        assert_eq!(refused_attribute(&message("2000-01-01T00:00:00Z")), None);
    }

    #[test]
    fn a_message_of_unknown_age_may_name_any_time_since_2000() {
        let unknown = Message {
            sent_at: DateTime::UNIX_EPOCH,
            ..message("2040-01-01T00:00:00Z")
        };
        assert_eq!(refused_attribute(&unknown), None);
    }
}
