//! A rule: a pattern of topics, and what their messages become.

use std::collections::BTreeMap;

use anyhow::{Context, anyhow, ensure};
use clap::ValueEnum;
use contract::{Kind, Kinds, ScalarType, SignalsAt, TimeFormat};
use serde::Deserialize;

use super::topic::Pattern;

/// The field by which a sender tells that two events are the same.
pub(super) const EVENT_ID: &str = "event_id";

/// A rule as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleText {
    /// The topics: levels between slashes, each a text, `{name}` for a field of the kind, or `+`; `#` at the end.
    pub topic: String,
    /// The kind of the events.
    pub kind: String,
    /// The signal that a payload which is a bare number, boolean or text is the value of.
    pub signal: Option<String>,
    /// The time of events that have none.
    pub time: Option<Time>,
    /// Fields of the kind that have this value where neither payload nor topic gives one.
    #[serde(default)]
    pub constants: BTreeMap<String, serde_json::Value>,
}

/// What the time of an event without one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Time {
    /// When the message came to the bridge.
    Arrival,
}

/// A rule that has been checked.
#[derive(Debug)]
pub struct Rule {
    pub(super) topic: String,
    pub(super) pattern: Pattern,
    /// The kind of the events.
    pub kind: String,
    pub(super) time: Option<Time>,
    /// The signal of a bare value; of a long kind it is among `constants` instead.
    pub(super) signal: Option<String>,
    /// Fields and their values as JSON.
    pub(super) constants: Vec<(String, String)>,
    /// Fields of the topic that are numbers.
    pub(super) numbers: Vec<String>,
    pub(super) at: Fields,
}

/// Which fields of the kind are what.
#[derive(Debug)]
pub(super) struct Fields {
    pub(super) time: String,
    pub(super) time_format: TimeFormat,
    /// Whether ingest takes events without a time: such an event would be another one each time that it is sent.
    pub(super) time_is_optional: bool,
    pub(super) signals: Signals,
}

#[derive(Debug)]
pub(super) enum Signals {
    /// The field of the object that has them.
    Object(String),
    /// Of a long kind, the fields of a signal's name and of its value.
    Fields { name: String, value: String },
}

impl Rule {
    /// Holds a rule against the declaration of its kind.
    pub(super) fn new(text: RuleText, kinds: &Kinds) -> anyhow::Result<Rule> {
        let pattern = Pattern::parse(&text.topic).map_err(|error| anyhow!("{error}"))?;
        let kind = kinds.get_by_alias(&text.kind).with_context(|| {
            format!(
                "kind `{}` is not declared: the kinds are {}",
                text.kind,
                kinds.names()
            )
        })?;
        for field in pattern
            .fields()
            .chain(text.constants.keys().map(String::as_str))
        {
            let from_topic = pattern.fields().any(|name| name == field);
            ensure!(
                can_be_given(kind, field, from_topic),
                "`{field}` is not a field of kind `{}` that a rule can give",
                kind.name
            );
        }
        let mut constants = Vec::new();
        for (field, value) in &text.constants {
            constants.push((field.clone(), value.to_string()));
        }
        let mut signal = text.signal;
        let signals = match &kind.signals_at {
            SignalsAt::Object(field) => Signals::Object(field.clone()),
            SignalsAt::Fields { name, value } => {
                let field = |at: usize| kind.fields.get(at).map(|rule| rule.name.clone());
                let (name, value) = field(*name)
                    .zip(field(*value))
                    .context("the kind has no fields of a name and a value")?;
                if let Some(signal) = signal.take() {
                    constants.push((name.clone(), serde_json::Value::from(signal).to_string()));
                }
                Signals::Fields { name, value }
            }
        };
        for (at, (field, _)) in constants.iter().enumerate() {
            let twice = pattern.fields().any(|name| name == field)
                || constants[..at].iter().any(|(name, _)| name == field);
            ensure!(!twice, "`{field}` is given twice");
        }
        ensure!(
            signal.is_none() || text.time.is_some(),
            "a bare value has no time: add `time = \"arrival\"`"
        );
        let numbers = pattern.fields().filter(|field| is_number(kind, field));
        Ok(Rule {
            numbers: numbers.map(str::to_owned).collect(),
            topic: text.topic,
            pattern,
            kind: kind.name.clone(),
            time: text.time,
            signal,
            constants,
            at: Fields {
                time: kind.time.field.clone(),
                time_format: kind.time.format,
                time_is_optional: kind.time.defaults_to_arrival,
                signals,
            },
        })
    }
}

/// Whether it is a field that a topic or a constant can fill: not the time, nor the signals.
fn can_be_given(kind: &Kind, field: &str, from_topic: bool) -> bool {
    if field == kind.entity.field || (field == EVENT_ID && from_topic) {
        return true;
    }
    let Some(at) = kind.fields.iter().position(|rule| rule.name == field) else {
        return false;
    };
    let is_value = matches!(kind.signals_at, SignalsAt::Fields { value, .. } if value == at);
    let is_object = kind.fields[at].scalar == ScalarType::Labels;
    !(is_value || (from_topic && is_object))
}

fn is_number(kind: &Kind, field: &str) -> bool {
    let rule = kind.fields.iter().find(|rule| rule.name == field);
    rule.is_some_and(|rule| matches!(rule.scalar, ScalarType::Number | ScalarType::Integer))
}
