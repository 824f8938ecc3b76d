//! Signals that follow from others: what a declaration says of them, checked, and how they are worked out.

use std::collections::BTreeMap;

use crate::declare::declaration::{check_field_name, field_rule};
use crate::declare::names::{RESERVED, is_in};
use crate::declare::rule::{FieldRule, RulesByName, ScalarType};
use crate::declare::tables::{DerivedTable, FieldTable};
use crate::event::{Event, Scalar};

/// The most derived signals of a kind: each is worked out for each event.
const MAX_DERIVED: usize = 32;

/// The longest text of which a sentiment is worked out, in bytes: the time that takes grows with the square of it.
const MAX_SENTIMENT_BYTES: usize = 4096;

/// A signal that no sender sends: it follows from another signal, or from a field, of the same event.
#[derive(Debug, Clone)]
pub struct DerivedSignal {
    /// Name, type, unit and description.
    pub rule: FieldRule,
    /// What it follows from.
    pub from: DerivedFrom,
    /// How it follows.
    pub by: Derivation,
}

/// What a derived signal follows from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DerivedFrom {
    /// The field of that place in [`Kind::fields`](crate::Kind::fields).
    Field(usize),
    /// The declared signal of that name.
    Signal(String),
}

/// How a derived signal follows from a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Derivation {
    /// Whether the number compares so with this one, a boolean.
    Compared(Comparison, f64),
    /// How friendly the text is, by VADER's rules: a number from -1 to 1.
    Sentiment,
}

/// How a number compares with a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

impl Comparison {
    /// The signs, longer ones first, so that `>=` is not read as `>`.
    pub const SIGNS: [(&str, Comparison); 6] = [
        (">=", Comparison::AtLeast),
        ("<=", Comparison::AtMost),
        ("==", Comparison::Equal),
        ("!=", Comparison::NotEqual),
        (">", Comparison::Above),
        ("<", Comparison::Below),
    ];

    /// Whether it holds; never for NaN, except `!=`.
    pub fn holds(self, number: f64, bound: f64) -> bool {
        match self {
            Comparison::Above => number > bound,
            Comparison::AtLeast => number >= bound,
            Comparison::Below => number < bound,
            Comparison::AtMost => number <= bound,
            Comparison::Equal => number == bound,
            Comparison::NotEqual => number != bound,
        }
    }

    /// The comparison with its sides exchanged.
    pub fn flipped(self) -> Comparison {
        match self {
            Comparison::Above => Comparison::Below,
            Comparison::AtLeast => Comparison::AtMost,
            Comparison::Below => Comparison::Above,
            Comparison::AtMost => Comparison::AtLeast,
            same => same,
        }
    }
}

impl DerivedSignal {
    /// The value of the event that the signal follows from; `None` if the event does not have it.
    pub fn value_in<'e, 'a>(&self, event: &'e Event<'a>) -> Option<&'e Scalar<'a>> {
        match &self.from {
            DerivedFrom::Field(wanted) => {
                let mut fields = event.fields.iter();
                fields.find_map(|(at, value)| (at == wanted).then_some(value))
            }
            DerivedFrom::Signal(wanted) => {
                let mut signals = event.signals.iter();
                signals.find_map(|(name, value)| (name == wanted).then_some(value))
            }
        }
    }
}

/// The derived signals of a kind, in byte order of their names.
pub(super) fn derived(
    tables: BTreeMap<String, DerivedTable>,
    fields: &[FieldRule],
    known: &RulesByName,
    is_long: bool,
) -> Result<Vec<DerivedSignal>, String> {
    if is_long && !tables.is_empty() {
        return Err(
            "`signals.derived` does not go with `name_field`: an event has one signal, and it has no column of its own"
                .to_owned(),
        );
    }
    if tables.len() > MAX_DERIVED {
        let count = tables.len();
        return Err(format!("{count} derived signals: at most {MAX_DERIVED}"));
    }
    let mut all: Vec<DerivedSignal> = Vec::with_capacity(tables.len());
    for (name, table) in tables {
        let wrong = |message: String| format!("derived signal `{name}`: {message}");
        check_field_name(&name, "derived signal")?;
        let names = fields.iter().chain(known.values());
        let names = names.chain(all.iter().map(|other| &other.rule));
        let is_taken = is_in(&name, names.map(|rule| rule.name.as_str()));
        if is_taken || is_in(&name, RESERVED) {
            return Err(wrong("its name is taken".to_owned()));
        }
        all.push(one(&name, table, fields, known).map_err(wrong)?);
    }
    Ok(all)
}

fn one(
    name: &str,
    table: DerivedTable,
    fields: &[FieldRule],
    known: &RulesByName,
) -> Result<DerivedSignal, String> {
    let place = |from: &str| {
        if let Some(rule) = known.get(from) {
            return Ok((DerivedFrom::Signal(from.to_owned()), rule));
        }
        let at = fields.iter().position(|rule| rule.name == from);
        let found = at.and_then(|at| Some((DerivedFrom::Field(at), fields.get(at)?)));
        found.ok_or_else(|| format!("`{from}` is no declared signal and no field"))
    };
    let (from, by, r#type) = match (&table.when, &table.from, &table.by) {
        (Some(when), None, None) => {
            let (from, comparison, bound) = condition(when)?;
            let (from, rule) = place(from)?;
            if !matches!(rule.scalar, ScalarType::Number | ScalarType::Integer) {
                let (name, r#type) = (&rule.name, rule.scalar);
                return Err(format!("`when` compares `{name}`, a {type}, with a number"));
            }
            let by = Derivation::Compared(comparison, bound);
            (from, by, ScalarType::Boolean)
        }
        (None, Some(from), Some(by)) if by == "vader" => {
            let (from, rule) = place(from)?;
            let (name, r#type) = (&rule.name, rule.scalar);
            if r#type != ScalarType::String {
                return Err(format!(
                    "`by = \"vader\"` reads a text, and `{name}` is a {type}"
                ));
            }
            if rule.max_length > MAX_SENTIMENT_BYTES {
                return Err(format!(
                    "`by = \"vader\"` reads texts of at most {MAX_SENTIMENT_BYTES} bytes: `max_length` of `{name}` is {}",
                    rule.max_length
                ));
            }
            (from, Derivation::Sentiment, ScalarType::Number)
        }
        (None, Some(_), Some(by)) => return Err(format!("`by` is `{by}`: there is `vader`")),
        _ => {
            return Err(
                "say either `when`, such as \"engine_rpm > 6000\", or `from` and `by`".to_owned(),
            );
        }
    };
    let mut field = FieldTable::of_type(r#type);
    field.description = table.description;
    field.unit = table.unit;
    field.quantiles = table.quantiles;
    let rule = field_rule(name, field)?;
    Ok(DerivedSignal { rule, from, by })
}

/// Name, comparison and number of a condition such as `engine_rpm > 6000`.
fn condition(text: &str) -> Result<(&str, Comparison, f64), String> {
    let wrong = || {
        format!(
            "`{text}` is no condition: a name, one of > >= < <= == !=, and a number, such as `engine_rpm > 6000`"
        )
    };
    let at = text.find(['>', '<', '=', '!']).ok_or_else(wrong)?;
    let (name, rest) = text.split_at(at);
    let signs = Comparison::SIGNS.into_iter();
    let mut found =
        signs.filter_map(|(sign, comparison)| Some((comparison, rest.strip_prefix(sign)?)));
    let (comparison, bound) = found.next().ok_or_else(wrong)?;
    let (name, bound) = (name.trim(), bound.trim());
    let is_decimal = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    let number = bound.bytes().all(is_decimal).then(|| bound.parse::<f64>());
    match number {
        Some(Ok(number)) if number.is_finite() && !name.is_empty() => {
            Ok((name, comparison, number))
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use crate::declare::declaration::read;

    const GAUGE: &str = r#"
        kind = "gauge"
        version = 1
        entity = { field = "id" }
        time = { field = "at" }
        fields.note = { type = "string" }
        fields.book = { type = "string", max_length = 5000 }
        fields.step = { type = "integer" }
        [signals]
        field = "values"
        known.level = { type = "number" }
        known.open = { type = "boolean" }
    "#;

    fn kind(derived: &str) -> Result<Kind, String> {
        let text = format!("{GAUGE}\n[signals.derived]\n{derived}");
        read("gauge.toml", &text).map_err(|error| error.to_string())
    }

    #[test]
    fn conditions_are_a_name_a_comparison_and_a_number() {
        for (text, expected) in [
            ("a > 1", ("a", Comparison::Above, 1.0)),
            ("a>=-1.5e3", ("a", Comparison::AtLeast, -1500.0)),
            (" a_b <  .5 ", ("a_b", Comparison::Below, 0.5)),
            ("a <= 0", ("a", Comparison::AtMost, 0.0)),
            ("a == 3", ("a", Comparison::Equal, 3.0)),
            ("a != 3", ("a", Comparison::NotEqual, 3.0)),
        ] {
            assert_eq!(condition(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "a",
            "a >",
            "> 1",
            "a = 1",
            "a > b",
            "a > 1 > 2",
            "a => 1",
            "a > inf",
            "a > nan",
            "a > 1e999",
            "a ! 1",
            "a > 0x10",
            "a > 1 and b > 2",
        ] {
            let error = condition(text).unwrap_err();
            assert!(error.contains("is no condition"), "{text}: {error}");
        }
    }

    #[test]
    fn comparisons_hold_where_they_should() {
        let of =
            |number: f64| Comparison::SIGNS.map(|(_, comparison)| comparison.holds(number, 2.0));
        assert_eq!(of(1.0), [false, true, false, true, false, true]);
        assert_eq!(of(2.0), [true, true, true, false, false, false]);
        assert_eq!(of(3.0), [true, false, false, true, true, false]);
    }

    #[test]
    fn the_short_form_and_the_long_one_say_the_same() {
        let short = kind("high = \"level > 6\"\nlate = \"step >= 3\"").unwrap();
        let long =
            kind("high = { when = \"level > 6\" }\n[signals.derived.late]\nwhen = \"step >= 3\"")
                .unwrap();
        for kind in [short, long] {
            let found = kind
                .derived
                .iter()
                .map(|one| (one.rule.name.as_str(), &one.from, one.by));
            let late = Derivation::Compared(Comparison::AtLeast, 3.0);
            assert_eq!(
                found.collect::<Vec<_>>(),
                [
                    (
                        "high",
                        &DerivedFrom::Signal("level".into()),
                        Derivation::Compared(Comparison::Above, 6.0)
                    ),
                    ("late", &DerivedFrom::Field(2), late),
                ]
            );
            assert_eq!(kind.signal("high").unwrap().scalar, ScalarType::Boolean);
            assert!(!kind.known.contains_key("high"));
        }
        let mood =
            kind("mood = { from = \"note\", by = \"vader\", description = \"How they feel.\" }")
                .unwrap();
        let rule = mood.signal("mood").unwrap();
        assert_eq!(
            (rule.scalar, rule.description.as_str()),
            (ScalarType::Number, "How they feel.")
        );
    }

    #[test]
    fn what_cannot_be_derived_is_refused_with_the_reason() {
        for (derived, reason) in [
            (
                "high = \"levl > 6\"",
                "`levl` is no declared signal and no field",
            ),
            ("high = \"level >> 6\"", "is no condition"),
            ("high = \"open > 0\"", "compares `open`, a boolean"),
            ("high = \"note > 0\"", "compares `note`, a string"),
            (
                "level = \"level > 6\"",
                "derived signal `level`: its name is taken",
            ),
            ("Note = \"level > 6\"", "its name is taken"),
            ("event_id = \"level > 6\"", "its name is taken"),
            (
                "high = \"level > 6\"\nHIGH = \"level > 7\"",
                "its name is taken",
            ),
            ("\"a b\" = \"level > 6\"", "is not a name"),
            ("high = { from = \"level\" }", "say either `when`"),
            (
                "high = { when = \"level > 6\", from = \"note\", by = \"vader\" }",
                "say either `when`",
            ),
            (
                "high = { from = \"note\", by = \"luck\" }",
                "`by` is `luck`",
            ),
            (
                "high = { from = \"level\", by = \"vader\" }",
                "`level` is a number",
            ),
            (
                "high = { from = \"book\", by = \"vader\" }",
                "at most 4096 bytes",
            ),
            ("high = { wen = \"level > 6\" }", "unknown field `wen`"),
            ("high = 3", "a condition, or a table"),
        ] {
            let error = kind(derived).unwrap_err();
            assert!(
                error.contains("gauge.toml") && error.contains(reason),
                "{derived}: {error}"
            );
        }
    }
}
