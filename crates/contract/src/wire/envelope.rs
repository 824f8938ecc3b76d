//! The envelope of a message of events: attributes beside its body that say how to read it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::wire::pack::{CODEC, Pack, VERSION};
use crate::wire::unpack::{DecodeError, Unpacker};

/// Name of the attribute that holds the codec.
const ATTRIBUTE_CODEC: &str = "codec";
/// Name of the attribute that holds the codec's version.
const ATTRIBUTE_VERSION: &str = "version";
/// Name of the attribute that holds the number of events, in decimal.
const ATTRIBUTE_EVENTS: &str = "events";

/// A message of events as it travels over SQS: its body, and what its attributes say of it.
///
/// A message with a `codec` attribute is a [`Pack`]. One without is plain JSON or NDJSON, as any
/// other producer may write it.
///
/// ```
/// use std::collections::BTreeMap;
/// use contract::{Envelope, Packer, Unpacker};
///
/// let lines = "{\"kind\":\"vehicle\"}\n{\"kind\":\"cell\"}\n";
/// let pack = Packer::new()?.pack(lines.as_bytes())?.remove(0);
/// let attributes = pack.attributes();
/// assert_eq!(attributes["codec"], "ndjson+zstd+base64");
/// assert_eq!((attributes["version"].as_str(), attributes["events"].as_str()), ("1", "2"));
///
/// let envelope = Envelope::read(&pack.body, &attributes);
/// assert!(envelope.is_pack());
/// assert_eq!(envelope.text(&mut Unpacker::default())?, lines);
///
/// let plain = BTreeMap::new();
/// assert_eq!(Envelope::read("[{}]", &plain).text(&mut Unpacker::default())?, "[{}]");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    body: &'a str,
    attributes: &'a BTreeMap<String, String>,
}

impl Pack {
    /// The attributes to send with the body: name and value of each, all of them texts.
    pub fn attributes(&self) -> BTreeMap<String, String> {
        [
            (ATTRIBUTE_CODEC, CODEC.to_owned()),
            (ATTRIBUTE_VERSION, VERSION.to_owned()),
            (ATTRIBUTE_EVENTS, self.events.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

impl<'a> Envelope<'a> {
    /// Names of the attributes that an envelope has, the most needed first.
    pub const ATTRIBUTES: [&'static str; 3] =
        [ATTRIBUTE_CODEC, ATTRIBUTE_VERSION, ATTRIBUTE_EVENTS];

    /// The envelope of a message with this body and these attributes; others than
    /// [`ATTRIBUTES`](Envelope::ATTRIBUTES) are passed over.
    pub fn read(body: &'a str, attributes: &'a BTreeMap<String, String>) -> Envelope<'a> {
        Envelope { body, attributes }
    }

    fn attribute(&self, name: &str) -> Option<&'a str> {
        self.attributes.get(name).map(String::as_str)
    }

    /// Whether the body is a pack of lines that Headwater wrote, by whatever codec.
    pub fn is_pack(&self) -> bool {
        self.attribute(ATTRIBUTE_CODEC).is_some()
    }

    /// How many events the sender says the pack has: a hint, for nothing checks it. 0 if it does
    /// not say so.
    pub fn told_events(&self) -> usize {
        let told = self.attribute(ATTRIBUTE_EVENTS);
        told.and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    /// A pack's lines, owned; the body of any other message as it is, borrowed.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]; a message that gives one can only be read by a newer build, if at all.
    pub fn text(&self, unpacker: &mut Unpacker) -> Result<Cow<'a, str>, DecodeError> {
        let Some(codec) = self.attribute(ATTRIBUTE_CODEC) else {
            return Ok(Cow::Borrowed(self.body));
        };
        let version = self.attribute(ATTRIBUTE_VERSION).unwrap_or_default();
        if (codec, version) != (CODEC, VERSION) {
            return Err(DecodeError::UnknownCodec {
                codec: codec.to_owned(),
                version: version.to_owned(),
            });
        }
        unpacker.unpack(self.body).map(Cow::Owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_of_another_codec_or_version_is_refused_by_name() {
        let pack = Pack {
            body: String::new(),
            events: 1,
        };
        for (name, value, refused) in [
            ("codec", "avro", "codec `avro`"),
            ("version", "2", "version `2`"),
        ] {
            let mut attributes = pack.attributes();
            attributes.insert(name.into(), value.into());
            let envelope = Envelope::read(&pack.body, &attributes);
            let error = envelope.text(&mut Unpacker::default()).unwrap_err();
            assert!(error.to_string().contains(refused), "{error}");
        }
    }

    #[test]
    fn a_number_of_events_that_is_none_counts_for_nothing() {
        let told = |value: &str| {
            let attributes = BTreeMap::from([("events".to_owned(), value.to_owned())]);
            Envelope::read("", &attributes).told_events()
        };
        assert_eq!(["7", "-1", "many"].map(told), [7, 0, 0]);
    }
}
