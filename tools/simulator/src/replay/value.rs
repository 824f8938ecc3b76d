//! Turns a cell's text into a signal's value.

use contract::ScalarType;
use serde::Deserialize;
use serde_json::Value;

/// Longest text that a signal may be, in bytes; the contract's own limit.
const MAX_TEXT_BYTES: usize = 256;

/// Largest whole number up to which every one has a double of its own.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Values that a sensor or logger writes when it has none.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DropIf {
    /// Exactly these, as they stand in the file.
    #[serde(default)]
    equals: Vec<Sentinel>,
    /// Numbers below this, as they stand in the file.
    below: Option<f64>,
    /// Numbers above this, as they stand in the file.
    above: Option<f64>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Sentinel {
    Number(f64),
    Text(String),
}

/// How the texts of one column are read.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    pub(crate) scalar: ScalarType,
    pub(crate) scale: Option<f64>,
    pub(crate) offset: Option<f64>,
    pub(crate) decimal: char,
    pub(crate) missing: Vec<String>,
    pub(crate) drop_if: DropIf,
}

/// Why a cell gives no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NoValue {
    /// It says that there is none.
    Missing,
    /// It says so in the way of `drop_if`.
    Sentinel,
    /// It is not of the signal's type, or not finite.
    Unreadable,
    /// It is longer than a contract takes.
    TooLong,
}

impl Reader {
    /// The value of a trimmed text.
    pub(crate) fn read(&self, text: &str) -> Result<Value, NoValue> {
        if text.is_empty() || self.missing.iter().any(|missing| missing == text) {
            return Err(NoValue::Missing);
        }
        let is_text =
            |sentinel: &Sentinel| matches!(sentinel, Sentinel::Text(sentinel) if sentinel == text);
        if self.drop_if.equals.iter().any(is_text) {
            return Err(NoValue::Sentinel);
        }
        match self.scalar {
            ScalarType::String if text.len() > MAX_TEXT_BYTES => Err(NoValue::TooLong),
            ScalarType::String => Ok(Value::from(text)),
            ScalarType::Boolean => match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "1.0" | "yes" | "on" => Ok(Value::from(true)),
                "false" | "0" | "0.0" | "no" | "off" => Ok(Value::from(false)),
                _ => Err(NoValue::Unreadable),
            },
            ScalarType::Number | ScalarType::Integer => self.number(text),
        }
    }

    fn number(&self, text: &str) -> Result<Value, NoValue> {
        let point = text.replace(self.decimal, ".");
        let raw: f64 = point.parse().map_err(|_| NoValue::Unreadable)?;
        if !raw.is_finite() {
            return Err(NoValue::Unreadable);
        }
        let rule = &self.drop_if;
        let is_number =
            |sentinel: &Sentinel| matches!(sentinel, Sentinel::Number(number) if *number == raw);
        if rule.below.is_some_and(|least| raw < least)
            || rule.above.is_some_and(|most| raw > most)
            || rule.equals.iter().any(is_number)
        {
            return Err(NoValue::Sentinel);
        }
        let value = match (self.scale, self.offset) {
            (None, None) => raw,
            (scale, offset) => short(raw * scale.unwrap_or(1.0) + offset.unwrap_or(0.0)),
        };
        let whole = value.fract() == 0.0 && value.abs() <= MAX_EXACT;
        match self.scalar {
            ScalarType::Integer if !whole => Err(NoValue::Unreadable),
            // `31` rather than `31.0`: shorter, and the same number.
            _ if whole => Ok(Value::from(value as i64)),
            _ => serde_json::Number::from_f64(value)
                .map(Value::Number)
                .ok_or(NoValue::Unreadable),
        }
    }
}

/// The number to twelve digits: what scaling adds past that is noise (`3 * 0.1`).
fn short(number: f64) -> f64 {
    format!("{number:.11e}").parse().unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(scalar: ScalarType) -> Reader {
        Reader {
            scalar,
            scale: None,
            offset: None,
            decimal: '.',
            missing: vec!["-".into(), "n/a".into()],
            drop_if: DropIf::default(),
        }
    }

    fn shown(reader: &Reader, text: &str) -> String {
        reader
            .read(text)
            .map_or_else(|why| format!("{why:?}"), |value| value.to_string())
    }

    #[test]
    fn numbers_are_read_as_written_and_must_be_finite() {
        let number = reader(ScalarType::Number);
        for (text, value) in [
            ("31", "31"),
            ("96.0", "96"),
            ("-0.91", "-0.91"),
            ("1e3", "1000"),
            ("14.1", "14.1"),
        ] {
            assert_eq!(shown(&number, text), value);
        }
        for text in ["NaN", "inf", "1e999", "12 km", "1,5", "0x10"] {
            assert_eq!(shown(&number, text), "Unreadable", "{text}");
        }
        assert_eq!(shown(&number, "-"), "Missing");
        assert_eq!(shown(&number, ""), "Missing");
        assert_eq!(
            shown(
                &Reader {
                    decimal: ',',
                    ..number
                },
                "1,5"
            ),
            "1.5"
        );
    }

    #[test]
    fn scaling_adds_no_noise() {
        let scaled = Reader {
            scale: Some(0.1),
            offset: Some(-40.0),
            ..reader(ScalarType::Number)
        };
        assert_eq!(shown(&scaled, "403"), "0.3");
        assert_eq!(
            shown(
                &Reader {
                    offset: None,
                    ..scaled
                },
                "3"
            ),
            "0.3"
        );
    }

    #[test]
    fn sentinels_are_compared_with_the_file_before_scaling() {
        let drop_if: DropIf =
            toml::from_str("equals = [-200, 2147483647, 'ERR']\nbelow = -300\nabove = 1e9")
                .unwrap();
        let number = Reader {
            drop_if,
            scale: Some(10.0),
            ..reader(ScalarType::Number)
        };
        for text in ["-200", "-200.0", "2147483647", "ERR", "-300.1"] {
            assert_eq!(shown(&number, text), "Sentinel", "{text}");
        }
        assert_eq!(shown(&number, "-99"), "-990");
    }

    #[test]
    fn integers_booleans_and_texts_keep_to_their_type() {
        let integer = reader(ScalarType::Integer);
        assert_eq!(
            (shown(&integer, "12"), shown(&integer, "12.0")),
            ("12".into(), "12".into())
        );
        assert_eq!(
            (shown(&integer, "12.5"), shown(&integer, "1e300")),
            ("Unreadable".into(), "Unreadable".into())
        );
        let boolean = reader(ScalarType::Boolean);
        assert_eq!(
            (shown(&boolean, "ON"), shown(&boolean, "0")),
            ("true".into(), "false".into())
        );
        assert_eq!(shown(&boolean, "2"), "Unreadable");
        let text = reader(ScalarType::String);
        assert_eq!(shown(&text, "HSPA+"), "\"HSPA+\"");
        assert_eq!(shown(&text, &"x".repeat(257)), "TooLong");
    }
}
