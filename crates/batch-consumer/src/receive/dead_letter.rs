//! Dead letters as they are written: what could not be processed, with the reason. `dlq` reads them back.

use std::collections::BTreeMap;

use aws::{MAX_BATCH_BYTES, Message, Outgoing};
use contract::{ATTRIBUTE_REASON, Envelope, Pack, Rejection};
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_128;

use crate::receive::receipt::{ATTRIBUTE_RECEIVED_AT, received_at};

/// Attribute with the reason in words, at most 1 KiB.
pub(crate) const ATTRIBUTE_DETAIL: &str = "detail";
/// Attribute with the id of the message that the letter was made of.
pub(crate) const ATTRIBUTE_SOURCE: &str = "source_message_id";

/// Attribute of a letter that holds only the beginning of a body: the key of the object with the whole of it.
pub(crate) const ATTRIBUTE_WHOLE: &str = "whole_body";

/// Folder of the lake with the bodies that no letter can hold.
const WHOLE_FOLDER: &str = "_letters";

/// Bytes of such a body that the letter holds all the same, to look at.
const BEGINNING_BYTES: usize = 64 * 1024;

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
    /// What the letter holds only the beginning of; to be put before the letter is sent.
    pub(crate) whole: Option<WholeBody>,
}

/// A body that no letter can hold, because its message is about as large as SQS takes and a letter has attributes
/// besides, or because it has characters that SQS refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WholeBody {
    /// `_letters/<message id>/<hash of the content>.json`: the same at each delivery.
    pub(crate) key: String,
    /// A JSON object with `body` and `attributes`.
    pub(crate) content: String,
}

impl DeadLetter {
    /// Bytes in memory, without the allocator's share.
    pub(crate) fn size(&self) -> usize {
        let whole = self.whole.as_ref().map_or(0, |whole| whole.content.len());
        self.outgoing.size() + whole
    }

    /// The letter with this body, or with its beginning where SQS would refuse it.
    fn holding(
        message: &Message,
        reason: &'static str,
        detail: &str,
        outgoing: Outgoing,
    ) -> DeadLetter {
        if outgoing.size() <= MAX_BATCH_BYTES && outgoing.body.chars().all(is_allowed) {
            return DeadLetter {
                reason,
                outgoing,
                whole: None,
            };
        }
        #[derive(Serialize)]
        struct Content<'a> {
            body: &'a str,
            attributes: &'a BTreeMap<String, String>,
        }
        let (body, attributes) = (&outgoing.body, &message.attributes);
        let content =
            serde_json::to_string(&Content { body, attributes }).expect("a map of texts is JSON");
        let hash = xxh3_128(content.as_bytes());
        let key = format!("{WHOLE_FOLDER}/{}/{hash:032x}.json", message.id);
        let cut = format!(
            "a letter cannot hold these {} bytes, see `{ATTRIBUTE_WHOLE}`: {detail}",
            body.len()
        );
        let mut attributes = own_attributes(message, reason, &cut);
        attributes.insert(ATTRIBUTE_WHOLE.to_owned(), key.clone());
        let beginning = &body[..body.floor_char_boundary(BEGINNING_BYTES)];
        DeadLetter {
            reason,
            outgoing: Outgoing {
                body: with_allowed(beginning),
                attributes,
            },
            whole: Some(WholeBody { key, content }),
        }
    }

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
        let body = message.body.clone();
        DeadLetter::holding(message, reason, detail, Outgoing { body, attributes })
    }

    /// One event of a message.
    pub(crate) fn of_event(message: &Message, text: &str, rejection: &Rejection) -> DeadLetter {
        let reason = rejection.code.as_str();
        let mut attributes = own_attributes(message, reason, &rejection.message);
        let mut body = text.to_owned();
        // Text out of a pack may have characters that SQS refuses in a body: it is packed again if it fits a pack.
        if !text.chars().all(is_allowed)
            && let Some(pack) = packed(text)
        {
            attributes.extend(pack.attributes());
            body = pack.body;
        }
        let outgoing = Outgoing { body, attributes };
        DeadLetter::holding(message, reason, &rejection.message, outgoing)
    }
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
    let mut text = with_allowed(detail);
    if text.len() > MAX_DETAIL_BYTES {
        text.truncate(text.floor_char_boundary(MAX_DETAIL_BYTES - '…'.len_utf8()));
        text.push('…');
    }
    if text.is_empty() {
        text.push('?');
    }
    text
}

/// The text with U+FFFD for what SQS does not take.
fn with_allowed(text: &str) -> String {
    text.chars()
        .map(|c| if is_allowed(c) { c } else { '\u{fffd}' })
        .collect()
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
    fn a_body_that_no_letter_can_hold_is_kept_whole_beside_its_beginning() {
        let largest = Message {
            body: "é".repeat(MAX_BATCH_BYTES / 2),
            ..message(&[])
        };
        let letter = DeadLetter::of_message(&largest, UNDECODABLE, "not JSON");
        let whole = letter.whole.as_ref().unwrap();
        assert_eq!(letter.outgoing.attributes["whole_body"], whole.key);
        assert!(whole.key.starts_with("_letters/m-1/"), "{}", whole.key);
        assert_eq!(letter.outgoing.body, "é".repeat(BEGINNING_BYTES / 2));
        let detail = &letter.outgoing.attributes["detail"];
        assert!(
            detail.contains("1048576 bytes") && detail.ends_with("not JSON"),
            "{detail}"
        );
        let content: serde_json::Value = serde_json::from_str(&whole.content).unwrap();
        assert_eq!(content["body"], largest.body);
        assert_eq!(
            letter,
            DeadLetter::of_message(&largest, UNDECODABLE, "not JSON")
        );
    }

    #[test]
    fn an_event_that_neither_sqs_nor_a_pack_takes_is_kept_whole_too() {
        let mut noise = 1_u32;
        let text: String = (0..100_000)
            .map(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                char::from_u32(0x1 + (noise >> 8) % 0x8000).unwrap_or('x')
            })
            .collect();
        let letter = DeadLetter::of_event(&message(&[]), &text, &rejection("x"));
        assert!(letter.outgoing.body.chars().all(is_allowed));
        assert!(letter.outgoing.size() < MAX_BATCH_BYTES);
        let content = &letter.whole.unwrap().content;
        let content: serde_json::Value = serde_json::from_str(content).unwrap();
        assert_eq!(content["body"], text);
    }
}
