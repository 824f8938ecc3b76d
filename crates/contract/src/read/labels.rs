//! A field of labels: an object of texts comes in, its canonical text goes out.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::declare::names::is_field_name;
use crate::declare::rule::{MAX_LABEL_BYTES, MAX_LABELS};
use crate::read::check::dotted;
use crate::rejection::{Code, Rejection, excerpt};
use crate::scan::plain_end;

/// Name and value of a label.
pub(super) type Label<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The labels as they are stored: a JSON object without white space, names in byte order.
///
/// # Errors
///
/// If there are too many, two have one name, or a name or value is none.
pub(super) fn canonical(field: &str, mut labels: Vec<Label<'_>>) -> Result<String, Rejection> {
    if labels.len() > MAX_LABELS {
        let what = format!(
            "holds {} labels: at most {MAX_LABELS} are taken",
            labels.len()
        );
        return Err(Rejection::at(Code::InvalidFormat, field, what));
    }
    labels.sort_unstable();
    let mut text = String::from("{");
    let mut before: Option<&str> = None;
    for (name, value) in &labels {
        let path = || dotted((Some(field), name));
        if !is_field_name(name) {
            let what = "is not a label name: 1 to 64 letters, digits and _, no digit first";
            return Err(Rejection::at(Code::InvalidFormat, &path(), what));
        }
        if before.replace(name) == Some(name) {
            return Err(Rejection::at(
                Code::DuplicateField,
                &path(),
                "is there twice",
            ));
        }
        if !(1..=MAX_LABEL_BYTES).contains(&value.len()) {
            let what = format!(
                "has {} bytes: 1 to {MAX_LABEL_BYTES} are taken",
                value.len()
            );
            return Err(Rejection::at(Code::InvalidFormat, &path(), what));
        }
        if text.len() > 1 {
            text.push(',');
        }
        // A name needs no escapes.
        text.push('"');
        text.push_str(name);
        text.push_str("\":");
        if plain_end(value.as_bytes(), 0) == value.len() {
            text.push('"');
            text.push_str(value);
            text.push('"');
        } else {
            text.push_str(&serde_json::Value::from(&**value).to_string());
        }
    }
    text.push('}');
    Ok(text)
}

/// The labels in `json`, a value of any type.
///
/// # Errors
///
/// As for [`canonical`]; if it is no object, or a value in it is no text.
pub(super) fn read(field: &str, json: &str) -> Result<String, Rejection> {
    let Ok(Pairs(pairs)) = serde_json::from_str(json) else {
        let found = Rejection::found(json);
        let what = format!("is declared as labels, an object of texts, and this is {found}");
        return Err(Rejection::at(Code::WrongType, field, what));
    };
    let mut labels = Vec::with_capacity(pairs.len());
    for (name, value) in pairs {
        let Ok(text) = serde_json::from_str::<String>(value.get()) else {
            let found = Rejection::found(value.get());
            let what = format!(
                "is a label, a text, and this is {found}: `{}`",
                excerpt(value.get())
            );
            let path = dotted((Some(field), &name));
            return Err(Rejection::at(Code::WrongType, &path, what));
        };
        labels.push((Cow::Owned(name), Cow::Owned(text)));
    }
    canonical(field, labels)
}

/// The members of an object, also those of one name.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct PairsVisitor;
        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        json.deserialize_map(PairsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn labels_are_stored_in_one_spelling() {
        let text = read("tags", r#"{ "zone" : "b\u0061", "host":"a\"é" }"#).unwrap();
        assert_eq!(text, r#"{"host":"a\"é","zone":"ba"}"#);
        assert_eq!(read("tags", "{}").unwrap(), "{}");
    }

    #[test]
    fn what_is_no_map_of_texts_is_refused_by_name() {
        let many: Vec<String> = (0..65).map(|at| format!(r#""l{at}":"x""#)).collect();
        let many = format!("{{{}}}", many.join(","));
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(2049));
        for (json, code, said) in [
            (
                "7",
                Code::WrongType,
                "`tags` is declared as labels, an object of texts, and this is a number",
            ),
            ("[\"a\"]", Code::WrongType, "this is an array"),
            ("null", Code::WrongType, "this is null"),
            (
                r#"{"core":3}"#,
                Code::WrongType,
                "`tags.core` is a label, a text, and this is a number: `3`",
            ),
            (r#"{"a":{"b":"c"}}"#, Code::WrongType, "this is an object"),
            (
                r#"{"a":"b","a":"c"}"#,
                Code::DuplicateField,
                "`tags.a` is there twice",
            ),
            (
                r#"{"a b":"c"}"#,
                Code::InvalidFormat,
                "`tags.a b` is not a label name",
            ),
            (r#"{"a":""}"#, Code::InvalidFormat, "`tags.a` has 0 bytes"),
            (&long, Code::InvalidFormat, "`tags.a` has 2049 bytes"),
            (
                &many,
                Code::InvalidFormat,
                "`tags` holds 65 labels: at most 64 are taken",
            ),
        ] {
            let refused = read("tags", json).unwrap_err();
            assert_eq!(refused.code, code, "{json}");
            assert!(refused.message.contains(said), "{}", refused.message);
        }
    }

    proptest! {
        #[test]
        fn the_stored_text_holds_the_labels_that_were_sent(
            labels in prop::collection::btree_map("[a-zA-Z_][a-zA-Z0-9_]{0,8}", "\\PC{1,20}", 0..8),
        ) {
            let sent = serde_json::to_string(&labels).unwrap();
            let stored = read("tags", &sent).unwrap();
            prop_assert_eq!(&stored, &sent);
            let reversed: Vec<_> = labels.iter().rev().map(|(name, value)| (name.into(), value.into())).collect();
            prop_assert_eq!(canonical("tags", reversed).unwrap(), stored);
        }
    }
}
