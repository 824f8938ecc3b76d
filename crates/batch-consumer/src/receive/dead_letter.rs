//! Dead letters as they are written: what could not be processed, with the reason. `dlq` reads them back.

use std::collections::BTreeMap;

use aws::{Message, Outgoing};
use chrono::{DateTime, Utc};
use contract::{ATTRIBUTE_REASON, Envelope, Pack, Rejection};

/// Attribute with the reason in words, at most 1 KiB.
pub(crate) const ATTRIBUTE_DETAIL: &str = "detail";
/// Attribute with the id of the message that the letter was made of.
pub(crate) const ATTRIBUTE_SOURCE: &str = "source_message_id";
/// Attribute that says when Headwater first received the events, so that a replay does not change
/// their time of receipt: RFC 3339, UTC, milliseconds.
pub(crate) const ATTRIBUTE_RECEIVED_AT: &str = "received_at";

/// Reason of a whole message whose body cannot be read.
pub const UNDECODABLE: &str = "undecodable";
/// Reason of a whole message with more broken events than become letters of their own.
pub(crate) const MANY_BROKEN: &str = "many_broken_events";

/// Longest detail: attributes count towards the size of the message.
const MAX_DETAIL_BYTES: usize = 1024;

/// Most attributes of a message (SQS developer guide, "Message attributes", read 2026-11-21).
const MAX_ATTRIBUTES: usize = 10;

/// A letter that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeadLetter {
    /// A contract's code, [`UNDECODABLE`] or [`MANY_BROKEN`].
    pub(crate) reason: &'static str,
    pub(crate) outgoing: Outgoing,
}

impl DeadLetter {
    /// A whole message: its body as it is, its attributes as far as there is room for them.
    pub(crate) fn of_message(message: &Message, reason: &'static str, detail: &str) -> DeadLetter {
        let mut attributes = own_attributes(message, reason, detail);
        // The ones that say how to read the body come first, in case not all find room.
        let kept = Envelope::ATTRIBUTES
            .into_iter()
            .filter_map(|name| message.attributes.get_key_value(name));
        for (name, value) in kept.chain(&message.attributes) {
            if attributes.len() < MAX_ATTRIBUTES && !attributes.contains_key(name) {
                attributes.insert(name.clone(), value.clone());
            }
        }
        DeadLetter {
            reason,
            outgoing: Outgoing {
                body: message.body.clone(),
                attributes,
            },
        }
    }

    /// One event of a message.
    pub(crate) fn of_event(message: &Message, text: &str, rejection: &Rejection) -> DeadLetter {
        let reason = rejection.code.as_str();
        let mut attributes = own_attributes(message, reason, &rejection.message);
        let mut body = text.to_owned();
        // Text out of a pack may have characters that SQS refuses in a body: it is packed again. If
        // it fits no pack it is sent as it is, and if SQS refuses the letter, the message stays.
        if !text.chars().all(is_allowed)
            && let Some(pack) = packed(text)
        {
            attributes.extend(pack.attributes());
            body = pack.body;
        }
        DeadLetter {
            reason,
            outgoing: Outgoing { body, attributes },
        }
    }
}

/// When the events of a plain message were received: what its attribute says, else when it was sent.
/// Neither changes between deliveries, so that the same message always gives the same lines.
pub(crate) fn received_at(message: &Message) -> DateTime<Utc> {
    message
        .attributes
        .get(ATTRIBUTE_RECEIVED_AT)
        .and_then(|text| DateTime::parse_from_rfc3339(text).ok())
        .map_or(message.sent_at, |time| time.with_timezone(&Utc))
}

fn own_attributes(message: &Message, reason: &str, detail: &str) -> BTreeMap<String, String> {
    let received_at = contract::format_millis(received_at(message));
    BTreeMap::from(
        [
            (ATTRIBUTE_REASON, reason.to_owned()),
            (ATTRIBUTE_DETAIL, bounded(detail)),
            (ATTRIBUTE_SOURCE, message.id.clone()),
            (ATTRIBUTE_RECEIVED_AT, received_at),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    )
}

/// The text as an attribute that SQS takes: within [`MAX_DETAIL_BYTES`], without forbidden characters, not empty.
fn bounded(detail: &str) -> String {
    let mut text: String = detail
        .chars()
        .map(|c| if is_allowed(c) { c } else { '\u{fffd}' })
        .collect();
    if text.len() > MAX_DETAIL_BYTES {
        let mut end = MAX_DETAIL_BYTES - '…'.len_utf8();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    if text.is_empty() {
        text.push('?');
    }
    text
}

/// Whether SQS takes the character in a body or attribute (SQS API reference, `SendMessage`, read
/// 2026-11-21).
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{fffd}' | '\u{10000}'..)
}

fn packed(text: &str) -> Option<Pack> {
    let line = format!("{text}\n");
    let mut packs = contract::Packer::new().ok()?.pack(line.as_bytes()).ok()?;
    (packs.len() == 1).then(|| packs.remove(0))
}

#[cfg(test)]
mod tests {
    use contract::Code;

    use super::*;

    fn message(attributes: &[(&str, &str)]) -> Message {
        Message {
            id: "m-1".into(),
            receipt_handle: "r-1".into(),
            body: "body".into(),
            attributes: attributes
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            sent_at: "2025-10-04T12:34:56.200Z".parse().unwrap(),
            receive_count: 1,
        }
    }

    fn rejection(message: &str) -> Rejection {
        Rejection {
            code: Code::WrongType,
            field: None,
            message: message.into(),
        }
    }

    #[test]
    fn a_message_keeps_its_codec_when_attributes_run_out_of_room() {
        let mut many: Vec<(String, String)> =
            (0..8).map(|n| (format!("a{n}"), "x".into())).collect();
        many.push(("codec".into(), "c".into()));
        many.push(("version".into(), "2".into()));
        let mut message = message(&[]);
        message.attributes = many.into_iter().collect();
        let letter = DeadLetter::of_message(&message, UNDECODABLE, "why").outgoing;
        assert_eq!(letter.body, "body");
        assert_eq!(letter.attributes.len(), MAX_ATTRIBUTES);
        assert_eq!(letter.attributes["codec"], "c");
        assert_eq!(letter.attributes["version"], "2");
        assert_eq!(letter.attributes["reason"], "undecodable");
        assert_eq!(letter.attributes["received_at"], "2025-10-04T12:34:56.200Z");
    }

    #[test]
    fn a_detail_has_at_most_a_kibibyte_of_what_sqs_takes() {
        let long = DeadLetter::of_event(&message(&[]), "{}", &rejection(&"é".repeat(2000)));
        let detail = &long.outgoing.attributes["detail"];
        assert!(detail.len() <= MAX_DETAIL_BYTES && detail.ends_with("é…"));
        let odd = DeadLetter::of_event(&message(&[]), "{}", &rejection("a\u{1}b"));
        assert_eq!(odd.outgoing.attributes["detail"], "a\u{fffd}b");
        let none = DeadLetter::of_event(&message(&[]), "{}", &rejection(""));
        assert_eq!(none.outgoing.attributes["detail"], "?");
    }

    #[test]
    fn an_event_that_sqs_would_refuse_is_sent_packed() {
        let letter = DeadLetter::of_event(&message(&[]), "{\u{1}", &rejection("x")).outgoing;
        let envelope = Envelope::read(&letter.body, &letter.attributes);
        assert!(envelope.is_pack());
        let text = envelope.text(&mut contract::Unpacker::default());
        assert_eq!(text.unwrap(), "{\u{1}\n");
    }

    #[test]
    fn the_time_of_receipt_outlives_a_replay() {
        let replayed = message(&[(ATTRIBUTE_RECEIVED_AT, "2025-10-01T00:00:00.000Z")]);
        assert_eq!(
            contract::format_millis(received_at(&replayed)),
            "2025-10-01T00:00:00.000Z"
        );
        let odd = message(&[(ATTRIBUTE_RECEIVED_AT, "yesterday")]);
        assert_eq!(received_at(&odd), odd.sent_at);
    }
}
