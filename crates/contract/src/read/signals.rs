//! The signals of an event, read over serde.

use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, Visitor};

use crate::declare::kind::Kind;
use crate::read::check::{check, check_undeclared, check_undeclared_value, dotted};
use crate::read::draft::Signals;
use crate::read::fault::{Fault, stop};
use crate::read::scalar::{NameSeed, ScalarSeed};
use crate::rejection::{Code, Rejection};

pub(super) struct SignalsSeed<'k> {
    pub(super) kind: &'k Kind,
    pub(super) fault: &'k Fault,
}

impl<'de> DeserializeSeed<'de> for SignalsSeed<'_> {
    type Value = Signals<'de>;
    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for SignalsSeed<'_> {
    type Value = Signals<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of signals")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let SignalsSeed { kind, fault } = self;
        let within = kind.signals_field.as_str();
        let refuse = |rejection| stop(fault, rejection);
        let mut signals = Signals::with_capacity(4);
        while let Some(name) = map.next_key_seed(NameSeed)? {
            let path = (Some(within), &*name);
            if signals.len() == kind.max_signals {
                let what = format!("holds more than {} signals", kind.max_signals);
                return Err(refuse(Rejection::at(Code::TooManySignals, within, what)));
            }
            let same = |other: &str| other.eq_ignore_ascii_case(&name);
            if let Some((other, _)) = signals.iter().find(|(other, _)| same(other)) {
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
            let value = map.next_value_seed(ScalarSeed { path, fault })?;
            match rule {
                Some(rule) => check(rule, &value, path),
                None => check_undeclared_value(&value, path),
            }
            .map_err(refuse)?;
            signals.push((name, value));
        }
        if signals.is_empty() {
            let most = kind.max_signals;
            let what = format!("is empty: an event carries 1 to {most} signals");
            return Err(refuse(Rejection::at(Code::NoSignals, within, what)));
        }
        Ok(signals)
    }
}
