//! Tells an event's kind from its `kind` field, or else from the fields it has.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::declare::kind::Kind;
use crate::declare::kinds::Kinds;
use crate::declare::names::SERVER_FIELDS;
use crate::rejection::{Code, Rejection, excerpt};

/// The kind of the event in `text`: the one it names; else the only one whose required fields
/// are all there and that knows all the others; else the nearest, so that its rules can say
/// what is wrong.
pub(crate) fn detect<'k>(kinds: &'k Kinds, text: &str) -> Result<&'k Kind, Rejection> {
    let Outline(keys) = match serde_json::from_str(text) {
        Ok(outline) => outline,
        Err(error) if error.is_data() => return Err(Rejection::not_an_object(text)),
        Err(error) => return Err(Rejection::invalid_json(text, &error)),
    };
    if let Some((_, name)) = keys.iter().find(|(key, _)| key == "kind") {
        let Some(name) = name else {
            let what = "is declared as string";
            return Err(Rejection::at(Code::WrongType, "kind", what));
        };
        return kinds.get(name).ok_or_else(|| {
            let (name, declared) = (excerpt(name), kinds.names());
            let message = format!("kind `{name}` is not declared: the kinds are {declared}");
            Rejection::new(Code::UnknownKind, Some("kind".into()), message)
        });
    }
    let mut fitting = kinds.iter().filter(|kind| fits(kind, &keys));
    match (fitting.next(), fitting.next()) {
        (Some(kind), None) => Ok(kind),
        (Some(one), Some(two)) => {
            let message = format!(
                "the fields fit kind `{}` and kind `{}`: name one in `kind`",
                one.name, two.name
            );
            Err(Rejection::new(
                Code::AmbiguousKind,
                Some("kind".into()),
                message,
            ))
        }
        (None, _) => nearest(kinds, &keys).ok_or_else(|| foreign(kinds, &keys)),
    }
}

fn fits(kind: &Kind, keys: &[(String, Option<String>)]) -> bool {
    kind.required()
        .all(|name| keys.iter().any(|(key, _)| key == name))
        && keys
            .iter()
            .all(|(key, _)| has(kind, key) || is_servers(key))
        && !contradicts(kind, keys)
}

fn has(kind: &Kind, key: &str) -> bool {
    kind.own_field(key).is_some()
}

fn is_servers(key: &str) -> bool {
    SERVER_FIELDS.contains(&key)
}

/// Whether a constant of the kind has another value in the event.
fn contradicts(kind: &Kind, keys: &[(String, Option<String>)]) -> bool {
    let mut constants = kind.fields.iter().filter(|rule| !rule.texts.is_empty());
    constants.any(|rule| {
        let other = |value: &String| !rule.texts.contains(value);
        keys.iter()
            .any(|(key, value)| *key == rule.name && value.as_ref().is_some_and(other))
    })
}

/// The kind with the most fields in common, unknown ones counted against it.
fn nearest<'k>(kinds: &'k Kinds, keys: &[(String, Option<String>)]) -> Option<&'k Kind> {
    let score = |kind: &Kind| {
        let own = keys.iter().filter(|(key, _)| has(kind, key)).count() as i64;
        let foreign = (keys.iter()).filter(|(key, _)| !has(kind, key) && !is_servers(key));
        let foreign = foreign.count() as i64;
        (own, -foreign, !contradicts(kind, keys))
    };
    // `max_by_key` takes the last of equals: reversed, the kind declared first.
    kinds
        .iter()
        .rev()
        .max_by_key(|kind| score(kind))
        .filter(|kind| keys.iter().any(|(key, _)| has(kind, key)))
}

/// Of an event that has no field of any kind: says what the kind needs that has most of the fields in another spelling,
/// or else the one that needs the fewest.
#[cold]
fn foreign(kinds: &Kinds, keys: &Keys) -> Rejection {
    let declared = kinds.names();
    let mut message = format!("no declared kind has these fields: the kinds are {declared}");
    let spelled = |kind: &Kind| {
        keys.iter()
            .filter_map(|(key, _)| respelled(kind, key))
            .count()
    };
    let near = |kind: &&Kind| (spelled(kind), std::cmp::Reverse(kind.required().count()));
    // Reversed for the kind declared first, as above.
    if let Some(kind) = kinds.iter().rev().max_by_key(near) {
        let needs: Vec<&str> = kind.required().collect();
        let needs = needs.join("`, `");
        message += &format!("; the nearest, `{}`, needs `{needs}`", kind.name);
        // The one that says most.
        let mut unknown = keys.iter().filter(|(key, _)| !is_servers(key));
        let first = unknown.clone().next();
        let one = unknown.find(|(key, _)| respelled(kind, key).is_some());
        if let Some((key, _)) = one.or(first) {
            message += &format!(" and has no field `{}`", excerpt(key));
            if let Some(own) = respelled(kind, key) {
                message += &format!(": it is `{own}` there");
            }
        }
    }
    Rejection::new(Code::UnknownKind, None, message)
}

/// The kind's own field that the name is another spelling of, such as `vehicleId` of `vehicle_id`.
fn respelled<'k>(kind: &'k Kind, name: &str) -> Option<&'k str> {
    let mut own = kind.canonical.iter().map(|(_, own)| kind.name_of(*own));
    own.find(|own| letters(own).eq(letters(name)))
}

/// Letters and digits of a name, in lower case.
fn letters(name: &str) -> impl Iterator<Item = u8> {
    let letters = name.bytes().filter(u8::is_ascii_alphanumeric);
    letters.map(|letter| letter.to_ascii_lowercase())
}

/// The keys of an object, each with its value if that is a text.
struct Outline(Keys);

type Keys = Vec<(String, Option<String>)>;

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
        while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
            keys.push((key, serde_json::from_str(value.get()).ok()));
        }
        Ok(Outline(keys))
    }
}
