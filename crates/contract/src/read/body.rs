//! Splits a body into the texts of its events.

use serde::Deserializer;
use serde::de::{SeqAccess, Visitor};
use serde_json::value::RawValue;

/// How the events of a body are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object, or an array of them.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// Whichever of the two the body looks like: for messages written by hand.
    Any,
}

/// A body that holds no events to look at.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The body is nothing but white space, or an empty array.
    #[error("the body holds no event")]
    Empty,
    /// The body is not UTF-8, the only encoding of JSON between systems (RFC 8259, section 8.1). Holds
    /// what it looks like instead, for the message; may be empty.
    #[error("the body is not UTF-8{0}")]
    NotUtf8(&'static str),
    /// The body as a whole is not JSON; with the parser's words.
    #[error("the body is not JSON: {0}")]
    NotJson(String),
}

/// The texts of a body's events, in order; blank lines do not count.
///
/// # Errors
///
/// [`BodyError`] if no events can be told apart.
pub fn split(body: &[u8], format: Format) -> Result<Vec<&str>, BodyError> {
    let mut texts = Vec::new();
    each_text(body, format, |text, _| texts.push(text))?;
    Ok(texts)
}

/// As [`split`], in no memory of its own: gives `take` the text of each event as it is found, and
/// whether the event stands alone, in no array and not on a line of its own.
///
/// Only an array's outline is read here. What the events themselves hold is for
/// [`SentReader`](crate::SentReader) to say, so that a broken one spoils no other.
///
/// # Errors
///
/// [`BodyError`] as of [`split`]. Of an array that breaks off, `take` has had the events before that.
pub fn each_text<'a>(
    body: &'a [u8],
    format: Format,
    mut take: impl FnMut(&'a str, bool),
) -> Result<(), BodyError> {
    let text = std::str::from_utf8(body).map_err(|_| BodyError::NotUtf8(encoding_hint(body)))?;
    // A NUL is valid UTF-8 and never valid JSON; ASCII in UTF-16 without a mark is full of them.
    if text.as_bytes().iter().take(4).any(|b| *b == 0) {
        return Err(BodyError::NotUtf8(encoding_hint(body)));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim();
    if text.is_empty() {
        return Err(BodyError::Empty);
    }
    let is_value = || serde_json::from_str::<&RawValue>(text);
    match format {
        Format::Json | Format::Any if text.starts_with('[') => elements(text, take),
        Format::Json => {
            is_value().map_err(|error| not_json(text, &error))?;
            take(text, true);
            Ok(())
        }
        Format::Any if is_value().is_ok() => {
            take(text, true);
            Ok(())
        }
        Format::Ndjson | Format::Any => {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            lines.for_each(|line| take(line, false));
            Ok(())
        }
    }
}

/// The elements of a JSON array.
fn elements<'a>(text: &'a str, take: impl FnMut(&'a str, bool)) -> Result<(), BodyError> {
    let mut json = serde_json::Deserializer::from_str(text);
    let outline = Elements { take, any: false };
    let any = json
        .deserialize_seq(outline)
        .and_then(|any| json.end().map(|()| any))
        .map_err(|error| not_json(text, &error))?;
    if any { Ok(()) } else { Err(BodyError::Empty) }
}

/// Passes the elements on one by one; gives whether there were any.
struct Elements<F> {
    take: F,
    any: bool,
}

impl<'de, F: FnMut(&'de str, bool)> Visitor<'de> for Elements<F> {
    type Value = bool;

    fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<bool, A::Error> {
        while let Some(element) = elements.next_element::<&'de RawValue>()? {
            (self.take)(element.get(), false);
            self.any = true;
        }
        Ok(self.any)
    }
}

fn not_json(text: &str, error: &serde_json::Error) -> BodyError {
    let mut message = error.to_string();
    if message.starts_with("trailing characters") && text.starts_with('{') {
        message.push_str("; for one event a line, send `content-type: application/x-ndjson`");
    }
    BodyError::NotJson(message)
}

fn encoding_hint(body: &[u8]) -> &'static str {
    match body {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, ..] | [_, 0, ..] => {
            ": it looks like UTF-16; send UTF-8"
        }
        [0x1f, 0x8b, ..] => ": it looks like gzip; send `content-encoding: gzip`",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => ": it looks like zstd; send `content-encoding: zstd`",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    enum Body<'a> {
        One(&'a str),
        Many(Vec<&'a str>),
    }

    fn body(body: &[u8], format: Format) -> Result<Body<'_>, BodyError> {
        let mut alone = false;
        each_text(body, format, |_, stands_alone| alone = stands_alone)?;
        let mut texts = split(body, format)?;
        Ok(if alone {
            Body::One(texts.remove(0))
        } else {
            Body::Many(texts)
        })
    }

    #[test]
    fn one_object_an_array_and_lines_are_told_apart() {
        assert_eq!(
            body(br#" {"a":1} "#, Format::Json),
            Ok(Body::One(r#"{"a":1}"#))
        );
        assert_eq!(
            body(br#"[{"a":1}, {"b":[2]}]"#, Format::Json),
            Ok(Body::Many(vec![r#"{"a":1}"#, r#"{"b":[2]}"#]))
        );
        assert_eq!(
            body(b"{\"a\":1}\r\n\n{\"b\"", Format::Ndjson),
            Ok(Body::Many(vec![r#"{"a":1}"#, r#"{"b""#]))
        );
        assert_eq!(
            body(b"{\n\"a\":1}", Format::Any),
            Ok(Body::One("{\n\"a\":1}"))
        );
        assert_eq!(
            body(b"{\"a\":1}\n{\"b\":2}", Format::Any),
            Ok(Body::Many(vec![r#"{"a":1}"#, r#"{"b":2}"#]))
        );
    }

    #[test]
    fn an_array_that_breaks_off_is_not_json_whatever_was_taken_before_that() {
        let mut taken = Vec::new();
        let broken = each_text(br#"[{"a":1}, 2, {"b""#, Format::Json, |text, alone| {
            taken.push((text, alone));
        });
        assert!(matches!(broken, Err(BodyError::NotJson(_))), "{broken:?}");
        assert_eq!(taken, [(r#"{"a":1}"#, false), ("2", false)]);
        for wrong in ["[1,2", "[1 2]", "[1]]", "[1] {}"] {
            let split = split(wrong.as_bytes(), Format::Json);
            assert!(matches!(split, Err(BodyError::NotJson(_))), "{wrong}");
        }
    }

    #[test]
    fn bodies_without_events_say_why() {
        for empty in ["", " \n", "[]", "\u{feff}"] {
            assert_eq!(split(empty.as_bytes(), Format::Json), Err(BodyError::Empty));
        }
        let utf16: Vec<u8> = "{\"a\":1}"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert!(
            split(&utf16, Format::Json)
                .unwrap_err()
                .to_string()
                .contains("UTF-16")
        );
        let marked: Vec<u8> = "\u{feff}{}"
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect();
        assert!(
            split(&marked, Format::Json)
                .unwrap_err()
                .to_string()
                .contains("UTF-16")
        );
        assert!(
            split(b"{\"a\":1}\n{}", Format::Json)
                .unwrap_err()
                .to_string()
                .contains("application/x-ndjson")
        );
        assert!(split(b"[{\"a\":1},", Format::Json).is_err());
        assert!(split(b"[{\"a\":NaN}]", Format::Json).is_err());
    }
}
