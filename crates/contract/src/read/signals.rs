//! The signals of an event, read over serde.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, Visitor};

use crate::declare::kind::Kind;
use crate::declare::rule::OnUnfit;
use crate::read::check::{check, check_undeclared, check_undeclared_value, dotted};
use crate::read::draft::{Signals, Sorted};
use crate::read::fault::{Fault, stop};
use crate::read::scalar::{NameSeed, NullableSeed, ScalarSeed};
use crate::rejection::{Code, Rejection};

pub(super) struct SignalsSeed<'k, 'f> {
    pub(super) kind: &'k Kind,
    pub(super) fault: &'f Fault,
}

impl<'de, 'k: 'de> DeserializeSeed<'de> for SignalsSeed<'k, '_> {
    type Value = Sorted<'de>;
    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de, 'k: 'de> Visitor<'de> for SignalsSeed<'k, '_> {
    type Value = Sorted<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of signals")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let SignalsSeed { kind, fault } = self;
        // A kind without this field has no value here.
        let within = kind.signals_object().map_or("", String::as_str);
        let refuse = |rejection| stop(fault, rejection);
        let mut signals = Signals::with_capacity(4);
        let (mut omitted, mut omitted_names) = (Vec::new(), Vec::new());
        while let Some(sent) = map.next_key_seed(NameSeed)? {
            let (name, sent) = match &kind.naming {
                None => (sent, None),
                Some(naming) => (naming.signal(sent.clone()), Some(sent)),
            };
            let path = (Some(within), sent.as_deref().unwrap_or(&name));
            if signals.len() + omitted.len() == kind.max_signals {
                let what = format!("holds more than {} signals", kind.max_signals);
                return Err(refuse(Rejection::at(Code::TooManySignals, within, what)));
            }
            let mut names = signals.iter().map(|(name, _)| name).chain(&omitted_names);
            if let Some(other) =
                names.find(|other: &&Cow<'_, str>| other.eq_ignore_ascii_case(&name))
            {
                let what = if *other == name {
                    "is there twice"
                } else {
                    "differs from another signal in case alone"
                };
                let twice = Rejection::at(Code::DuplicateField, &dotted(path), what);
                return Err(refuse(twice));
            }
            let rule = kind.known.get(&*name);
            if rule.is_none() {
                check_undeclared(kind, &name).map_err(refuse)?;
            }
            let scalar = ScalarSeed { path, fault };
            let value = if kind.nulls == OnUnfit::Omit {
                map.next_value_seed(NullableSeed(scalar))?
            } else {
                Some(map.next_value_seed(scalar)?)
            };
            let Some(value) = value else {
                omitted.push(Rejection::at(Code::WrongType, &dotted(path), "is null"));
                omitted_names.push(name);
                continue;
            };
            let checked = match rule {
                Some(rule) => check(rule, &value, path),
                None => check_undeclared_value(&value, path),
            };
            match checked {
                Ok(()) => signals.push((name, value)),
                Err(unfit)
                    if unfit.code == Code::OutOfRange && kind.out_of_range == OnUnfit::Omit =>
                {
                    omitted.push(unfit);
                    omitted_names.push(name);
                }
                Err(unfit) => return Err(refuse(unfit)),
            }
        }
        if signals.is_empty() {
            let most = kind.max_signals;
            let what = match omitted.first() {
                None => format!("is empty: an event carries 1 to {most} signals"),
                Some(first) => format!("has no signal that can be taken: {first}"),
            };
            return Err(refuse(Rejection::at(Code::NoSignals, within, what)));
        }
        Ok((signals, omitted))
    }
}
