//! One key or one value, read over serde.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

use crate::event::Scalar;
use crate::read::check::{MAX_EXACT, Path, dotted};
use crate::read::fault::{Fault, stop};
use crate::rejection::{Code, Rejection};

pub(super) struct ScalarSeed<'p> {
    pub(super) path: Path<'p>,
    pub(super) fault: &'p Fault,
}

impl<'de> DeserializeSeed<'de> for ScalarSeed<'_> {
    type Value = Scalar<'de>;
    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Scalar<'de>, D::Error> {
        json.deserialize_any(self)
    }
}

impl ScalarSeed<'_> {
    fn refuse<E: serde::de::Error>(&self, code: Code, what: &str) -> E {
        let rejection = Rejection::at(code, &dotted(self.path), format!("is {what}"));
        stop(self.fault, rejection)
    }

    fn inexact<E: serde::de::Error>(&self, value: impl fmt::Display) -> E {
        let what = format!("{value}: a double cannot hold whole numbers past 2^53 exactly");
        self.refuse(Code::OutOfRange, &what)
    }

    fn nested<E: serde::de::Error>(&self, what: &str) -> E {
        match self.path.0 {
            Some(_) => self.refuse(
                Code::NestedSignal,
                &format!("{what}: a signal is a number, a boolean or a short text"),
            ),
            None => self.refuse(Code::WrongType, what),
        }
    }
}

impl<'de> Visitor<'de> for ScalarSeed<'_> {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a boolean or a string")
    }
    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Bool(value))
    }
    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Scalar<'de>, E> {
        if value.unsigned_abs() <= MAX_EXACT {
            Ok(Scalar::Number(value as f64))
        } else {
            Err(self.inexact(value))
        }
    }
    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Scalar<'de>, E> {
        if value <= MAX_EXACT {
            Ok(Scalar::Number(value as f64))
        } else {
            Err(self.inexact(value))
        }
    }
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Scalar<'de>, E> {
        if value.is_finite() {
            Ok(Scalar::Number(value))
        } else {
            Err(self.refuse(Code::OutOfRange, "not finite"))
        }
    }
    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Owned(value.to_owned())))
    }
    fn visit_borrowed_str<E: serde::de::Error>(self, value: &'de str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Borrowed(value)))
    }
    fn visit_unit<E: serde::de::Error>(self) -> Result<Scalar<'de>, E> {
        Err(self.refuse(Code::WrongType, "null: leave out what has no value"))
    }
    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Scalar<'de>, A::Error> {
        Err(self.nested("an object"))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Scalar<'de>, A::Error> {
        Err(self.nested("an array"))
    }
}

/// Reads a value that may be `null`.
pub(super) struct NullableSeed<'p>(pub(super) ScalarSeed<'p>);

impl<'de> DeserializeSeed<'de> for NullableSeed<'_> {
    type Value = Option<Scalar<'de>>;
    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for NullableSeed<'_> {
    type Value = Option<Scalar<'de>>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }
    fn visit_none<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_some<D: serde::Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        self.0.deserialize(json).map(Some)
    }
}

/// Reads a key, without a copy unless it has escapes.
pub(super) struct NameSeed;

impl<'de> DeserializeSeed<'de> for NameSeed {
    type Value = Cow<'de, str>;
    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Cow<'de, str>, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for NameSeed {
    type Value = Cow<'de, str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }
    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
    fn visit_borrowed_str<E: serde::de::Error>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(name))
    }
}
