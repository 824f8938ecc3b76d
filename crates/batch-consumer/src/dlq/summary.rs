//! Letters as they are read back: in a list, or in full.

use std::collections::BTreeMap;

use aws::Message;
use chrono::{DateTime, Utc};
use contract::{ATTRIBUTE_REASON, DecodeError, Envelope, Format, Kinds, MAX_RECEIVES, Unpacker};
use serde::Serialize;

use crate::receive::dead_letter::{ATTRIBUTE_DETAIL, ATTRIBUTE_SOURCE};
use crate::receive::receipt::received_at;

/// A letter as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The letter's own message id, which `show` and `replay --id` take.
    pub message_id: String,
    /// Code of the reason; `max_receives` if the redrive policy moved the message.
    pub reason: String,
    /// The reason in words; absent if the redrive policy moved the message.
    pub detail: Option<String>,
    /// Id of the message that the letter was made of; absent if the redrive policy moved it.
    pub source_message_id: Option<String>,
    /// Kind of the first event, if it can be read.
    pub kind: Option<String>,
    /// Entity of the first event, if it can be read.
    pub entity: Option<String>,
    /// Number of events; 0 if they cannot be told apart.
    pub events: usize,
    /// Bytes of the body, packed if it is a pack.
    pub bytes: usize,
    /// When the events were first received.
    pub received_at: DateTime<Utc>,
    /// When SQS took the letter; if the redrive policy moved it, when the original message was sent.
    pub sent_at: DateTime<Utc>,
    /// How often the letter was received; each look at it counts.
    pub receives: u32,
}

/// A letter in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Letter {
    /// The letter as a list shows it.
    #[serde(flatten)]
    pub summary: Summary,
    /// Message attributes.
    pub attributes: BTreeMap<String, String>,
    /// The body; of a pack, its lines.
    pub body: String,
    /// Why the body, a pack, could not be unpacked; it is shown as it is then.
    pub unreadable: Option<String>,
}

pub(super) fn reason_of(message: &Message) -> &str {
    message
        .attributes
        .get(ATTRIBUTE_REASON)
        .map_or(MAX_RECEIVES, String::as_str)
}

/// The body as text: a pack's lines, else as it is.
///
/// # Errors
///
/// [`DecodeError`] where a pack cannot be read.
pub(super) fn unfold(message: &Message) -> Result<String, DecodeError> {
    let envelope = Envelope::read(&message.body, &message.attributes);
    let text = envelope.text(&mut Unpacker::default())?;
    Ok(text.into_owned())
}

impl Summary {
    pub(super) fn of(kinds: &Kinds, message: &Message) -> Summary {
        let attribute = |name: &str| message.attributes.get(name).cloned();
        let text = unfold(message).unwrap_or_default();
        let texts = contract::split(text.as_bytes(), Format::Any).unwrap_or_default();
        let (kind, entity) = texts
            .first()
            .map(|text| contract::identify(kinds, text))
            .unwrap_or_default();
        Summary {
            message_id: message.id.clone(),
            reason: reason_of(message).to_owned(),
            detail: attribute(ATTRIBUTE_DETAIL),
            source_message_id: attribute(ATTRIBUTE_SOURCE),
            kind,
            entity,
            events: texts.len(),
            bytes: message.body.len(),
            received_at: received_at(message),
            sent_at: message.sent_at,
            receives: message.receive_count,
        }
    }
}

impl Letter {
    pub(super) fn of(kinds: &Kinds, message: Message) -> Letter {
        let summary = Summary::of(kinds, &message);
        let (body, unreadable) = match unfold(&message) {
            Ok(body) => (body, None),
            Err(error) => (message.body, Some(error.to_string())),
        };
        Letter {
            summary,
            attributes: message.attributes,
            body,
            unreadable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &str, attributes: &[(&str, &str)]) -> Message {
        Message {
            id: "m-1".into(),
            receipt_handle: "r-1".into(),
            body: body.into(),
            attributes: attributes
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            sent_at: "2025-10-04T12:34:56Z".parse().unwrap(),
            receive_count: 3,
        }
    }

    #[test]
    fn a_letter_without_a_reason_came_by_the_redrive_policy_and_a_pack_is_unfolded() {
        let kinds = Kinds::builtin();
        let lines = "{\"vehicle_id\":\"veh-1\"}\n{\"vehicle_id\":\"veh-2\"}\n";
        let packs = contract::Packer::new().unwrap().pack(lines.as_bytes());
        let pack = &packs.unwrap()[0];
        let mut packed = message(&pack.body, &[]);
        packed.attributes = pack.attributes();
        let letter = Letter::of(&kinds, packed.clone());
        assert_eq!(letter.body, lines);
        assert_eq!(
            (letter.summary.reason.as_str(), letter.summary.events),
            ("max_receives", 2)
        );
        assert_eq!(letter.summary.entity.as_deref(), Some("veh-1"));
        let odd = Message {
            body: "???".into(),
            ..packed
        };
        let letter = Letter::of(&kinds, odd);
        assert_eq!(
            (letter.body.as_str(), letter.unreadable.as_deref()),
            ("???", Some("not base64"))
        );
    }
}
