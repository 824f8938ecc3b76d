//! Reads an event and holds it against its declaration, in one pass over its text.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::de::{DeserializeSeed, MapAccess, Visitor};

use crate::declare::kind::{Kind, ScalarType};
use crate::declare::kinds::Kinds;
use crate::event::{Event, Scalar};
use crate::id;
use crate::read::detect::detect;
use crate::rejection::{Code, Rejection, excerpt};
use crate::{MAX_EVENT_BYTES, time};

mod quick;
mod scalar;
mod signals;

use scalar::{ScalarSeed, check, check_entity, wrong_type};
use signals::SignalsSeed;

/// Who wrote the text.
#[derive(Debug, Clone, Copy)]
enum Origin {
    /// A client: the server's own fields are not there yet.
    Client { now: DateTime<Utc> },
    /// Headwater: `kind`, `event_id` and `ingest_received_at` must be there.
    Server,
}

/// Reads the events of one sender; remembers the kind of the last one, so that a run of the same
/// kind is read in one pass each.
#[derive(Debug, Clone)]
pub struct SentReader<'k> {
    kinds: &'k Kinds,
    expected: Option<&'k Kind>,
    last: Option<&'k Kind>,
}

impl<'k> SentReader<'k> {
    /// A reader of events of the kind `expected`, or of any kind where a route names none.
    pub fn new(kinds: &'k Kinds, expected: Option<&'k Kind>) -> SentReader<'k> {
        SentReader {
            kinds,
            expected,
            last: None,
        }
    }

    /// Reads an event as a client sends it; `now` is the time of receipt, which bounds the
    /// event time.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] for the first thing found wrong.
    pub fn read<'a>(&mut self, text: &'a str, now: DateTime<Utc>) -> Result<Event<'a>, Rejection>
    where
        'k: 'a,
    {
        if text.len() > MAX_EVENT_BYTES {
            let message = format!(
                "the event has {} bytes; at most {MAX_EVENT_BYTES} are taken",
                text.len()
            );
            return Err(Rejection::new(Code::TooLarge, None, message));
        }
        let origin = Origin::Client { now };
        if let Some(kind) = self.expected {
            return parse_as(kind, text, origin);
        }
        // An event that is valid for a kind which overlaps no other is of that kind.
        let apart = |kind: &&'k Kind| !kind.overlaps;
        for kind in self.last.into_iter().chain(self.kinds.iter()).filter(apart) {
            if let Some(event) = quick::read(kind, text, origin) {
                self.last = Some(kind);
                return Ok(event);
            }
        }
        let guess = self
            .last
            .filter(apart)
            .map(|kind| (kind, parse_fully(kind, text, origin)));
        match guess {
            Some((_, Ok(event))) => Ok(event),
            Some((kind, Err(rejection))) => {
                let detected = detect(self.kinds, text)?;
                self.last = Some(detected);
                if detected == kind {
                    Err(rejection)
                } else {
                    parse_as(detected, text, origin)
                }
            }
            None => {
                let kind = detect(self.kinds, text)?;
                self.last = Some(kind);
                parse_as(kind, text, origin)
            }
        }
    }
}

/// Reads one event as a client sends it: [`SentReader::read`] for a single event.
///
/// # Errors
///
/// A [`Rejection`] for the first thing found wrong.
pub fn parse_sent<'a>(
    kinds: &'a Kinds,
    expected: Option<&'a Kind>,
    text: &'a str,
    now: DateTime<Utc>,
) -> Result<Event<'a>, Rejection> {
    SentReader::new(kinds, expected).read(text, now)
}

/// Reads a line as ingest writes it into packs and the consumer into `raw/`: the contract's
/// fields and the server's three.
///
/// # Errors
///
/// A [`Rejection`], as for a sent event; `missing_field` too where one of the three is missing.
pub fn parse_line<'a>(kinds: &'a Kinds, text: &'a str) -> Result<Event<'a>, Rejection> {
    let kind = match kind_at_front(text).and_then(|name| kinds.get(name)) {
        Some(kind) => kind,
        None => detect(kinds, text)?,
    };
    parse_as(kind, text, Origin::Server)
}

/// The kind where the line starts as [`write_line`](crate::write_line) starts it.
fn kind_at_front(text: &str) -> Option<&str> {
    let named = text.strip_prefix("{\"kind\":\"")?;
    // A name is short: a search made for long texts would take longer to set up.
    let end = named.bytes().position(|b| b == b'"')?;
    Some(&named[..end])
}

fn parse_as<'a>(kind: &'a Kind, text: &'a str, origin: Origin) -> Result<Event<'a>, Rejection> {
    quick::read(kind, text, origin).map_or_else(|| parse_fully(kind, text, origin), Ok)
}

/// Reads an event of any spelling, and words what is wrong with it.
fn parse_fully<'a>(kind: &'a Kind, text: &'a str, origin: Origin) -> Result<Event<'a>, Rejection> {
    let fault = RefCell::new(None);
    let mut json = serde_json::Deserializer::from_str(text);
    let seed = EventSeed {
        kind,
        origin,
        fault: &fault,
    };
    let read = seed
        .deserialize(&mut json)
        .and_then(|event| json.end().map(|()| event));
    read.map_err(|error| match fault.into_inner() {
        Some(rejection) => rejection,
        None if !error.is_data() => invalid_json(&error),
        None if text.trim_start().starts_with('{') => {
            let field = kind.signals_field.as_str();
            Rejection::at(
                Code::WrongType,
                field,
                format!("`{field}` is not an object of signals"),
            )
        }
        None => not_an_object(text),
    })
}

/// A rejection for JSON that is something other than an object.
pub(crate) fn not_an_object(text: &str) -> Rejection {
    let found = match text.trim_start().as_bytes().first() {
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    };
    Rejection::new(
        Code::NotAnObject,
        None,
        format!("an event is a JSON object; this is {found}"),
    )
}

/// A rejection for text that the JSON parser itself refused.
pub(crate) fn invalid_json(error: &serde_json::Error) -> Rejection {
    let message = error.to_string();
    if message.starts_with("number out of range") {
        return Rejection::new(
            Code::OutOfRange,
            None,
            format!("not valid: {message}: no double holds it"),
        );
    }
    Rejection::new(
        Code::InvalidJson,
        None,
        format!("not valid JSON: {message}"),
    )
}

type Fault = RefCell<Option<Rejection>>;

/// Notes the rejection and gives the error that stops the parser.
fn stop<E: serde::de::Error>(fault: &Fault, rejection: Rejection) -> E {
    let error = E::custom(&rejection.message);
    fault.replace(Some(rejection));
    error
}

/// What a key of the event's object means.
enum Key {
    Entity,
    Time,
    Signals,
    EventId,
    Kind,
    ReceivedAt,
    Field(usize),
}

impl Key {
    #[inline]
    fn of(kind: &Kind, origin: Origin, name: &str) -> Option<Key> {
        if name == kind.signals_field {
            Some(Key::Signals)
        } else if name == kind.entity.field {
            Some(Key::Entity)
        } else if name == kind.time.field {
            Some(Key::Time)
        } else if let Some(at) = kind.fields.iter().position(|rule| rule.name == name) {
            Some(Key::Field(at))
        } else {
            match name {
                "event_id" => Some(Key::EventId),
                "kind" => Some(Key::Kind),
                "ingest_received_at" if matches!(origin, Origin::Server) => Some(Key::ReceivedAt),
                _ => None,
            }
        }
    }
}

struct KeySeed<'k> {
    kind: &'k Kind,
    origin: Origin,
    fault: &'k Fault,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Key;
    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Key, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = Key;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }
    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Key, E> {
        let kind = self.kind;
        Key::of(kind, self.origin, name).ok_or_else(|| {
            let shown = excerpt(name);
            let known = kind.canonical_order.join("`, `");
            let message = match name {
                "ingest_received_at" => {
                    "`ingest_received_at` is set by the server: leave it out".to_owned()
                }
                _ => format!(
                    "`{shown}` is not a field of kind `{}`: it has `{known}`, and `event_id` and `kind` where wanted",
                    kind.name
                ),
            };
            stop(
                self.fault,
                Rejection::at(Code::UnknownField, &shown, message),
            )
        })
    }
}

struct EventSeed<'k, 'f> {
    kind: &'k Kind,
    origin: Origin,
    fault: &'f Fault,
}

impl<'de, 'k: 'de> DeserializeSeed<'de> for EventSeed<'k, '_> {
    type Value = Event<'de>;
    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Event<'de>, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de, 'k: 'de> Visitor<'de> for EventSeed<'k, '_> {
    type Value = Event<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Event<'de>, A::Error> {
        let EventSeed {
            kind,
            origin,
            fault,
        } = self;
        let (mut event_id, mut entity, mut time_text, mut received_at) = (None, None, None, None);
        let mut fields: Vec<(usize, Scalar<'de>)> = Vec::with_capacity(kind.fields.len());
        let mut signals = None;
        let mut names_kind = false;
        while let Some(key) = map.next_key_seed(KeySeed {
            kind,
            origin,
            fault,
        })? {
            match key {
                Key::Entity => {
                    let text = text(&mut map, fault, &kind.entity.field, entity.is_some())?;
                    check_entity(kind, &text).map_err(|rejection| stop(fault, rejection))?;
                    entity = Some(text);
                }
                Key::Time => {
                    time_text = Some(text(
                        &mut map,
                        fault,
                        &kind.time.field,
                        time_text.is_some(),
                    )?)
                }
                Key::EventId => {
                    let text = text(&mut map, fault, "event_id", event_id.is_some())?;
                    if !id::is_valid(&text) {
                        let message = format!(
                            "`event_id` is 1 to {} visible ASCII characters other than `\"` and `\\`: `{}`",
                            id::MAX_EVENT_ID_LENGTH,
                            excerpt(&text)
                        );
                        return Err(stop(
                            fault,
                            Rejection::at(Code::InvalidFormat, "event_id", message),
                        ));
                    }
                    event_id = Some(text);
                }
                Key::Kind => {
                    let text = text(
                        &mut map,
                        fault,
                        "kind",
                        std::mem::replace(&mut names_kind, true),
                    )?;
                    if *text != kind.name {
                        let message =
                            format!("`kind` is `{}`, not `{}`", excerpt(&text), kind.name);
                        return Err(stop(
                            fault,
                            Rejection::at(Code::KindMismatch, "kind", message),
                        ));
                    }
                }
                Key::ReceivedAt => {
                    let text = text(&mut map, fault, "ingest_received_at", received_at.is_some())?;
                    let time = time::rfc3339_by_chrono(&text).map_err(|error| {
                        let message = format!(
                            "`ingest_received_at` is not RFC 3339: `{}`: {error}",
                            excerpt(&text)
                        );
                        stop(
                            fault,
                            Rejection::at(Code::InvalidTimestamp, "ingest_received_at", message),
                        )
                    })?;
                    received_at = Some(time);
                }
                Key::Field(at) => {
                    let rule = &kind.fields[at];
                    if fields.iter().any(|(other, _)| *other == at) {
                        return Err(twice(fault, &rule.name));
                    }
                    let value = map.next_value_seed(ScalarSeed {
                        path: (None, &rule.name),
                        fault,
                    })?;
                    check(rule, &value, (None, &rule.name))
                        .map_err(|rejection| stop(fault, rejection))?;
                    fields.push((at, value));
                }
                Key::Signals => {
                    if signals.is_some() {
                        return Err(twice(fault, &kind.signals_field));
                    }
                    signals = Some(map.next_value_seed(SignalsSeed { kind, fault })?);
                }
            }
        }
        let has = (entity.is_some(), time_text.is_some(), signals.is_some());
        let (Some(entity), Some(time_text), Some(signals)) = (entity, time_text, signals) else {
            let there = |name: &str| {
                (name == kind.entity.field && has.0)
                    || (name == kind.time.field && has.1)
                    || (name == kind.signals_field && has.2)
                    || fields.iter().any(|(at, _)| kind.fields[*at].name == name)
            };
            return Err(missing(fault, kind, there));
        };
        if kind
            .fields
            .iter()
            .enumerate()
            .any(|(at, rule)| rule.required && !fields.iter().any(|(other, _)| *other == at))
        {
            return Err(missing(fault, kind, |name| {
                [&kind.entity.field, &kind.time.field, &kind.signals_field]
                    .iter()
                    .any(|own| *own == name)
                    || fields.iter().any(|(at, _)| kind.fields[*at].name == name)
            }));
        }
        let now = match (origin, received_at) {
            (Origin::Client { now }, _) => now,
            (Origin::Server, Some(received_at)) if event_id.is_some() && names_kind => received_at,
            (Origin::Server, _) => {
                let message = "the line lacks one of the server's fields `kind`, `event_id`, `ingest_received_at`";
                return Err(stop(
                    fault,
                    Rejection::new(Code::MissingField, None, message),
                ));
            }
        };
        let time =
            time::parse(&time_text, &kind.time, now).map_err(|rejection| stop(fault, rejection))?;
        Ok(Event {
            kind,
            event_id,
            entity,
            time,
            received_at,
            fields,
            signals,
            names_kind,
        })
    }
}

fn twice<E: serde::de::Error>(fault: &Fault, name: &str) -> E {
    stop(
        fault,
        Rejection::at(
            Code::DuplicateField,
            name,
            format!("`{name}` is there twice"),
        ),
    )
}

fn missing<E: serde::de::Error>(fault: &Fault, kind: &Kind, there: impl Fn(&str) -> bool) -> E {
    let absent: Vec<&str> = kind.required().filter(|name| !there(name)).collect();
    let message = format!("kind `{}` needs `{}`", kind.name, absent.join("`, `"));
    stop(
        fault,
        Rejection::new(
            Code::MissingField,
            absent.first().map(|name| (*name).to_owned()),
            message,
        ),
    )
}

/// The next value, which must be a text, of a field that must not have come before.
fn text<'de, A: MapAccess<'de>>(
    map: &mut A,
    fault: &Fault,
    name: &str,
    before: bool,
) -> Result<Cow<'de, str>, A::Error> {
    if before {
        return Err(twice(fault, name));
    }
    match map.next_value_seed(ScalarSeed {
        path: (None, name),
        fault,
    })? {
        Scalar::Text(text) => Ok(text),
        other => Err(stop(
            fault,
            wrong_type((None, name), ScalarType::String, &other),
        )),
    }
}

#[cfg(test)]
mod tests;
