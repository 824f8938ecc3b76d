//! Tells an event's kind from its `kind` field, or else from the fields it has.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::declare::kind::Kind;
use crate::declare::kinds::Kinds;
use crate::read::parse::{invalid_json, not_an_object};
use crate::rejection::{Code, Rejection, excerpt};

/// The kind of the event in `text`: the one it names; else the only one whose required fields
/// are all there and that knows all the others; else the nearest, so that its rules can say
/// what is wrong.
pub(crate) fn detect<'k>(kinds: &'k Kinds, text: &str) -> Result<&'k Kind, Rejection> {
    let Outline(keys) = match serde_json::from_str(text) {
        Ok(outline) => outline,
        Err(error) if error.is_data() => return Err(not_an_object(text)),
        Err(error) => return Err(invalid_json(&error)),
    };
    if let Some((_, name)) = keys.iter().find(|(key, _)| key == "kind") {
        return match name {
            Some(name) => kinds.get(name).ok_or_else(|| {
                let message = format!(
                    "kind `{}` is not declared: the kinds are {}",
                    excerpt(name),
                    kinds.names()
                );
                Rejection::at(Code::UnknownKind, "kind", message)
            }),
            None => Err(Rejection::at(
                Code::WrongType,
                "kind",
                "`kind` is declared as string",
            )),
        };
    }
    let mut fitting = kinds.iter().filter(|kind| fits(kind, &keys));
    match (fitting.next(), fitting.next()) {
        (Some(kind), None) => Ok(kind),
        (Some(one), Some(two)) => {
            let message = format!(
                "the fields fit kind `{}` and kind `{}`: name one in `kind`",
                one.name, two.name
            );
            Err(Rejection::at(Code::AmbiguousKind, "kind", message))
        }
        (None, _) => nearest(kinds, &keys).ok_or_else(|| {
            let message = format!(
                "no declared kind has these fields: the kinds are {}",
                kinds.names()
            );
            Rejection::new(Code::UnknownKind, None, message)
        }),
    }
}

fn is_servers(key: &str) -> bool {
    matches!(key, "event_id" | "kind" | "ingest_received_at")
}

fn fits(kind: &Kind, keys: &[(String, Option<String>)]) -> bool {
    kind.required()
        .all(|name| keys.iter().any(|(key, _)| key == name))
        && keys
            .iter()
            .all(|(key, _)| kind.has_field(key) || is_servers(key))
        && !contradicts(kind, keys)
}

/// Whether a constant of the kind has another value in the event.
fn contradicts(kind: &Kind, keys: &[(String, Option<String>)]) -> bool {
    kind.fields
        .iter()
        .filter(|rule| !rule.texts.is_empty())
        .any(|rule| {
            keys.iter().any(|(key, value)| {
                *key == rule.name
                    && value
                        .as_ref()
                        .is_some_and(|value| !rule.texts.contains(value))
            })
        })
}

/// The kind with the most fields in common, unknown ones counted against it.
fn nearest<'k>(kinds: &'k Kinds, keys: &[(String, Option<String>)]) -> Option<&'k Kind> {
    let score = |kind: &Kind| {
        let own = keys.iter().filter(|(key, _)| kind.has_field(key)).count() as i64;
        let foreign = keys
            .iter()
            .filter(|(key, _)| !kind.has_field(key) && !is_servers(key))
            .count() as i64;
        (own, -foreign, !contradicts(kind, keys))
    };
    // `max_by_key` takes the last of equals: reversed, the kind declared first.
    kinds
        .iter()
        .rev()
        .max_by_key(|kind| score(kind))
        .filter(|kind| keys.iter().any(|(key, _)| kind.has_field(key)))
}

/// The keys of an object, each with its value where that is a text.
struct Outline(Vec<(String, Option<String>)>);

impl<'de> Deserialize<'de> for Outline {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Outline, D::Error> {
        json.deserialize_map(OutlineVisitor)
    }
}

struct OutlineVisitor;

impl<'de> Visitor<'de> for OutlineVisitor {
    type Value = Outline;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Outline, A::Error> {
        let mut keys = Vec::new();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            keys.push((key.into_owned(), map.next_value_seed(TextOnly)?));
        }
        Ok(Outline(keys))
    }
}

/// A value's text where it is one; anything else is passed over unread.
struct TextOnly;

impl<'de> DeserializeSeed<'de> for TextOnly {
    type Value = Option<String>;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Option<String>, D::Error> {
        let raw = <&serde_json::value::RawValue>::deserialize(json)?;
        Ok(serde_json::from_str(raw.get()).ok())
    }
}
