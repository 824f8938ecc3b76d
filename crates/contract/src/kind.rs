//! Kinds of events: declared in TOML, checked when they are loaded.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use chrono::{DateTime, Duration, Utc};
use regex::Regex;
use serde::Deserialize;

const BUILT_IN: [(&str, &str); 2] = [
    (
        "vehicle.toml (built in)",
        include_str!("../kinds/vehicle.toml"),
    ),
    ("cell.toml (built in)", include_str!("../kinds/cell.toml")),
];

/// Entity ids unless the kind says otherwise: safe in paths, logs, CSV and SQL.
const ENTITY_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._:-]*$";
const NAME_PATTERN: &str = "^[a-z][a-z0-9_]{0,31}$";
const FIELD_PATTERN: &str = "^[A-Za-z_][A-Za-z0-9_]{0,63}$";

/// Names that the server's own fields and the columns of `curated/` take.
const RESERVED: [&str; 10] = [
    "event_id",
    "kind",
    "entity_id",
    "event_time",
    "ingest_received_at",
    "year",
    "month",
    "day",
    "hour",
    "signal",
];

/// A declared kind of event.
#[derive(Debug)]
pub struct Kind {
    /// Its name, as in routes, partitions and the `kind` field: `vehicle`.
    pub name: String,
    /// The version of its declaration.
    pub version: u32,
    /// What an event of this kind is.
    pub description: String,
    /// The field that names the entity.
    pub entity: EntityRule,
    /// The field that holds the event time.
    pub time: TimeRule,
    /// The field that holds the signals.
    pub signals_field: String,
    /// What the signals are.
    pub signals_description: String,
    /// The most signals an event of this kind may carry.
    pub max_signals: usize,
    /// Whether signals that are not declared are taken.
    pub open: bool,
    /// The other fields, in declared order of name.
    pub fields: Vec<FieldRule>,
    /// The signals that are declared, by name.
    pub known: BTreeMap<String, FieldRule>,
    /// All of its own field names in byte order: the order of the canonical form.
    pub(crate) canonical_order: Vec<String>,
    /// Whether an event could fit this kind and another: then its fields do not tell the kind.
    pub(crate) overlaps: bool,
}

/// Two declarations are the same kind of thing when they have the same name: a registry holds
/// each name once.
impl PartialEq for Kind {
    fn eq(&self, other: &Kind) -> bool {
        self.name == other.name && self.version == other.version
    }
}

/// The field that names the entity.
#[derive(Debug)]
pub struct EntityRule {
    /// Its name: `vehicle_id`.
    pub field: String,
    /// What it is.
    pub description: String,
    /// Longest id, in bytes.
    pub max_length: usize,
    /// The form of an id.
    pub pattern: Regex,
}

/// The field that holds the event time.
#[derive(Debug)]
pub struct TimeRule {
    /// Its name: `timestamp`.
    pub field: String,
    /// What it is.
    pub description: String,
    /// The earliest time that is taken.
    pub earliest: DateTime<Utc>,
    /// How far past the time of receipt a clock may be.
    pub max_future: Duration,
}

/// The type of a field or signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScalarType {
    /// A finite number; a double.
    Number,
    /// A whole number within ±2^53.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A text.
    String,
}

impl fmt::Display for ScalarType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ScalarType::Number => "number",
            ScalarType::Integer => "integer",
            ScalarType::Boolean => "boolean",
            ScalarType::String => "string",
        })
    }
}

/// What is declared of a field or signal.
#[derive(Debug, Clone)]
pub struct FieldRule {
    /// Its name.
    pub name: String,
    /// Its type.
    pub scalar: ScalarType,
    /// Whether an event must have it; never for signals.
    pub required: bool,
    /// What it is.
    pub description: String,
    /// Unit of a number, in UCUM where that has one: `km/h`, `Cel`, `%`.
    pub unit: Option<String>,
    /// Least value of a number.
    pub min: Option<f64>,
    /// Greatest value of a number.
    pub max: Option<f64>,
    /// Longest text, in bytes.
    pub max_length: usize,
    /// The form of a text.
    pub pattern: Option<Regex>,
    /// The texts that are taken; empty means any.
    pub texts: Vec<String>,
    /// The numbers that are taken; empty means any.
    pub numbers: Vec<f64>,
}

/// A declaration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KindError {
    /// The folder or a file in it cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The folder or file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML of the declared shape.
    #[error("`{file}` is not a kind declaration: {message}")]
    Syntax {
        /// The file.
        file: String,
        /// The parser's words, with line and column.
        message: String,
    },
    /// The declaration contradicts itself or another.
    #[error("`{file}`: {message}")]
    Invalid {
        /// The file.
        file: String,
        /// What is wrong.
        message: String,
    },
}

/// The declared kinds: `vehicle`, `cell`, and a user's own.
#[derive(Debug)]
pub struct Kinds {
    kinds: Vec<Kind>,
}

impl Kinds {
    /// `vehicle` and `cell` alone.
    pub fn builtin() -> Kinds {
        Kinds::load(None).expect("the built-in declarations are valid: a test reads them")
    }

    /// The built-in kinds and each `*.toml` of `folder`; a file that declares a built-in name
    /// takes its place.
    ///
    /// # Errors
    ///
    /// [`KindError`] names the file and what is wrong with it.
    pub fn load(folder: Option<&Path>) -> Result<Kinds, KindError> {
        let mut kinds: Vec<Kind> = Vec::new();
        for (file, text) in BUILT_IN {
            kinds.push(Kind::parse(file, text)?);
        }
        let built_in = kinds.len();
        for (file, text) in folder.map(declarations).transpose()?.unwrap_or_default() {
            let kind = Kind::parse(&file, &text)?;
            match kinds.iter().position(|other| other.name == kind.name) {
                Some(at) if at < built_in => kinds[at] = kind,
                Some(_) => {
                    return Err(KindError::Invalid {
                        file,
                        message: format!(
                            "kind `{}` is declared by another file of the folder too",
                            kind.name
                        ),
                    });
                }
                None => kinds.push(kind),
            }
        }
        mark_overlaps(&mut kinds);
        Ok(Kinds { kinds })
    }

    /// The kind of that name.
    pub fn get(&self, name: &str) -> Option<&Kind> {
        self.kinds.iter().find(|kind| kind.name == name)
    }

    /// All kinds, the built-in ones first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Kind> {
        self.kinds.iter()
    }

    /// The names of all kinds, for messages: `vehicle, cell`.
    pub fn names(&self) -> String {
        self.kinds
            .iter()
            .map(|kind| kind.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    }
}

fn declarations(folder: &Path) -> Result<Vec<(String, String)>, KindError> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |source| KindError::Read { path, source }
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let text = std::fs::read_to_string(&path).map_err(failed(&path))?;
            files.push((path.display().to_string(), text));
        }
    }
    files.sort();
    Ok(files)
}

/// Marks the kinds whose required fields all fit another kind and the other way round, unless a
/// required constant tells them apart.
fn mark_overlaps(kinds: &mut [Kind]) {
    for a in 0..kinds.len() {
        for b in a + 1..kinds.len() {
            let (one, two) = (&kinds[a], &kinds[b]);
            if one.required().all(|name| two.has_field(name))
                && two.required().all(|name| one.has_field(name))
                && !told_apart(one, two)
            {
                kinds[a].overlaps = true;
                kinds[b].overlaps = true;
            }
        }
    }
}

fn told_apart(one: &Kind, two: &Kind) -> bool {
    one.fields
        .iter()
        .filter(|rule| rule.required && !rule.texts.is_empty())
        .any(|rule| {
            two.fields.iter().any(|other| {
                other.name == rule.name
                    && !other.texts.is_empty()
                    && other.texts.iter().all(|text| !rule.texts.contains(text))
            })
        })
}

impl Kind {
    /// Reads one declaration; `file` names it in errors.
    ///
    /// # Errors
    ///
    /// [`KindError::Syntax`] or [`KindError::Invalid`].
    pub fn parse(file: &str, text: &str) -> Result<Kind, KindError> {
        let declared: Declaration = toml::from_str(text).map_err(|error| KindError::Syntax {
            file: file.to_owned(),
            message: error.to_string().trim_end().to_owned(),
        })?;
        declared.into_kind().map_err(|message| KindError::Invalid {
            file: file.to_owned(),
            message,
        })
    }

    /// Every field that an event must have, in the order in which messages name them.
    pub(crate) fn required(&self) -> impl Iterator<Item = &str> {
        [&self.entity.field, &self.time.field, &self.signals_field]
            .into_iter()
            .map(String::as_str)
            .chain(
                self.fields
                    .iter()
                    .filter(|rule| rule.required)
                    .map(|rule| rule.name.as_str()),
            )
    }

    /// Whether the contract has a field of that name, the server's fields left aside.
    pub(crate) fn has_field(&self, name: &str) -> bool {
        name == self.entity.field
            || name == self.time.field
            || name == self.signals_field
            || self.fields.iter().any(|rule| rule.name == name)
    }

    /// Whether a signal of that name would hide a column of `curated/`: one of the built-in ones
    /// or one of the kind's fields.
    pub(crate) fn is_reserved_signal(&self, name: &str) -> bool {
        RESERVED
            .iter()
            .any(|reserved| reserved.eq_ignore_ascii_case(name))
            || self
                .fields
                .iter()
                .any(|rule| rule.name.eq_ignore_ascii_case(name))
    }
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
            NAME_PATTERN,
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
                FIELD_PATTERN,
                "field",
                "1 to 64 letters, digits and _, no digit first",
            )?;
            if canonical_order[..at].contains(name) {
                return Err(format!("field `{name}` is declared twice"));
            }
            if ["event_id", "kind", "ingest_received_at"].contains(&name.as_str()) {
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
            if RESERVED.contains(&rule.name.as_str()) {
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
        let open = self.signals.open.unwrap_or(true);
        if !open && known.is_empty() {
            return Err(
                "signals.open is false and no signal is declared: no event could be valid".into(),
            );
        }
        let kind = Kind {
            name: self.kind,
            version: self.version,
            description: self.description,
            entity: EntityRule {
                field: self.entity.field,
                description: self.entity.description,
                max_length: self.entity.max_length.unwrap_or(64),
                pattern: pattern(self.entity.pattern.as_deref().unwrap_or(ENTITY_PATTERN))?,
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
            known: known
                .into_iter()
                .map(|rule| (rule.name.clone(), rule))
                .collect(),
            fields,
            canonical_order,
            overlaps: false,
        };
        match kind.known.keys().find(|name| kind.is_reserved_signal(name)) {
            Some(name) => Err(format!(
                "signal `{name}` would hide a column of the same name"
            )),
            None => Ok(kind),
        }
    }
}

fn rules(tables: BTreeMap<String, FieldTable>, what: &str) -> Result<Vec<FieldRule>, String> {
    tables
        .into_iter()
        .map(|(name, table)| {
            check_name(
                &name,
                FIELD_PATTERN,
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
        Ok(FieldRule {
            name,
            scalar: self.r#type,
            required: self.required,
            description: self.description,
            unit: self.unit,
            min: self.min,
            max: self.max,
            max_length: self.max_length.unwrap_or(256),
            pattern: self.pattern.as_deref().map(pattern).transpose()?,
            texts,
            numbers,
        })
    }
}

fn pattern(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| format!("pattern `{text}`: {error}"))
}

fn check_name(name: &str, form: &str, what: &str, said: &str) -> Result<(), String> {
    match pattern(form)?.is_match(name) {
        true => Ok(()),
        false => Err(format!("{what} `{name}` is not a name: {said}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATION: &str = r#"
        kind = "station"
        version = 1
        entity = { field = "station_id" }
        time = { field = "observed_at" }
        signals = { field = "readings", known.temp_c = { type = "number", unit = "Cel", min = -90, max = 60 } }
    "#;

    #[test]
    fn built_in_kinds_load() {
        let kinds = Kinds::builtin();
        assert_eq!(kinds.names(), "vehicle, cell");
        assert!(kinds.iter().all(|kind| !kind.overlaps));
    }

    #[test]
    fn a_folder_adds_kinds_and_may_replace_built_in_ones() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("station.toml"), STATION).unwrap();
        std::fs::write(folder.path().join("notes.txt"), "not read").unwrap();
        let mine = include_str!("../kinds/vehicle.toml").replace("version = 1", "version = 2");
        std::fs::write(folder.path().join("vehicle.toml"), mine).unwrap();
        let kinds = Kinds::load(Some(folder.path())).unwrap();
        assert_eq!(kinds.names(), "vehicle, cell, station");
        assert_eq!(kinds.get("vehicle").unwrap().version, 2);
    }

    #[test]
    fn kinds_whose_fields_fit_each_other_are_marked() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.toml"), STATION).unwrap();
        std::fs::write(
            folder.path().join("b.toml"),
            STATION.replace("\"station\"", "\"buoy\""),
        )
        .unwrap();
        let kinds = Kinds::load(Some(folder.path())).unwrap();
        let overlapping: Vec<_> = kinds
            .iter()
            .filter(|kind| kind.overlaps)
            .map(|kind| &kind.name)
            .collect();
        assert_eq!(overlapping, ["station", "buoy"]);
    }

    #[test]
    fn a_wrong_declaration_is_refused_with_its_file_and_reason() {
        let cases = [
            (
                STATION.replace("\"station\"", "\"Weather Station\""),
                "is not a name",
            ),
            (
                STATION.replace("station_id", "event_id"),
                "the server's own",
            ),
            (
                STATION.replace("observed_at", "station_id"),
                "declared twice",
            ),
            (
                STATION.replace("type = \"number\"", "type = \"float\""),
                "unknown variant",
            ),
            (
                STATION.replace("min = -90", "pattern = '('"),
                "do not go with",
            ),
            (
                STATION.replace("temp_c", "event_time"),
                "would hide a column",
            ),
            (format!("{STATION}\nextra = 1"), "unknown field"),
            (STATION.replace("version = 1", ""), "missing field"),
        ];
        for (text, reason) in cases {
            let error = Kind::parse("station.toml", &text).unwrap_err().to_string();
            assert!(
                error.contains("station.toml") && error.contains(reason),
                "{error}"
            );
        }
    }

    #[test]
    fn a_missing_folder_is_an_error_that_names_it() {
        let error = Kinds::load(Some(Path::new("/no/such/folder"))).unwrap_err();
        assert!(error.to_string().contains("/no/such/folder"));
    }
}
