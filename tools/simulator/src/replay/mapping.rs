//! Mappings: how the columns of somebody's CSV become events of a declared kind.

use std::collections::BTreeMap;

use contract::{Kind, Kinds, MAX_SIGNALS, ScalarType};
use regex::Regex;
use serde::Deserialize;

use super::clock::{Clock, TimeSpec};
use super::column::{Column, ColumnSpec};
use super::value::{DropIf, Reader};

/// Mappings that ship with the simulator, by name.
const BUILT_IN: [(&str, &str); 2] = [
    ("obd2-kit", include_str!("../../mappings/obd2-kit.toml")),
    ("ucc-5g", include_str!("../../mappings/ucc-5g.toml")),
];

/// A mapping that cannot be used; the text says where and why.
#[derive(Debug, thiserror::Error)]
#[error("mapping `{name}`: {message}")]
pub struct MappingError {
    name: String,
    message: String,
}

/// A mapping, checked against the kind whose events it makes.
#[derive(Debug, Clone)]
pub struct Mapping {
    pub(crate) csv: CsvSpec,
    /// What every event starts with: `{"kind":"…",` where the kind must be named, else `{`.
    pub(crate) opening: String,
    pub(crate) entity_field: String,
    pub(crate) entity_pattern: Regex,
    pub(crate) entity_max_length: usize,
    pub(crate) entity: Text,
    pub(crate) time_field: String,
    pub(crate) time_columns: Vec<Column>,
    pub(crate) clock: Clock,
    pub(crate) fields: Vec<(String, Field)>,
    pub(crate) signals_field: String,
    pub(crate) signals: Vec<Signal>,
}

/// A text that is the same in all rows, or in a column.
#[derive(Debug, Clone)]
pub(crate) enum Text {
    Constant(String),
    Column {
        column: Column,
        prefix: String,
        suffix: String,
        missing: Vec<String>,
    },
}

/// A field beside entity, time and signals.
#[derive(Debug, Clone)]
pub(crate) enum Field {
    /// The same in all rows, as JSON.
    Constant(String),
    Column {
        column: Column,
        prefix: String,
        reader: Reader,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Signal {
    pub(crate) name: String,
    pub(crate) column: Column,
    pub(crate) reader: Reader,
}

/// `[csv]` of a mapping: how the file is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CsvSpec {
    /// One ASCII character between columns.
    pub(crate) delimiter: char,
    /// The decimal point.
    pub(crate) decimal: char,
    /// Lines that start with it are not rows.
    pub(crate) comment: Option<char>,
    /// Lines before the header.
    pub(crate) skip_lines: usize,
    /// The header, where the file has none.
    pub(crate) headers: Option<Vec<String>>,
}

impl Default for CsvSpec {
    fn default() -> CsvSpec {
        CsvSpec {
            delimiter: ',',
            decimal: '.',
            comment: None,
            skip_lines: 0,
            headers: None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MappingSpec {
    kind: String,
    #[serde(default)]
    csv: CsvSpec,
    entity: EntitySpec,
    time: TimeSpec,
    #[serde(default)]
    fields: BTreeMap<String, FieldSpec>,
    #[serde(default)]
    missing: Vec<String>,
    signals: Vec<SignalSpec>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntitySpec {
    value: Option<String>,
    column: Option<String>,
    starts_with: Option<String>,
    matches: Option<String>,
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    suffix: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum FieldSpec {
    Column(FieldColumnSpec),
    Text(String),
    Integer(i64),
    Number(f64),
    Boolean(bool),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldColumnSpec {
    column: String,
    #[serde(default)]
    prefix: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignalSpec {
    name: String,
    column: Option<String>,
    starts_with: Option<String>,
    matches: Option<String>,
    #[serde(default = "number")]
    r#type: ScalarType,
    scale: Option<f64>,
    offset: Option<f64>,
    #[serde(default)]
    missing: Vec<String>,
    #[serde(default)]
    drop_if: DropIf,
}

fn number() -> ScalarType {
    ScalarType::Number
}

impl Mapping {
    /// The mapping that ships with the simulator under that name.
    pub fn built_in(name: &str) -> Option<&'static str> {
        BUILT_IN
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, text)| *text)
    }

    /// The names of those that ship with the simulator, for messages: `obd2-kit, ucc-5g`.
    pub fn built_in_names() -> String {
        BUILT_IN.map(|(name, _)| name).join(", ")
    }

    /// Reads a mapping and holds it against the kind that it names.
    ///
    /// # Errors
    ///
    /// [`MappingError`] says what is wrong, and of which mapping.
    pub fn parse(name: &str, text: &str, kinds: &Kinds) -> Result<Mapping, MappingError> {
        let refuse = |message: String| MappingError {
            name: name.to_owned(),
            message,
        };
        let spec: MappingSpec = toml::from_str(text)
            .map_err(|error| refuse(error.to_string().trim_end().to_owned()))?;
        let kind = kinds.get(&spec.kind).ok_or_else(|| {
            refuse(format!(
                "kind `{}` is not declared; declared are {} (set CONTRACTS for more)",
                spec.kind,
                kinds.names()
            ))
        })?;
        spec.compile(kind).map_err(refuse)
    }
}

impl MappingSpec {
    fn compile(self, kind: &Kind) -> Result<Mapping, String> {
        if !self.csv.delimiter.is_ascii() || self.csv.comment.is_some_and(|mark| !mark.is_ascii()) {
            return Err("`csv.delimiter` and `csv.comment` are one ASCII character each".into());
        }
        let time_columns = match self.time.elapsed.is_empty() {
            true => self.time.columns.clone(),
            false => self
                .time
                .elapsed
                .iter()
                .map(|part| part.column.clone())
                .collect(),
        };
        let time_columns = time_columns
            .into_iter()
            .map(|column| exactly(column).compile("time"));
        let mut fields = Vec::new();
        for (name, spec) in &self.fields {
            fields.push((name.clone(), self.field(kind, name, spec)?));
        }
        if let Some(rule) = kind
            .fields
            .iter()
            .find(|rule| rule.required && !self.fields.contains_key(&rule.name))
        {
            return Err(format!(
                "kind `{}` needs the field `{}`: give it under `[fields]`",
                kind.name, rule.name
            ));
        }
        if self.signals.is_empty() || self.signals.len() > MAX_SIGNALS {
            return Err(format!(
                "{} signals: an event has 1 to {MAX_SIGNALS}",
                self.signals.len()
            ));
        }
        let mut signals: Vec<Signal> = Vec::new();
        for spec in &self.signals {
            if signals.iter().any(|other| other.name == spec.name) {
                return Err(format!("signal `{}` is there twice", spec.name));
            }
            signals.push(self.signal(kind, spec)?);
        }
        Ok(Mapping {
            opening: match kind.name.as_str() {
                "vehicle" | "cell" => "{".to_owned(),
                other => format!("{{\"kind\":\"{other}\","),
            },
            entity_field: kind.entity.field.clone(),
            entity_pattern: kind.entity.pattern.clone(),
            entity_max_length: kind.entity.max_length,
            entity: self.entity()?,
            time_field: kind.time.field.clone(),
            time_columns: time_columns.collect::<Result<_, _>>()?,
            clock: self.time.compile()?,
            fields,
            signals_field: kind.signals_field.clone(),
            signals,
            csv: self.csv,
        })
    }

    fn entity(&self) -> Result<Text, String> {
        let EntitySpec {
            value,
            column,
            starts_with,
            matches,
            prefix,
            suffix,
        } = &self.entity;
        let spec = ColumnSpec {
            column: column.clone(),
            starts_with: starts_with.clone(),
            matches: matches.clone(),
        };
        match value {
            Some(_) if column.is_some() || starts_with.is_some() || matches.is_some() => {
                Err("`[entity]` has a `value` and a column: one is enough".into())
            }
            Some(value) => Ok(Text::Constant(format!("{prefix}{value}{suffix}"))),
            None => Ok(Text::Column {
                column: spec.compile("`[entity]` without `value`")?,
                prefix: prefix.clone(),
                suffix: suffix.clone(),
                missing: self.missing.clone(),
            }),
        }
    }

    fn field(&self, kind: &Kind, name: &str, spec: &FieldSpec) -> Result<Field, String> {
        let rule = kind.fields.iter().find(|rule| rule.name == name);
        if rule.is_none() && name != "event_id" {
            let known: Vec<&str> = kind.fields.iter().map(|rule| rule.name.as_str()).collect();
            return Err(format!(
                "kind `{}` has no field `{name}`; it has {}, event_id",
                kind.name,
                known.join(", ")
            ));
        }
        let constant = |value: serde_json::Value| Ok(Field::Constant(value.to_string()));
        match spec {
            FieldSpec::Text(text) => constant(text.as_str().into()),
            FieldSpec::Integer(number) => constant((*number).into()),
            FieldSpec::Number(number) => constant((*number).into()),
            FieldSpec::Boolean(truth) => constant((*truth).into()),
            FieldSpec::Column(FieldColumnSpec { column, prefix }) => Ok(Field::Column {
                column: exactly(column.clone()).compile(name)?,
                prefix: prefix.clone(),
                reader: self.reader(rule.map_or(ScalarType::String, |rule| rule.scalar)),
            }),
        }
    }

    fn signal(&self, kind: &Kind, spec: &SignalSpec) -> Result<Signal, String> {
        let SignalSpec {
            name,
            column,
            starts_with,
            matches,
            r#type,
            scale,
            offset,
            missing,
            drop_if,
        } = spec;
        let in_form = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && (1..=64).contains(&name.len());
        if !in_form {
            return Err(format!(
                "signal `{name}` is not a name: 1 to 64 letters, digits and _, no digit first"
            ));
        }
        match kind.known.get(name) {
            Some(rule) if rule.scalar == *r#type => {}
            Some(rule) if rule.scalar == ScalarType::Number && *r#type == ScalarType::Integer => {}
            Some(rule) => {
                return Err(format!(
                    "signal `{name}` is of type {type}; kind `{}` declares {}",
                    kind.name, rule.scalar
                ));
            }
            None if !kind.open => {
                return Err(format!("kind `{}` takes no signal `{name}`", kind.name));
            }
            None => {}
        }
        let numeric = matches!(r#type, ScalarType::Number | ScalarType::Integer);
        let finite = |number: &Option<f64>| number.is_none_or(f64::is_finite);
        if !numeric && (scale.is_some() || offset.is_some()) || !finite(scale) || !finite(offset) {
            return Err(format!(
                "signal `{name}`: `scale` and `offset` are finite, and for numbers"
            ));
        }
        let columns = ColumnSpec {
            column: column.clone(),
            starts_with: starts_with.clone(),
            matches: matches.clone(),
        };
        let mut reader = self.reader(*r#type);
        reader.scale = *scale;
        reader.offset = *offset;
        reader.missing.extend(missing.iter().cloned());
        reader.drop_if = drop_if.clone();
        Ok(Signal {
            name: name.clone(),
            column: columns.compile(&format!("signal `{name}`"))?,
            reader,
        })
    }

    fn reader(&self, scalar: ScalarType) -> Reader {
        Reader {
            scalar,
            scale: None,
            offset: None,
            decimal: self.csv.decimal,
            missing: self.missing.clone(),
            drop_if: DropIf::default(),
        }
    }
}

fn exactly(column: String) -> ColumnSpec {
    ColumnSpec {
        column: Some(column),
        ..ColumnSpec::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "kind = 'vehicle'
        [entity]
        value = 'car'
        [time]
        columns = ['T']
        format = 'rfc3339'
        [fields]
        can_id = '0x7E8'
        [[signals]]
        name = 'engine_rpm'
        column = 'RPM'
    ";

    #[test]
    fn those_that_ship_fit_the_built_in_kinds() {
        for (name, text) in BUILT_IN {
            Mapping::parse(name, text, &Kinds::builtin()).unwrap();
        }
        Mapping::parse("small", SMALL, &Kinds::builtin()).unwrap();
    }

    #[test]
    fn what_could_never_yield_a_valid_event_is_refused_with_its_reason() {
        let cases = [
            (
                SMALL.replace("'vehicle'", "'ship'"),
                "`ship` is not declared",
            ),
            (
                SMALL.replace("can_id = '0x7E8'", ""),
                "needs the field `can_id`",
            ),
            (
                SMALL.replace("can_id =", "colour = 'red'\ncan_id ="),
                "no field `colour`",
            ),
            (
                SMALL.replace("'engine_rpm'", "'engine rpm'"),
                "is not a name",
            ),
            (
                SMALL.replace("'engine_rpm'", "'brake_status'"),
                "declares boolean",
            ),
            (
                format!("{SMALL}[[signals]]\nname = 'engine_rpm'\ncolumn = 'x'"),
                "twice",
            ),
            (SMALL.replace("column = 'RPM'", ""), "exactly one of"),
            (
                SMALL.replace("column = 'RPM'", "column = 'RPM'\nscale = nan"),
                "finite",
            ),
            (
                SMALL.replace("value = 'car'", "value = 'car'\ncolumn = 'id'"),
                "one is enough",
            ),
            (SMALL.replace("value = 'car'", ""), "[entity]"),
            (
                SMALL.replace("[entity]", "speed = 1\n[entity]"),
                "unknown field",
            ),
            (SMALL.replace("'rfc3339'", "'%H:%Q'"), "unknown specifier"),
        ];
        for (text, reason) in cases {
            let error = Mapping::parse("m.toml", &text, &Kinds::builtin())
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("m.toml") && error.contains(reason),
                "{error}"
            );
        }
    }
}
