//! Reads an event of any spelling over serde, in one pass, and words what is wrong with it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;

use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::declare::kind::{Kind, OwnField};
use crate::declare::rule::ScalarType;
use crate::event::{Event, Scalar};
use crate::id;
use crate::read::check::{check, check_entity, wrong_type};
use crate::read::draft::{Draft, Field, Origin};
use crate::read::fault::{Fault, stop};
use crate::read::labels;
use crate::read::scalar::{NameSeed, ScalarSeed};
use crate::read::signals::SignalsSeed;
use crate::rejection::{Code, Rejection, excerpt};
use crate::time::{self, Written};

/// The event in `text`, in any spelling of JSON, or what is wrong with it.
pub(super) fn read<'a>(
    kind: &'a Kind,
    text: &'a str,
    origin: Origin,
) -> Result<Event<'a>, Rejection> {
    let fault = RefCell::new(None);
    let mut json = serde_json::Deserializer::from_str(text);
    let visitor = EventVisitor {
        kind,
        origin,
        fault: &fault,
    };
    let read = json
        .deserialize_map(visitor)
        .and_then(|event| json.end().map(|()| event));
    read.map_err(|error| match fault.into_inner() {
        Some(rejection) => rejection,
        None if !error.is_data() => Rejection::invalid_json(text, &error),
        None if text.trim_start().starts_with('{') => {
            let field = kind.signals_object().map_or("signals", String::as_str);
            Rejection::at(Code::WrongType, field, "is not an object of signals")
        }
        None => Rejection::not_an_object(text),
    })
}

struct EventVisitor<'k, 'f> {
    kind: &'k Kind,
    origin: Origin,
    fault: &'f Fault,
}

impl<'de, 'k: 'de> Visitor<'de> for EventVisitor<'k, '_> {
    type Value = Event<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Event<'de>, A::Error> {
        let (kind, origin, fault) = (self.kind, self.origin, self.fault);
        let refuse = |rejection| stop(fault, rejection);
        let mut draft = Draft::new(kind);
        while let Some(name) = map.next_key_seed(NameSeed)? {
            let field =
                Field::of(kind, origin, &name).ok_or_else(|| refuse(unknown(kind, &name)))?;
            match field {
                Field::Own(OwnField::Entity) => {
                    let text = text(&mut map, fault, &kind.entity.field, draft.entity.is_some())?;
                    check_entity(kind, &text).map_err(refuse)?;
                    draft.entity = Some(text);
                }
                Field::Own(OwnField::Time) => {
                    let before = draft.time.is_some();
                    draft.time = Some(written_time(&mut map, fault, kind, before)?);
                }
                Field::Own(OwnField::Signals) => {
                    if draft.signals.is_some() {
                        return Err(twice(fault, &name));
                    }
                    draft.signals = Some(map.next_value_seed(SignalsSeed { kind, fault })?);
                }
                Field::Own(OwnField::Other(at)) => {
                    let rule = &kind.fields[at];
                    if draft.has_field(at) {
                        return Err(twice(fault, &rule.name));
                    }
                    let path = (None, rule.name.as_str());
                    let value = if rule.scalar == ScalarType::Labels {
                        let json = map.next_value::<&RawValue>()?.get();
                        Scalar::Text(labels::read(&rule.name, json).map_err(refuse)?.into())
                    } else {
                        map.next_value_seed(ScalarSeed { path, fault })?
                    };
                    check(rule, &value, path).map_err(refuse)?;
                    draft.fields.push((at, value));
                }
                Field::EventId => {
                    let text = text(&mut map, fault, "event_id", draft.event_id.is_some())?;
                    if !id::is_valid(&text) {
                        let what = format!(
                            "is 1 to {} visible ASCII characters other than `\"` and `\\`: `{}`",
                            id::MAX_EVENT_ID_LENGTH,
                            excerpt(&text)
                        );
                        let wrong = Rejection::at(Code::InvalidFormat, "event_id", what);
                        return Err(refuse(wrong));
                    }
                    draft.event_id = Some(text);
                }
                Field::Kind => {
                    let before = std::mem::replace(&mut draft.names_kind, true);
                    let text = text(&mut map, fault, "kind", before)?;
                    if *text != kind.name {
                        let what = format!("is `{}`, not `{}`", excerpt(&text), kind.name);
                        return Err(refuse(Rejection::at(Code::KindMismatch, "kind", what)));
                    }
                }
                Field::ReceivedAt => {
                    let (name, before) = ("ingest_received_at", draft.received_at.is_some());
                    let text = text(&mut map, fault, name, before)?;
                    let time = time::rfc3339_by_chrono(&text).map_err(|error| {
                        let what = format!("is not RFC 3339: `{}`: {error}", excerpt(&text));
                        refuse(Rejection::at(Code::InvalidTimestamp, name, what))
                    })?;
                    draft.received_at = Some(time);
                }
                Field::Sender => {
                    let before = draft.sender.is_some();
                    draft.sender = Some(text(&mut map, fault, "sender", before)?);
                }
            }
        }
        draft.finish(origin).map_err(refuse)
    }
}

fn unknown(kind: &Kind, name: &str) -> Rejection {
    let shown = excerpt(name);
    let what = if matches!(name, "ingest_received_at" | "sender") {
        "is set by the server: leave it out".to_owned()
    } else {
        let own = kind.canonical.iter().map(|(_, own)| kind.name_of(*own));
        format!(
            "is not a field of kind `{}`: it has `{}`, and `event_id` and `kind` where wanted",
            kind.name,
            own.collect::<Vec<_>>().join("`, `")
        )
    };
    Rejection::at(Code::UnknownField, &shown, what)
}

fn twice<E: serde::de::Error>(fault: &Fault, name: &str) -> E {
    let rejection = Rejection::at(Code::DuplicateField, name, "is there twice");
    stop(fault, rejection)
}

/// The event time as sent, a text or a number as the kind has it; it must not have come before.
fn written_time<'de, A: MapAccess<'de>>(
    map: &mut A,
    fault: &Fault,
    kind: &Kind,
    before: bool,
) -> Result<Written<'de>, A::Error> {
    let (name, format) = (&kind.time.field, kind.time.format);
    if before {
        return Err(twice(fault, name));
    }
    let refused = |found: &str| {
        let what = format!(
            "is declared as {}, and this is `{}`",
            format.wanted(),
            excerpt(found)
        );
        stop(fault, Rejection::at(Code::WrongType, name, what))
    };
    if format.epoch_unit().is_none() {
        let path = (None, name.as_str());
        return match map.next_value_seed(ScalarSeed { path, fault })? {
            Scalar::Text(text) => Ok(Written::Text(text)),
            Scalar::Number(number) => Err(refused(&number.to_string())),
            Scalar::Bool(flag) => Err(refused(&flag.to_string())),
        };
    }
    // As it stands: a double would round it.
    let json = map.next_value::<&RawValue>()?.get();
    if json.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return Ok(Written::Number(json));
    }
    let text = serde_json::from_str::<String>(json).ok();
    if let Some(text) = text.filter(|_| format.takes_text()) {
        return Ok(Written::Text(text.into()));
    }
    Err(refused(json))
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
    let path = (None, name);
    match map.next_value_seed(ScalarSeed { path, fault })? {
        Scalar::Text(text) => Ok(text),
        other => Err(stop(fault, wrong_type(path, ScalarType::String, &other))),
    }
}
