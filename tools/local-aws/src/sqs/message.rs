//! A message: its body, its attributes, their sizes and MD5s.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use super::error::SqsError;
use crate::hex::hex;
use crate::wall_clock::Moment;

/// Attributes of a message by name.
pub(crate) type Attributes = BTreeMap<String, AttributeValue>;

/// Attributes a message may carry (SQS quotas, read 2026-11-20).
const MAX_ATTRIBUTES: usize = 10;

/// A typed attribute as the JSON protocol writes it; binary values stay in base64.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AttributeValue {
    #[serde(default)]
    pub(crate) data_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) string_value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) binary_value: Option<String>,
}

/// Body and attributes as the sender gave them, checked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Content {
    pub(crate) body: String,
    pub(crate) body_md5: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) attributes: Attributes,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Message {
    /// Number in the order of arrival, unique over all queues.
    pub(crate) seq: u64,
    pub(crate) id: String,
    pub(crate) content: Arc<Content>,
    pub(crate) sent: Moment,
    pub(crate) first_received: Option<Moment>,
    pub(crate) receive_count: u32,
    /// The message is hidden (delayed or in flight) until this moment.
    pub(crate) visible_at: Moment,
    /// ARN of the queue from which a dead letter came.
    pub(crate) dead_letter_source: Option<String>,
}

impl Content {
    pub(crate) fn checked(body: String, attributes: Attributes) -> Result<Self, SqsError> {
        if body.is_empty() {
            return Err(SqsError::missing("MessageBody"));
        }
        check_characters(&body)?;
        if attributes.len() > MAX_ATTRIBUTES {
            return Err(SqsError::invalid_value(format!(
                "Number of message attributes [{}] exceeds the allowed maximum [{MAX_ATTRIBUTES}].",
                attributes.len()
            )));
        }
        for (name, value) in &attributes {
            check_attribute(name, value)?;
        }
        Ok(Self {
            body_md5: hex(Md5::digest(&body)),
            body,
            attributes,
        })
    }

    /// Bytes that count against the limits: body, and names, types and values of the attributes.
    pub(crate) fn size(&self) -> usize {
        let attributes = self.attributes.iter().map(|(name, value)| {
            name.len() + value.data_type.len() + value.bytes().map_or(0, |bytes| bytes.len())
        });
        self.body.len() + attributes.sum::<usize>()
    }
}

impl Message {
    /// Bytes that the message takes in the journal, approximately.
    pub(crate) fn journal_size(&self) -> u64 {
        const FIELDS: u64 = 400;
        self.content.size() as u64 + FIELDS
    }
}

impl AttributeValue {
    fn is_binary(&self) -> bool {
        self.data_type.split('.').next() == Some("Binary")
    }

    /// The value as bytes; None if the value is missing or not base64.
    fn bytes(&self) -> Option<Vec<u8>> {
        if self.is_binary() {
            STANDARD.decode(self.binary_value.as_deref()?).ok()
        } else {
            self.string_value
                .as_ref()
                .map(|text| text.clone().into_bytes())
        }
    }
}

/// The MD5 that SDKs check: over the attributes sorted by name, each as name, type, one byte for the
/// transport (1 text, 2 binary) and value, the three texts preceded by their length in four bytes, big
/// end first (SQS developer guide, "Calculating the MD5 message digest").
pub(crate) fn attributes_md5<'a>(
    attributes: impl IntoIterator<Item = (&'a String, &'a AttributeValue)>,
) -> Option<String> {
    let mut hash = Md5::new();
    let mut any = false;
    for (name, value) in attributes {
        any = true;
        update_with_length(&mut hash, name.as_bytes());
        update_with_length(&mut hash, value.data_type.as_bytes());
        hash.update([if value.is_binary() { 2 } else { 1 }]);
        update_with_length(&mut hash, &value.bytes().unwrap_or_default());
    }
    any.then(|| hex(hash.finalize()))
}

fn update_with_length(hash: &mut Md5, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    hash.update(length.to_be_bytes());
    hash.update(bytes);
}

/// XML 1.0 characters only (`SendMessage`, API reference).
fn check_characters(text: &str) -> Result<(), SqsError> {
    let allowed = |c: char| {
        matches!(c, '\u{9}' | '\u{A}' | '\u{D}' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}')
            || c >= '\u{10000}'
    };
    // The fast path: no control characters and nothing beyond ASCII.
    if text.bytes().all(|b| (0x20..0x80).contains(&b)) || text.chars().all(allowed) {
        return Ok(());
    }
    Err(SqsError::new(
        "InvalidMessageContents",
        "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | \
         #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
    ))
}

fn check_attribute(name: &str, value: &AttributeValue) -> Result<(), SqsError> {
    let well_formed = !name.is_empty()
        && name.len() <= 256
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !name.contains("..");
    let lower = name.to_ascii_lowercase();
    if !well_formed || lower.starts_with("aws.") || lower.starts_with("amazon.") {
        return Err(SqsError::invalid_value(format!(
            "The message attribute name '{name}' is invalid."
        )));
    }
    let kind = value.data_type.split('.').next().unwrap_or_default();
    if !matches!(kind, "String" | "Number" | "Binary") {
        return Err(SqsError::invalid_value(format!(
            "The message attribute '{name}' has an invalid message attribute type, the set of \
             supported type prefixes is Binary, Number, and String."
        )));
    }
    let Some(bytes) = value.bytes().filter(|bytes| !bytes.is_empty()) else {
        return Err(SqsError::invalid_value(format!(
            "The message attribute '{name}' must contain a non-empty value of type '{kind}'."
        )));
    };
    if let Some(text) = &value.string_value {
        check_characters(text)?;
    }
    let is_number = || std::str::from_utf8(&bytes).is_ok_and(|text| text.parse::<f64>().is_ok());
    if kind == "Number" && !is_number() {
        return Err(SqsError::invalid_value(format!(
            "Can't cast the value of message attribute '{name}' to a number."
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_md5_of_attributes_is_over_their_lengths_types_and_values() {
        let value = AttributeValue {
            data_type: "String".to_owned(),
            string_value: Some("testValue".to_owned()),
            binary_value: None,
        };
        let mut wire = Vec::new();
        for part in ["testKey", "String"] {
            wire.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
            wire.extend(part.as_bytes());
        }
        wire.push(1);
        wire.extend(9u32.to_be_bytes());
        wire.extend(b"testValue");
        assert_eq!(
            attributes_md5([(&"testKey".to_owned(), &value)]),
            Some(hex(Md5::digest(&wire)))
        );
    }

    #[test]
    fn control_characters_are_refused_and_emoji_are_not() {
        assert!(check_characters("a\tb\n🚗").is_ok());
        assert!(check_characters("a\u{1}b").is_err());
        assert!(check_characters("\u{FFFF}").is_err());
    }
}
