//! Values held against the rules of their fields.

use regex::Regex;

use crate::declare::kind::{Kind, SignalsAt};
use crate::declare::names::{is_field_name, is_long_name};
use crate::declare::rule::{FieldRule, MAX_TEXT_BYTES, ScalarType};
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

#[inline]
pub(super) fn check_entity(kind: &Kind, text: &str) -> Result<(), Rejection> {
    let rule = &kind.entity;
    let what = if text.is_empty() || text.len() > rule.max_length {
        wrong_length(text, rule.max_length)
    } else if !rule.pattern.is_match(text) {
        wrong_form(text, &rule.pattern)
    } else {
        return Ok(());
    };
    Err(Rejection::at(Code::InvalidFormat, &rule.field, what))
}

fn wrong_length(text: &str, max: usize) -> String {
    format!("has {} bytes: 1 to {max} are taken", text.len())
}

fn wrong_form(text: &str, pattern: &Regex) -> String {
    format!("does not match {pattern}: `{}`", excerpt(text))
}

pub(super) fn wrong_type(path: Path<'_>, wanted: ScalarType, found: &Scalar<'_>) -> Rejection {
    let found = match found {
        Scalar::Bool(_) => "a boolean".to_owned(),
        Scalar::Number(number) if wanted == ScalarType::Integer => format!("{number}, not whole"),
        Scalar::Number(_) => "a number".to_owned(),
        Scalar::Text(_) => "a string".to_owned(),
    };
    let what = format!("is declared as {wanted}, and this is {found}");
    Rejection::at(Code::WrongType, &dotted(path), what)
}

/// Whether the number has no fraction. The comparison settles all that fit 64 bits without a library call.
fn is_whole(number: f64) -> bool {
    (number as i64) as f64 == number || number.fract() == 0.0
}

#[inline(always)]
pub(super) fn check(rule: &FieldRule, value: &Scalar<'_>, path: Path<'_>) -> Result<(), Rejection> {
    let (code, what) = match (rule.scalar, value) {
        (ScalarType::Boolean, Scalar::Bool(_)) => return Ok(()),
        (ScalarType::Integer, Scalar::Number(number)) if !is_whole(*number) => {
            return Err(wrong_type(path, rule.scalar, value));
        }
        (ScalarType::Number | ScalarType::Integer, Scalar::Number(number)) => {
            if rule.scalar == ScalarType::Integer && number.abs() > MAX_EXACT as f64 {
                let what = format!("is {number}: whole numbers past 2^53 are not exact");
                (Code::OutOfRange, what)
            } else if let Some(min) = rule.min.filter(|min| number < min) {
                (Code::OutOfRange, format!("is {number}, below {min}"))
            } else if let Some(max) = rule.max.filter(|max| number > max) {
                (Code::OutOfRange, format!("is {number}, above {max}"))
            } else if !rule.numbers.is_empty() && !rule.numbers.contains(number) {
                let what = format!("is {number}, not one of {:?}", rule.numbers);
                (Code::NotAllowed, what)
            } else {
                return Ok(());
            }
        }
        (ScalarType::Labels, Scalar::Text(text)) if text.len() <= rule.max_length => return Ok(()),
        (ScalarType::Labels, Scalar::Text(text)) => {
            let (bytes, max) = (text.len(), rule.max_length);
            let what = format!("has {bytes} bytes as JSON: at most {max} are taken");
            (Code::InvalidFormat, what)
        }
        (ScalarType::String, Scalar::Text(text)) => {
            if text.is_empty() || text.len() > rule.max_length {
                (Code::InvalidFormat, wrong_length(text, rule.max_length))
            } else if !rule.texts.is_empty() && !rule.texts.iter().any(|allowed| allowed == text) {
                let allowed = rule.texts.join("`, `");
                let what = format!("is `{}`, not one of `{allowed}`", excerpt(text));
                (Code::NotAllowed, what)
            } else if let Some(pattern) = rule.pattern.as_ref().filter(|p| !p.is_match(text)) {
                (Code::InvalidFormat, wrong_form(text, pattern))
            } else {
                return Ok(());
            }
        }
        _ => return Err(wrong_type(path, rule.scalar, value)),
    };
    Err(Rejection::at(code, &dotted(path), what))
}

/// Whether a signal of that name, which is not declared, is taken.
#[inline]
pub(super) fn check_undeclared(kind: &Kind, name: &str) -> Result<(), Rejection> {
    let (code, what) = if !kind.open {
        let what = format!("is not a declared signal of kind `{}`", kind.name);
        (Code::UnknownField, what)
    } else if kind.is_long() && !is_long_name(name) {
        let what = "is not a signal name: 1 to 255 letters, digits and _, no digit first";
        (Code::InvalidFormat, what.into())
    } else if !kind.is_long() && !is_field_name(name) {
        let what = "is not a signal name: 1 to 64 letters, digits and _, no digit first";
        (Code::InvalidFormat, what.into())
    } else if kind.is_reserved_signal(name) {
        let what = "is a reserved name: rename the signal";
        (Code::InvalidFormat, what.into())
    } else if kind.derived_signal(name).is_some() {
        let what = "is derived from other signals here: leave it out, or rename it";
        (Code::InvalidFormat, what.into())
    } else if let Some(known) = kind.known_in_other_case(name) {
        let what = format!("differs from `{known}`, which is declared, in case alone: spell it so");
        (Code::InvalidFormat, what)
    } else {
        return Ok(());
    };
    Err(match &kind.signals_at {
        SignalsAt::Object(field) => Rejection::at(code, &dotted((Some(field), name)), what),
        SignalsAt::Fields { name: at, .. } => {
            let what = format!("is `{}`, which {what}", excerpt(name));
            Rejection::at(code, &kind.fields[*at].name, what)
        }
    })
}

/// Whether the value of a signal that is not declared is taken.
#[inline]
pub(super) fn check_undeclared_value(value: &Scalar<'_>, path: Path<'_>) -> Result<(), Rejection> {
    match value {
        Scalar::Text(text) if text.len() > MAX_TEXT_BYTES => {
            let bytes = text.len();
            let what = format!("has {bytes} bytes of text: at most {MAX_TEXT_BYTES} are taken");
            Err(Rejection::at(Code::InvalidFormat, &dotted(path), what))
        }
        _ => Ok(()),
    }
}
