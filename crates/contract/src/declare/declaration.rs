//! Declarations in TOML, checked when they are read.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use chrono::{DateTime, Duration, Utc};
use regex::Regex;
use serde::Deserialize;

use crate::declare::kind::{EntityRule, FieldRule, Kind, RESERVED, ScalarType, TimeRule};
use crate::declare::kinds::KindError;
use crate::declare::names::Names;
use crate::declare::pattern::Matcher;

/// Entity ids unless the kind says otherwise: safe in paths, logs, CSV and SQL.
const ENTITY_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._:-]*$";
static NAME: LazyLock<Regex> = LazyLock::new(|| fixed("^[a-z][a-z0-9_]{0,31}$"));
static FIELD: LazyLock<Regex> = LazyLock::new(|| fixed("^[A-Za-z_][A-Za-z0-9_]{0,63}$"));

/// Reads one declaration; `file` names it in errors.
pub(crate) fn read(file: &str, text: &str) -> Result<Kind, KindError> {
    let declared: Declaration = toml::from_str(text).map_err(|error| KindError::Syntax {
        file: file.to_owned(),
        message: error.to_string().trim_end().to_owned(),
    })?;
    declared.into_kind().map_err(|message| KindError::Invalid {
        file: file.to_owned(),
        message,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Declaration {
    kind: String,
    version: u32,
    #[serde(default)]
    description: String,
    entity: EntityTable,
    time: TimeTable,
    signals: SignalsTable,
    #[serde(default)]
    fields: BTreeMap<String, FieldTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntityTable {
    field: String,
    #[serde(default)]
    description: String,
    pattern: Option<String>,
    max_length: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TimeTable {
    field: String,
    #[serde(default)]
    description: String,
    earliest: Option<String>,
    max_future_minutes: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignalsTable {
    field: String,
    #[serde(default)]
    description: String,
    max: Option<usize>,
    /// `false` refuses signals that are not declared.
    open: Option<bool>,
    #[serde(default)]
    known: BTreeMap<String, FieldTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldTable {
    r#type: ScalarType,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    description: String,
    unit: Option<String>,
    min: Option<f64>,
    max: Option<f64>,
    max_length: Option<usize>,
    pattern: Option<String>,
    #[serde(default)]
    one_of: Vec<toml::Value>,
}

impl Declaration {
    fn into_kind(self) -> Result<Kind, String> {
        check_name(
            &self.kind,
            &NAME,
            "kind",
            "1 to 32 of a-z, 0-9 and _, a letter first",
        )?;
        let mut canonical_order = vec![
            self.entity.field.clone(),
            self.time.field.clone(),
            self.signals.field.clone(),
        ];
        canonical_order.extend(self.fields.keys().cloned());
        canonical_order.sort();
        for (at, name) in canonical_order.iter().enumerate() {
            check_name(
                name,
                &FIELD,
                "field",
                "1 to 64 letters, digits and _, no digit first",
            )?;
            // Engines that read the columns ignore case.
            if is_in(name, canonical_order[..at].iter().map(String::as_str)) {
                return Err(format!("field `{name}` is declared twice"));
            }
            if is_in(name, ["event_id", "kind", "ingest_received_at"]) {
                return Err(format!("field `{name}` is the server's own: leave it out"));
            }
        }
        let max_signals = self.signals.max.unwrap_or(crate::MAX_SIGNALS);
        if !(1..=crate::MAX_SIGNALS).contains(&max_signals) {
            return Err(format!(
                "signals.max is {max_signals}: 1 to {}",
                crate::MAX_SIGNALS
            ));
        }
        let earliest = self
            .time
            .earliest
            .as_deref()
            .unwrap_or("2000-01-01T00:00:00Z");
        let fields = rules(self.fields, "field")?;
        // A column of `curated/` is named after it; the built-in columns and partitions are taken.
        for rule in &fields {
            if is_in(&rule.name, RESERVED.iter().copied()) {
                return Err(format!(
                    "field `{}` would hide a column of the same name",
                    rule.name
                ));
            }
        }
        let known = rules(self.signals.known, "signal")?;
        if let Some(rule) = known.iter().find(|rule| rule.required) {
            return Err(format!(
                "signal `{}` is `required`: only fields can be",
                rule.name
            ));
        }
        for (at, rule) in known.iter().enumerate() {
            if is_in(
                &rule.name,
                known[..at].iter().map(|rule| rule.name.as_str()),
            ) {
                return Err(format!(
                    "signal `{}` is declared twice: its names differ in case alone",
                    rule.name
                ));
            }
        }
        let open = self.signals.open.unwrap_or(true);
        if !open && known.is_empty() {
            return Err(
                "signals.open is false and no signal is declared: no event could be valid".into(),
            );
        }
        let entity_pattern = pattern(self.entity.pattern.as_deref().unwrap_or(ENTITY_PATTERN))?;
        let mut kind = Kind {
            name: self.kind,
            version: self.version,
            description: self.description,
            entity: EntityRule {
                field: self.entity.field,
                description: self.entity.description,
                max_length: self.entity.max_length.unwrap_or(64),
                matcher: Matcher::new(&entity_pattern),
                pattern: entity_pattern,
            },
            time: TimeRule {
                field: self.time.field,
                description: self.time.description,
                earliest: DateTime::parse_from_rfc3339(earliest)
                    .map_err(|error| format!("time.earliest `{earliest}`: {error}"))?
                    .with_timezone(&Utc),
                max_future: Duration::minutes(i64::from(
                    self.time.max_future_minutes.unwrap_or(60),
                )),
            },
            signals_field: self.signals.field,
            signals_description: self.signals.description,
            max_signals,
            open,
            known_names: Names::new(known.iter().map(|rule| rule.name.as_str())),
            known_rules: known.clone(),
            known: known
                .into_iter()
                .map(|rule| (rule.name.clone(), rule))
                .collect(),
            canonical_parts: Vec::new(),
            fields,
            canonical_order,
            overlaps: false,
        };
        // Names are letters, digits and `_`: nothing in them is escaped.
        kind.canonical_parts = kind
            .canonical_order
            .iter()
            .map(|name| (format!("\"{name}\":"), kind.part(name)))
            .collect();
        match kind.known.keys().find(|name| kind.is_reserved_signal(name)) {
            Some(name) => Err(format!(
                "signal `{name}` would hide a column of the same name"
            )),
            None => Ok(kind),
        }
    }
}

/// Whether one of `others` is this name when case is ignored.
fn is_in<'a>(name: &str, others: impl IntoIterator<Item = &'a str>) -> bool {
    let mut others = others.into_iter();
    others.any(|other| other.eq_ignore_ascii_case(name))
}

fn rules(tables: BTreeMap<String, FieldTable>, what: &str) -> Result<Vec<FieldRule>, String> {
    tables
        .into_iter()
        .map(|(name, table)| {
            check_name(
                &name,
                &FIELD,
                what,
                "1 to 64 letters, digits and _, no digit first",
            )?;
            table
                .into_rule(name.clone())
                .map_err(|message| format!("{what} `{name}`: {message}"))
        })
        .collect()
}

impl FieldTable {
    fn into_rule(self, name: String) -> Result<FieldRule, String> {
        let numeric = matches!(self.r#type, ScalarType::Number | ScalarType::Integer);
        if !numeric && (self.min.is_some() || self.max.is_some()) {
            return Err(format!(
                "`min` and `max` do not go with type {}",
                self.r#type
            ));
        }
        if let (Some(min), Some(max)) = (self.min, self.max)
            && min > max
        {
            return Err(format!(
                "`min` ({min}) is above `max` ({max}): no value could be valid"
            ));
        }
        if self.r#type != ScalarType::String
            && (self.pattern.is_some() || self.max_length.is_some())
        {
            return Err(format!(
                "`pattern` and `max_length` do not go with type {}",
                self.r#type
            ));
        }
        let (mut texts, mut numbers) = (Vec::new(), Vec::new());
        for value in self.one_of {
            match value {
                toml::Value::String(text) if self.r#type == ScalarType::String => texts.push(text),
                toml::Value::Integer(number) if numeric => numbers.push(number as f64),
                toml::Value::Float(number) if self.r#type == ScalarType::Number => {
                    numbers.push(number)
                }
                other => return Err(format!("`one_of` holds {other}, not a {}", self.r#type)),
            }
        }
        let pattern = self.pattern.as_deref().map(pattern).transpose()?;
        Ok(FieldRule {
            name,
            scalar: self.r#type,
            required: self.required,
            description: self.description,
            unit: self.unit,
            min: self.min,
            max: self.max,
            max_length: self.max_length.unwrap_or(256),
            matcher: pattern.as_ref().map(Matcher::new),
            pattern,
            texts,
            numbers,
        })
    }
}

fn pattern(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| format!("pattern `{text}`: {error}"))
}

fn fixed(text: &str) -> Regex {
    pattern(text).expect("a pattern of ours is a valid one")
}

fn check_name(name: &str, form: &Regex, what: &str, said: &str) -> Result<(), String> {
    match form.is_match(name) {
        true => Ok(()),
        false => Err(format!("{what} `{name}` is not a name: {said}")),
    }
}
