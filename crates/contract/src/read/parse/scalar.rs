//! One value: read, and held against its rule.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

use super::{Fault, stop};
use crate::declare::kind::{FieldRule, Kind, ScalarType};
use crate::event::Scalar;
use crate::rejection::{Code, Rejection, excerpt};

/// Largest whole number up to which every one has a double of its own (RFC 7493, section 2.2).
pub(super) const MAX_EXACT: u64 = 1 << 53;

/// A field's place: the object it stands in, if not the event itself, and its name.
pub(super) type Path<'p> = (Option<&'p str>, &'p str);

pub(super) fn dotted((within, name): Path<'_>) -> String {
    match within {
        Some(within) => format!("{within}.{}", excerpt(name)),
        None => name.to_owned(),
    }
}

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
        let path = dotted(self.path);
        let message = format!("`{path}` is {what}");
        stop(self.fault, Rejection::at(code, &path, message))
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
        match value.unsigned_abs() <= MAX_EXACT {
            true => Ok(Scalar::Number(value as f64)),
            false => Err(self.refuse(
                Code::OutOfRange,
                &format!("{value}: a double cannot hold whole numbers past 2^53 exactly"),
            )),
        }
    }
    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Scalar<'de>, E> {
        match value <= MAX_EXACT {
            true => Ok(Scalar::Number(value as f64)),
            false => Err(self.refuse(
                Code::OutOfRange,
                &format!("{value}: a double cannot hold whole numbers past 2^53 exactly"),
            )),
        }
    }
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Scalar<'de>, E> {
        match value.is_finite() {
            true => Ok(Scalar::Number(value)),
            false => Err(self.refuse(Code::OutOfRange, "not finite")),
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

#[inline]
pub(super) fn check_entity(kind: &Kind, text: &str) -> Result<(), Rejection> {
    let rule = &kind.entity;
    if text.is_empty() || text.len() > rule.max_length {
        let message = format!(
            "`{}` has {} bytes: 1 to {} are taken",
            rule.field,
            text.len(),
            rule.max_length
        );
        return Err(Rejection::at(Code::InvalidFormat, &rule.field, message));
    }
    if !rule.matcher.is_match(text) {
        let message = format!(
            "`{}` does not match {}: `{}`",
            rule.field,
            rule.pattern,
            excerpt(text)
        );
        return Err(Rejection::at(Code::InvalidFormat, &rule.field, message));
    }
    Ok(())
}

pub(super) fn wrong_type(path: Path<'_>, wanted: ScalarType, found: &Scalar<'_>) -> Rejection {
    let path = dotted(path);
    let found = match found {
        Scalar::Bool(_) => "a boolean".to_owned(),
        Scalar::Number(number) if wanted == ScalarType::Integer => format!("{number}, not whole"),
        Scalar::Number(_) => "a number".to_owned(),
        Scalar::Text(_) => "a string".to_owned(),
    };
    let message = format!("`{path}` is declared as {wanted}, and this is {found}");
    Rejection::at(Code::WrongType, &path, message)
}

/// Whether it has no fraction. The comparison settles all that fit 64 bits without a library call.
fn is_whole(number: f64) -> bool {
    (number as i64) as f64 == number || number.fract() == 0.0
}

#[inline(always)]
pub(super) fn check(rule: &FieldRule, value: &Scalar<'_>, path: Path<'_>) -> Result<(), Rejection> {
    let refuse = |code, what: String| {
        let path = dotted(path);
        let message = format!("`{path}` {what}");
        Err(Rejection::at(code, &path, message))
    };
    match (rule.scalar, value) {
        (ScalarType::Boolean, Scalar::Bool(_)) => Ok(()),
        (ScalarType::Number | ScalarType::Integer, Scalar::Number(number)) => {
            if rule.scalar == ScalarType::Integer {
                if !is_whole(*number) {
                    return Err(wrong_type(path, rule.scalar, value));
                }
                if number.abs() > MAX_EXACT as f64 {
                    return refuse(
                        Code::OutOfRange,
                        format!("is {number}: whole numbers past 2^53 are not exact"),
                    );
                }
            }
            if let Some(min) = rule.min.filter(|min| number < min) {
                return refuse(Code::OutOfRange, format!("is {number}, below {min}"));
            }
            if let Some(max) = rule.max.filter(|max| number > max) {
                return refuse(Code::OutOfRange, format!("is {number}, above {max}"));
            }
            if !rule.numbers.is_empty() && !rule.numbers.contains(number) {
                return refuse(
                    Code::NotAllowed,
                    format!("is {number}, not one of {:?}", rule.numbers),
                );
            }
            Ok(())
        }
        (ScalarType::String, Scalar::Text(text)) => {
            if text.is_empty() || text.len() > rule.max_length {
                return refuse(
                    Code::InvalidFormat,
                    format!(
                        "has {} bytes: 1 to {} are taken",
                        text.len(),
                        rule.max_length
                    ),
                );
            }
            if !rule.texts.is_empty() && !rule.texts.iter().any(|allowed| allowed == text) {
                return refuse(
                    Code::NotAllowed,
                    format!(
                        "is `{}`, not one of `{}`",
                        excerpt(text),
                        rule.texts.join("`, `")
                    ),
                );
            }
            if let (Some(pattern), Some(matcher)) = (&rule.pattern, &rule.matcher)
                && !matcher.is_match(text)
            {
                return refuse(
                    Code::InvalidFormat,
                    format!("does not match {pattern}: `{}`", excerpt(text)),
                );
            }
            Ok(())
        }
        _ => Err(wrong_type(path, rule.scalar, value)),
    }
}
