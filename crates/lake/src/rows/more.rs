//! The text column `_more`: signals without a column of their own, as a JSON object.

use std::borrow::Cow;

use contract::Scalar;
use serde_json::{Map, Number, Value};

/// Name of the column.
pub const MORE: &str = "_more";

/// Signals of one row that have no column.
#[derive(Default)]
pub(crate) struct More(Map<String, Value>);

impl More {
    /// The signals in a text that [`to_text`](Self::to_text) gave.
    pub(crate) fn of_text(text: &str) -> More {
        More(serde_json::from_str(text).unwrap_or_default())
    }

    pub(crate) fn add(&mut self, name: &str, value: &Scalar<'_>) {
        let value = match value {
            Scalar::Bool(value) => Value::Bool(*value),
            Scalar::Number(value) => Number::from_f64(*value).map_or(Value::Null, Value::Number),
            Scalar::Text(text) => Value::String(text.as_ref().to_owned()),
        };
        self.0.insert(name.to_owned(), value);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A JSON object, by name.
    pub(crate) fn to_text(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }

    /// Names and values.
    pub(crate) fn into_values<'a>(self) -> impl Iterator<Item = (Cow<'a, str>, Scalar<'a>)> {
        self.0.into_iter().filter_map(|(name, value)| {
            let value = match value {
                Value::Bool(value) => Scalar::Bool(value),
                Value::Number(value) => Scalar::Number(value.as_f64()?),
                Value::String(text) => Scalar::Text(text.into()),
                _ => return None,
            };
            Some((name.into(), value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_were() {
        let values = [
            ("a", Scalar::Number(0.1 + 0.2)),
            ("b", Scalar::Number(-0.0)),
            ("c", Scalar::Number(9_007_199_254_740_992.0)),
            ("d", Scalar::Bool(true)),
            ("e", Scalar::Text("\"\u{202e}\n".into())),
        ];
        let mut more = More::default();
        for (name, value) in &values {
            more.add(name, value);
        }
        let read: Vec<_> = More::of_text(&more.to_text()).into_values().collect();
        for ((name, value), (other, read)) in values.iter().zip(&read) {
            assert_eq!(name, other);
            match (value, read) {
                (Scalar::Number(a), Scalar::Number(b)) => assert_eq!(a.to_bits(), b.to_bits()),
                _ => assert_eq!(value, read),
            }
        }
    }
}
