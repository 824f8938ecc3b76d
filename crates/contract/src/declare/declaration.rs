//! Makes a kind of a declaration in TOML, or says what is wrong with it.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Duration, Utc};
use regex::Regex;

use crate::MAX_SIGNALS;
use crate::declare::derived::derived;
use crate::declare::kind::{Kind, SignalsAt};
use crate::declare::names::{
    MAX_LONG_NAME_BYTES, RESERVED, SERVER_FIELDS, is_alias, is_field_name, is_in, is_kind_name,
};
use crate::declare::naming::Naming;
use crate::declare::rule::{
    EntityRule, FieldRule, MAX_LABELS_BYTES, MAX_TEXT_BYTES, RulesByName, ScalarType, TimeRule,
};
use crate::declare::tables::{Declaration, EntityTable, FieldTable, SignalsTable, TimeTable};

const ENTITY_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._:-]*$";

/// The most names of undeclared signals of a kind, unless its declaration says otherwise.
const DEFAULT_UNDECLARED: usize = 512;

/// The most that a declaration may say: each name is a column in the schema of every reader.
const MOST_UNDECLARED: usize = 4096;

/// Oldest events that are taken, in days before their receipt, unless the declaration says otherwise.
const DEFAULT_AGE_DAYS: u32 = 400;

/// Why declarations cannot be used: each names its file.
#[derive(Debug, thiserror::Error)]
pub enum KindError {
    /// The folder of declarations, or a file in it, cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The folder or file.
        path: String,
        /// The operating system's error.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML, or has keys other than those of a declaration.
    #[error("`{file}` is not a kind declaration: {message}")]
    Syntax {
        /// Path of the file.
        file: String,
        /// The parser's words, with line and column.
        message: String,
    },
    /// The declaration contradicts itself or another.
    #[error("`{file}`: {message}")]
    Invalid {
        /// Path of the file.
        file: String,
        /// What is wrong, with the name of the field or signal.
        message: String,
    },
}

/// Reads one declaration; `file` names it in errors.
pub(crate) fn read(file: &str, text: &str) -> Result<Kind, KindError> {
    let declared = toml::from_str(text).map_err(|error| KindError::Syntax {
        file: file.to_owned(),
        message: error.to_string().trim_end().to_owned(),
    })?;
    kind_of(declared).map_err(|message| KindError::Invalid {
        file: file.to_owned(),
        message,
    })
}

fn kind_of(declared: Declaration) -> Result<Kind, String> {
    if !is_kind_name(&declared.kind) {
        let name = &declared.kind;
        return Err(format!(
            "kind `{name}` is not a name: 1 to 32 of a-z, 0-9 and _, a letter first"
        ));
    }
    if let Some(alias) = declared.aliases.iter().find(|alias| !is_alias(alias)) {
        return Err(format!(
            "alias `{alias}` is not a name: 1 to 64 of a-z, 0-9, _ and ., a letter first"
        ));
    }
    let (entity, time, signals) = (declared.entity, declared.time, declared.signals);
    let mut fields = declared.fields;
    let long = long_fields(&signals, &mut fields)?;
    let own = [&entity.field, &time.field].into_iter();
    let names = own_names(own.chain(&signals.field).chain(fields.keys()))?;
    let max_signals = signals.max.unwrap_or(MAX_SIGNALS);
    if !(1..=MAX_SIGNALS).contains(&max_signals) {
        return Err(format!("signals.max is {max_signals}: 1 to {MAX_SIGNALS}"));
    }
    let open = signals.open.unwrap_or(true);
    let max_undeclared = signals.max_undeclared.unwrap_or(DEFAULT_UNDECLARED);
    if max_undeclared > MOST_UNDECLARED {
        return Err(format!(
            "signals.max_undeclared is {max_undeclared}: 0 to {MOST_UNDECLARED}"
        ));
    }
    let known = known(signals.known, open)?;
    let naming = Naming::new(signals.names, sent_names(&known)?);
    let fields = rules(fields, "field")?;
    let place = |name: &String| fields.iter().position(|rule| rule.name == *name);
    let signals_at = match (&long, signals.field) {
        (None, Some(field)) => SignalsAt::Object(field),
        (Some((name, value)), None) => match (place(name), place(value)) {
            (Some(name), Some(value)) => SignalsAt::Fields { name, value },
            _ => return Err(NO_SIGNALS.to_owned()),
        },
        _ => return Err(NO_SIGNALS.to_owned()),
    };
    let is_long = long.is_some();
    let is_number =
        |rule: &FieldRule| matches!(rule.scalar, ScalarType::Number | ScalarType::Integer);
    if let Some(rule) = known.values().find(|rule| is_long && !is_number(rule)) {
        let (name, scalar) = (&rule.name, rule.scalar);
        return Err(format!(
            "signal `{name}` is a {scalar}: with `value_field` each is a number or an integer"
        ));
    }
    let derived = derived(signals.derived, &fields, &known, is_long)?;
    let mut kind = Kind {
        name: declared.kind,
        version: declared.version,
        aliases: declared.aliases,
        description: declared.description,
        fields,
        known,
        derived,
        entity: entity_rule(entity)?,
        time: time_rule(time)?,
        signals_at,
        signals_description: signals.description,
        max_signals: if is_long { 1 } else { max_signals },
        open,
        max_undeclared: if is_long { 0 } else { max_undeclared },
        nulls: signals.nulls.unwrap_or_default(),
        out_of_range: signals.out_of_range.unwrap_or_default(),
        naming,
        canonical: Vec::new(),
        overlaps: false,
    };
    let hides = |name: &str| format!("`{name}` would hide a column of the same name");
    let mut fields = kind.fields.iter().map(|rule| &rule.name);
    if let Some(name) = fields.find(|name| is_in(name, RESERVED)) {
        return Err(format!("field {}", hides(name)));
    }
    if let Some(name) = kind.known.keys().find(|name| kind.is_reserved_signal(name)) {
        return Err(format!("signal {}", hides(name)));
    }
    // Names are letters, digits and `_`: nothing in them is escaped.
    let keyed = |name: String| Some((format!("\"{name}\":"), kind.own_field(&name)?));
    kind.canonical = names.into_iter().filter_map(keyed).collect();
    Ok(kind)
}

const NO_SIGNALS: &str = "signals: say either `field`, the object of signals, or `name_field` and `value_field`, of one signal an event";

/// The fields of a long kind that hold a signal's name and its value, which are declared with them; `None` of another
/// kind.
fn long_fields(
    signals: &SignalsTable,
    fields: &mut BTreeMap<String, FieldTable>,
) -> Result<Option<(String, String)>, String> {
    let (name, value) = match (&signals.field, &signals.name_field, &signals.value_field) {
        (Some(_), None, None) => return Ok(None),
        (None, Some(name), Some(value)) => (name, value),
        _ => return Err(NO_SIGNALS.to_owned()),
    };
    let of_many = [
        ("max", signals.max.is_some()),
        ("max_undeclared", signals.max_undeclared.is_some()),
        ("nulls", signals.nulls.is_some()),
        ("out_of_range", signals.out_of_range.is_some()),
    ];
    if let Some((key, _)) = of_many.iter().find(|(_, is_there)| *is_there) {
        return Err(format!(
            "`signals.{key}` does not go with `name_field`: an event has one signal, and it has no column of its own"
        ));
    }
    for (field, r#type, description) in [
        (name, ScalarType::String, "The signal's name."),
        (value, ScalarType::Number, "The signal's value."),
    ] {
        let mut table = FieldTable::required(r#type, description);
        if r#type == ScalarType::String {
            table.max_length = Some(MAX_LONG_NAME_BYTES);
        }
        if fields.insert(field.clone(), table).is_some() {
            return Err(format!(
                "field `{field}` is declared by `signals` already: leave it out of `fields`"
            ));
        }
    }
    Ok(Some((name.clone(), value.clone())))
}

/// The names of a kind's own fields, in byte order.
fn own_names<'a>(names: impl Iterator<Item = &'a String>) -> Result<Vec<String>, String> {
    let mut names: Vec<String> = names.cloned().collect();
    names.sort();
    for (at, name) in names.iter().enumerate() {
        check_field_name(name, "field")?;
        if is_in(name, names[..at].iter().map(String::as_str)) {
            return Err(format!("field `{name}` is declared twice"));
        }
        if is_in(name, SERVER_FIELDS) {
            return Err(format!("field `{name}` is the server's own: leave it out"));
        }
    }
    Ok(names)
}

fn entity_rule(table: EntityTable) -> Result<EntityRule, String> {
    let rule = EntityRule {
        field: table.field,
        description: table.description,
        max_length: table.max_length.unwrap_or(64),
        pattern: pattern(table.pattern.as_deref().unwrap_or(ENTITY_PATTERN))?,
        default: table.default,
    };
    let fits = |id: &String| (1..=rule.max_length).contains(&id.len()) && rule.pattern.is_match(id);
    if let Some(unfit) = rule.default.as_ref().filter(|id| !fits(id)) {
        return Err(format!("entity.default `{unfit}` is no id of the kind"));
    }
    Ok(rule)
}

fn time_rule(table: TimeTable) -> Result<TimeRule, String> {
    let max_age_days = table.max_age_days.unwrap_or(DEFAULT_AGE_DAYS);
    if max_age_days == 0 {
        return Err("time.max_age_days is 0: 1 or more".into());
    }
    let earliest = table.earliest.as_deref().unwrap_or("2000-01-01T00:00:00Z");
    Ok(TimeRule {
        field: table.field,
        description: table.description,
        format: table.format,
        earliest: DateTime::parse_from_rfc3339(earliest)
            .map_err(|error| format!("time.earliest `{earliest}`: {error}"))?
            .with_timezone(&Utc),
        max_future: Duration::minutes(table.max_future_minutes.unwrap_or(60).into()),
        max_age: Duration::days(max_age_days.into()),
        defaults_to_arrival: table.default.is_some(),
    })
}

/// The declared signals, by name.
fn known(tables: BTreeMap<String, FieldTable>, open: bool) -> Result<RulesByName, String> {
    let mut known = RulesByName::default();
    for rule in rules(tables, "signal")? {
        let name = rule.name.clone();
        if rule.required {
            return Err(format!("signal `{name}` is `required`: only fields can be"));
        }
        if rule.scalar == ScalarType::Labels {
            return Err(format!("signal `{name}` is labels: only fields can be"));
        }
        if is_in(&name, known.keys().map(String::as_str)) {
            return Err(format!(
                "signal `{name}` is declared twice: its names differ in case alone"
            ));
        }
        known.insert(name, rule);
    }
    if !open && known.is_empty() {
        return Err(
            "signals.open is false and no signal is declared: no event could be valid".into(),
        );
    }
    Ok(known)
}

/// The names as sent that signals say in `from`, with the signals.
fn sent_names(known: &RulesByName) -> Result<HashMap<String, String>, String> {
    let mut names = HashMap::new();
    for rule in known.values() {
        let Some(from) = &rule.from else { continue };
        let signal = &rule.name;
        if from.is_empty() || known.contains_key(from) {
            return Err(format!(
                "signal `{signal}`: `from` is `{from}`, the name of a declared signal or none"
            ));
        }
        if names.insert(from.clone(), signal.clone()).is_some() {
            return Err(format!("two signals say `from = \"{from}\"`"));
        }
    }
    Ok(names)
}

fn rules(tables: BTreeMap<String, FieldTable>, what: &str) -> Result<Vec<FieldRule>, String> {
    let rule = |(name, table): (String, FieldTable)| {
        check_field_name(&name, what)?;
        if what == "field" && (table.from.is_some() || table.quantiles.is_some()) {
            return Err(format!(
                "field `{name}`: `from` and `quantiles` are for signals"
            ));
        }
        field_rule(&name, table).map_err(|message| format!("{what} `{name}`: {message}"))
    };
    tables.into_iter().map(rule).collect()
}

pub(super) fn field_rule(name: &str, table: FieldTable) -> Result<FieldRule, String> {
    let scalar = table.r#type;
    let numeric = matches!(scalar, ScalarType::Number | ScalarType::Integer);
    if !numeric && (table.min.is_some() || table.max.is_some()) {
        return Err(format!("`min` and `max` do not go with type {scalar}"));
    }
    if let Some(bound) = [table.min, table.max]
        .into_iter()
        .flatten()
        .find(|bound| !bound.is_finite())
    {
        return Err(format!("`min` or `max` is {bound}, not a finite number"));
    }
    if let (Some(min), Some(max)) = (table.min, table.max)
        && min > max
    {
        return Err(format!(
            "`min` ({min}) is above `max` ({max}): no value could be valid"
        ));
    }
    let (is_text, is_labels) = (scalar == ScalarType::String, scalar == ScalarType::Labels);
    if !is_text && (table.pattern.is_some() || table.max_length.is_some() && !is_labels) {
        let keys = if is_labels {
            "`pattern` does"
        } else {
            "`pattern` and `max_length` do"
        };
        return Err(format!("{keys} not go with type {scalar}"));
    }
    let (mut texts, mut numbers) = (Vec::new(), Vec::new());
    for value in table.one_of {
        match value {
            toml::Value::String(text) if scalar == ScalarType::String => texts.push(text),
            toml::Value::Integer(number) if numeric => numbers.push(number as f64),
            toml::Value::Float(number) if scalar == ScalarType::Number && number.is_finite() => {
                numbers.push(number);
            }
            other => return Err(format!("`one_of` holds {other}, not a {scalar}")),
        }
    }
    Ok(FieldRule {
        name: name.to_owned(),
        scalar,
        required: table.required,
        description: table.description,
        from: table.from,
        quantiles: table.quantiles.unwrap_or(true),
        unit: table.unit,
        min: table.min,
        max: table.max,
        max_length: table.max_length.unwrap_or(match scalar {
            ScalarType::Labels => MAX_LABELS_BYTES,
            _ => MAX_TEXT_BYTES,
        }),
        pattern: table.pattern.as_deref().map(pattern).transpose()?,
        texts,
        numbers,
    })
}

fn pattern(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| format!("pattern `{text}`: {error}"))
}

pub(super) fn check_field_name(name: &str, what: &str) -> Result<(), String> {
    if is_field_name(name) {
        Ok(())
    } else {
        Err(format!(
            "{what} `{name}` is not a name: 1 to 64 letters, digits and _, no digit first"
        ))
    }
}
