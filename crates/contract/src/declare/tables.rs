//! A declaration as its TOML has it. What a key means is said in `docs/contracts.md`.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::declare::naming::NameRule;
use crate::declare::rule::{OnUnfit, ScalarType, TimeFormat};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Declaration {
    pub(super) kind: String,
    pub(super) version: u32,
    #[serde(default)]
    pub(super) aliases: Vec<String>,
    #[serde(default)]
    pub(super) description: String,
    pub(super) entity: EntityTable,
    pub(super) time: TimeTable,
    pub(super) signals: SignalsTable,
    #[serde(default)]
    pub(super) fields: BTreeMap<String, FieldTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntityTable {
    pub(super) field: String,
    #[serde(default)]
    pub(super) description: String,
    pub(super) pattern: Option<String>,
    pub(super) max_length: Option<usize>,
    pub(super) default: Option<String>,
}

/// What the time of an event is that says none.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TimeDefault {
    Arrival,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TimeTable {
    pub(super) field: String,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) format: TimeFormat,
    pub(super) earliest: Option<String>,
    pub(super) max_future_minutes: Option<u32>,
    pub(super) max_age_days: Option<u32>,
    pub(super) default: Option<TimeDefault>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignalsTable {
    pub(super) field: Option<String>,
    pub(super) name_field: Option<String>,
    pub(super) value_field: Option<String>,
    #[serde(default)]
    pub(super) description: String,
    pub(super) max: Option<usize>,
    pub(super) open: Option<bool>,
    pub(super) max_undeclared: Option<usize>,
    #[serde(default)]
    pub(super) names: NameRule,
    pub(super) nulls: Option<OnUnfit>,
    pub(super) out_of_range: Option<OnUnfit>,
    #[serde(default)]
    pub(super) known: BTreeMap<String, FieldTable>,
    #[serde(default)]
    pub(super) derived: BTreeMap<String, DerivedTable>,
}

/// A derived signal: a table, or in short the text of its `when`.
#[derive(Default)]
pub(super) struct DerivedTable {
    pub(super) when: Option<String>,
    pub(super) from: Option<String>,
    pub(super) by: Option<String>,
    pub(super) description: String,
    pub(super) unit: Option<String>,
    pub(super) quantiles: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DerivedForm {
    when: Option<String>,
    from: Option<String>,
    by: Option<String>,
    #[serde(default)]
    description: String,
    unit: Option<String>,
    quantiles: Option<bool>,
}

impl<'de> Deserialize<'de> for DerivedTable {
    fn deserialize<D: Deserializer<'de>>(toml: D) -> Result<DerivedTable, D::Error> {
        toml.deserialize_any(DerivedVisitor)
    }
}

struct DerivedVisitor;

impl<'de> Visitor<'de> for DerivedVisitor {
    type Value = DerivedTable;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a condition, or a table with `when`, or with `from` and `by`")
    }

    fn visit_str<E: serde::de::Error>(self, when: &str) -> Result<DerivedTable, E> {
        Ok(DerivedTable {
            when: Some(when.to_owned()),
            ..DerivedTable::default()
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<DerivedTable, A::Error> {
        let form = DerivedForm::deserialize(MapAccessDeserializer::new(map))?;
        Ok(DerivedTable {
            when: form.when,
            from: form.from,
            by: form.by,
            description: form.description,
            unit: form.unit,
            quantiles: form.quantiles,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldTable {
    pub(super) r#type: ScalarType,
    #[serde(default)]
    pub(super) required: bool,
    #[serde(default)]
    pub(super) description: String,
    pub(super) from: Option<String>,
    pub(super) quantiles: Option<bool>,
    pub(super) unit: Option<String>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    pub(super) max_length: Option<usize>,
    pub(super) pattern: Option<String>,
    #[serde(default)]
    pub(super) one_of: Vec<toml::Value>,
}

impl FieldTable {
    /// A field that each event must have, of any value of its type.
    pub(super) fn required(r#type: ScalarType, description: &str) -> FieldTable {
        FieldTable {
            required: true,
            description: description.to_owned(),
            ..FieldTable::of_type(r#type)
        }
    }

    /// A field of which nothing but the type is declared.
    pub(super) fn of_type(r#type: ScalarType) -> FieldTable {
        FieldTable {
            r#type,
            required: false,
            description: String::new(),
            from: None,
            quantiles: None,
            unit: None,
            min: None,
            max: None,
            max_length: None,
            pattern: None,
            one_of: Vec::new(),
        }
    }
}
