//! Splits a body into the texts of its events.

use std::ops::ControlFlow;

use serde_json::value::RawValue;

use crate::rejection::{Code, Rejection, csv_hint};

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
    /// The array ends too early, or something else than a comma stands between two elements.
    #[error("the body is not JSON: {reason}")]
    BreaksOff {
        /// The place of the first element that could not be read, from 0.
        index: usize,
        /// What was found.
        reason: String,
    },
}

/// The texts of a body's events, in order; blank lines do not count.
///
/// # Errors
///
/// [`BodyError`] if no events can be told apart.
pub fn split(body: &[u8], format: Format) -> Result<Vec<&str>, BodyError> {
    let mut texts = Vec::new();
    let mut broken = false;
    each_text(body, format, |text, _| {
        broken |= text.is_err();
        texts.extend(text);
        ControlFlow::Continue(())
    })?;
    if broken {
        return Err(BodyError::NotUtf8(encoding_hint(body)));
    }
    Ok(texts)
}

/// As [`split`], in no memory of its own: gives `take` the text of each event as it is found, and
/// whether the event stands alone, in no array and not on a line of its own. `take` says whether to go
/// on.
///
/// Only an array's outline is read here. What the events themselves hold is for
/// [`SentReader`](crate::SentReader) to say, also where an element is not JSON, so that a broken one spoils no other.
///
/// # Errors
///
/// [`BodyError`] as of [`split`]. Of an array that breaks off, `take` has had the events before that. A line that is not
/// UTF-8, among lines that are, is an error for `take` alone.
pub fn each_text<'a>(
    body: &'a [u8],
    format: Format,
    mut take: impl FnMut(Result<&'a str, Rejection>, bool) -> ControlFlow<()>,
) -> Result<(), BodyError> {
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        Err(_) if format == Format::Ndjson && encoding_hint(body).is_empty() => {
            return lines_of_bytes(body, take);
        }
        Err(_) => return Err(BodyError::NotUtf8(encoding_hint(body))),
    };
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
        Format::Json | Format::Any if text.starts_with('[') => {
            elements(text, |text, alone| take(Ok(text), alone))
        }
        Format::Json => {
            is_value().map_err(|error| not_json(text, &error))?;
            let _ = take(Ok(text), true);
            Ok(())
        }
        Format::Any if is_value().is_ok() => {
            let _ = take(Ok(text), true);
            Ok(())
        }
        Format::Ndjson | Format::Any => {
            let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            // Whether `take` has broken off is known to it.
            let _ = lines.try_for_each(|line| take(Ok(line), false));
            Ok(())
        }
    }
}

/// The lines of a body of which some are not UTF-8.
fn lines_of_bytes<'a>(
    body: &'a [u8],
    mut take: impl FnMut(Result<&'a str, Rejection>, bool) -> ControlFlow<()>,
) -> Result<(), BodyError> {
    let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    // Whether `take` has broken off is known to it.
    let _ = lines.filter(|line| !line.is_empty()).try_for_each(|line| {
        let text = std::str::from_utf8(line).map_err(|error| {
            let message = format!(
                "the line is not UTF-8 from its byte {} on",
                error.valid_up_to()
            );
            Rejection::new(Code::InvalidJson, None, message)
        });
        take(text, false)
    });
    Ok(())
}

/// The white space of JSON (RFC 8259, section 2).
const SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// The elements of a JSON array; also those that are not JSON, as long as it can be told where they end.
fn elements<'a>(
    text: &'a str,
    mut take: impl FnMut(&'a str, bool) -> ControlFlow<()>,
) -> Result<(), BodyError> {
    let mut rest = text[1..].trim_start_matches(SPACE);
    if rest == "]" {
        return Err(BodyError::Empty);
    }
    let breaks_off = |index: usize, reason: String| Err(BodyError::BreaksOff { index, reason });
    for index in 0.. {
        let Some(length) = element(rest) else {
            return breaks_off(
                index,
                format!("the array breaks off in its element {index}"),
            );
        };
        let (one, behind) = rest.split_at(length);
        if take(one.trim_end_matches(SPACE), false).is_break() {
            return Ok(());
        }
        let behind = behind.trim_start_matches(SPACE);
        rest = match behind.strip_prefix(',') {
            Some(next) => next.trim_start_matches(SPACE),
            None if behind == "]" => return Ok(()),
            None => {
                let found = match behind.chars().next() {
                    None => "nothing".to_owned(),
                    Some(']') => "more text behind the array's end".to_owned(),
                    Some(other) => format!("`{other}`"),
                };
                let reason = format!(
                    "expected a comma or the array's end behind its element {index}, found {found}"
                );
                return breaks_off(index + 1, reason);
            }
        };
    }
    Ok(())
}

/// The length of the element that `text` begins with.
fn element(text: &str) -> Option<usize> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    if let Some(Ok(value)) = values.next() {
        return Some(value.get().len());
    }
    broken_element(text)
}

/// The length of an element that is not JSON: up to the next comma or bracket outside of texts and of the brackets that
/// the element opens. `None` if there is none, as where a text or a bracket does not end.
fn broken_element(text: &str) -> Option<usize> {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b',' | b']' if depth == 0 => return Some(at),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

fn not_json(text: &str, error: &serde_json::Error) -> BodyError {
    let mut message = error.to_string();
    if message.starts_with("trailing characters") && text.starts_with('{') {
        message.push_str("; for one event a line, send `content-type: application/x-ndjson`");
    }
    message.push_str(csv_hint(text));
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
        each_text(body, format, |_, stands_alone| {
            alone = stands_alone;
            ControlFlow::Continue(())
        })?;
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

    /// The texts that are found, and where and why no more are.
    fn found(body: &str) -> (Vec<&str>, Option<(usize, String)>) {
        let mut texts = Vec::new();
        let ended = each_text(body.as_bytes(), Format::Json, |text, alone| {
            assert!(!alone);
            texts.push(text.unwrap());
            ControlFlow::Continue(())
        });
        let broken = match ended {
            Ok(()) => None,
            Err(BodyError::BreaksOff { index, reason }) => Some((index, reason)),
            Err(other) => panic!("{other}"),
        };
        (texts, broken)
    }

    #[test]
    fn an_element_that_is_not_json_spoils_no_other() {
        for (array, expected) in [
            (r#"[1, {"x":NaN} , 3]"#, vec!["1", r#"{"x":NaN}"#, "3"]),
            (r#"[tru,"a,]\"",0]"#, vec!["tru", r#""a,]\"""#, "0"]),
            (r#"[{"x":[1,2}},3]"#, vec![r#"{"x":[1,2}}"#, "3"]),
            (r#"[{'x':1},{"y":01}]"#, vec!["{'x':1}", r#"{"y":01}"#]),
            ("[},1]", vec!["}", "1"]),
            ("[1,,2]", vec!["1", "", "2"]),
            ("[1,]", vec!["1", ""]),
            ("[,1]", vec!["", "1"]),
            ("[\n1\t,\r2 ]", vec!["1", "2"]),
        ] {
            assert_eq!(found(array), (expected, None), "{array}");
        }
    }

    #[test]
    fn an_array_that_breaks_off_says_from_which_element_on() {
        for (array, read, said) in [
            (
                r#"[{"a":1}, 2, {"b""#,
                vec![r#"{"a":1}"#, "2"],
                "in its element 2",
            ),
            (r#"[{"b"#, vec![], "in its element 0"),
            (r#"[1, "no end, 3]"#, vec!["1"], "in its element 1"),
            (r#"[1, {"x":1, 3]"#, vec!["1"], "in its element 1"),
            (
                "[1,2",
                vec!["1", "2"],
                "behind its element 1, found nothing",
            ),
            ("[1 2]", vec!["1"], "behind its element 0, found `2`"),
            ("[1]]", vec!["1"], "more text behind the array's end"),
            ("[1] {}", vec!["1"], "more text behind the array's end"),
        ] {
            let (texts, broken) = found(array);
            let (index, reason) = broken.unwrap_or_else(|| panic!("{array}"));
            assert_eq!((&texts, index), (&read, read.len()), "{array}");
            assert!(reason.contains(said), "{array}: {reason}");
        }
        for trailing in ["[] 1", "[]]"] {
            assert!(
                split(trailing.as_bytes(), Format::Json).is_err(),
                "{trailing}"
            );
        }
    }

    #[test]
    fn a_line_that_is_not_utf8_spoils_no_other() {
        let mut found = Vec::new();
        let body = b"{\"a\":1}\r\n\n{\"b\":\"\xff\"}\n{\"c\":3}";
        let ended = each_text(body, Format::Ndjson, |text, alone| {
            assert!(!alone);
            found.push(text.map_err(|rejection| rejection.message));
            ControlFlow::Continue(())
        });
        let broken = Err("the line is not UTF-8 from its byte 6 on".to_owned());
        assert_eq!(ended, Ok(()));
        assert_eq!(found, [Ok(r#"{"a":1}"#), broken, Ok(r#"{"c":3}"#)]);
        assert!(split(body, Format::Ndjson).is_err());
        assert!(split(body, Format::Json).is_err());
    }

    #[test]
    fn reading_ends_where_the_caller_has_had_enough() {
        for (body, format) in [("[1,2,nothing", Format::Json), ("1\n2\n3", Format::Ndjson)] {
            let mut taken = 0;
            let ended = each_text(body.as_bytes(), format, |_, _| {
                taken += 1;
                if taken == 2 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
            assert_eq!((ended, taken), (Ok(()), 2), "{body}");
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
        let csv = split(b"vehicle_id,speed\nveh-1,93.5\n", Format::Json)
            .unwrap_err()
            .to_string();
        assert!(
            csv.contains("looks like CSV") && csv.contains("`import`"),
            "{csv}"
        );
        assert!(split(b"[{\"a\":1},", Format::Json).is_err());
        assert!(split(b"{\"a\":NaN}", Format::Json).is_err());
    }
}
