//! A declaration as its TOML has it. What a key means is said in `docs/contracts.md`.

use std::collections::BTreeMap;

use serde::Deserialize;

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
            r#type,
            required: true,
            description: description.to_owned(),
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
