//! The signals of an event.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, Visitor};

use super::scalar::{ScalarSeed, check, dotted};
use super::{Fault, stop};
use crate::declare::kind::Kind;
use crate::event::Scalar;
use crate::rejection::{Code, Rejection};

/// Longest text of a signal that is not declared, in bytes.
pub(super) const MAX_TEXT_BYTES: usize = 256;

pub(super) struct SignalsSeed<'k> {
    pub(super) kind: &'k Kind,
    pub(super) fault: &'k Fault,
}

impl<'de> DeserializeSeed<'de> for SignalsSeed<'_> {
    type Value = Vec<(Cow<'de, str>, Scalar<'de>)>;
    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for SignalsSeed<'_> {
    type Value = Vec<(Cow<'de, str>, Scalar<'de>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of signals")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let SignalsSeed { kind, fault } = self;
        let within = kind.signals_field.as_str();
        let refuse = |code, name: &str, what: &str| {
            let path = dotted((Some(within), name));
            let message = format!("`{path}` {what}");
            stop(fault, Rejection::at(code, &path, message))
        };
        let mut signals: Self::Value = Vec::with_capacity(4);
        while let Some(name) = map.next_key_seed(NameSeed)? {
            if signals.len() == kind.max_signals {
                let message = format!("`{within}` holds more than {} signals", kind.max_signals);
                return Err(stop(
                    fault,
                    Rejection::at(Code::TooManySignals, within, message),
                ));
            }
            // Names become columns, and most engines that read them ignore case.
            if let Some((other, _)) = signals
                .iter()
                .find(|(other, _)| other.eq_ignore_ascii_case(&name))
            {
                let what = if *other == name {
                    "is there twice"
                } else {
                    "differs from another signal in case alone"
                };
                return Err(refuse(Code::DuplicateField, &name, what));
            }
            let path = (Some(within), &*name);
            match kind.known_rule(&name) {
                Some(rule) => {
                    let value = map.next_value_seed(ScalarSeed { path, fault })?;
                    check(rule, &value, path).map_err(|rejection| stop(fault, rejection))?;
                    signals.push((name, value));
                }
                None => {
                    if !kind.open {
                        return Err(refuse(
                            Code::UnknownField,
                            &name,
                            &format!("is not a declared signal of kind `{}`", kind.name),
                        ));
                    }
                    if !is_signal_name(&name) {
                        return Err(refuse(
                            Code::InvalidFormat,
                            &name,
                            "is not a signal name: 1 to 64 letters, digits and _, no digit first",
                        ));
                    }
                    if kind.is_reserved_signal(&name) {
                        return Err(refuse(
                            Code::InvalidFormat,
                            &name,
                            "is a reserved name: rename the signal",
                        ));
                    }
                    if let Some(known) = kind.known_in_other_case(&name) {
                        return Err(refuse(
                            Code::InvalidFormat,
                            &name,
                            &format!(
                                "differs from `{known}`, which is declared, in case alone: spell it so"
                            ),
                        ));
                    }
                    let value = map.next_value_seed(ScalarSeed { path, fault })?;
                    if let Scalar::Text(text) = &value
                        && text.len() > MAX_TEXT_BYTES
                    {
                        return Err(refuse(
                            Code::InvalidFormat,
                            &name,
                            &format!(
                                "has {} bytes of text: at most {MAX_TEXT_BYTES} are taken",
                                text.len()
                            ),
                        ));
                    }
                    signals.push((name, value));
                }
            }
        }
        if signals.is_empty() {
            let message = format!(
                "`{within}` is empty: an event carries 1 to {} signals",
                kind.max_signals
            );
            return Err(stop(fault, Rejection::at(Code::NoSignals, within, message)));
        }
        Ok(signals)
    }
}

pub(super) fn is_signal_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.as_bytes()[0].is_ascii_digit()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Reads a key without copying it where its text has no escapes.
struct NameSeed;

impl<'de> DeserializeSeed<'de> for NameSeed {
    type Value = Cow<'de, str>;
    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Cow<'de, str>, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for NameSeed {
    type Value = Cow<'de, str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a signal name")
    }
    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
    fn visit_borrowed_str<E: serde::de::Error>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(name))
    }
}
