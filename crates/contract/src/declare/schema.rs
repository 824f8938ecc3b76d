//! A kind's declaration as JSON Schema, for OpenAPI.

use serde_json::{Map, Value, json};

use crate::declare::kind::Kind;
use crate::declare::names::FIELD_NAME;
use crate::declare::rule::{FieldRule, MAX_TEXT_BYTES, ScalarType};
use crate::id::MAX_EVENT_ID_LENGTH;

impl Kind {
    /// JSON Schema (2020-12, as OpenAPI 3.1 uses it) of an event of this kind as a client sends it.
    pub fn json_schema(&self) -> Value {
        let mut properties = Map::new();
        properties.insert(
            self.entity.field.clone(),
            json!({
                "type": "string", "description": self.entity.description, "minLength": 1,
                "maxLength": self.entity.max_length, "pattern": self.entity.pattern.as_str(),
            }),
        );
        properties.insert(
            self.time.field.clone(),
            json!({"type": "string", "format": "date-time", "description": self.time.description}),
        );
        for rule in &self.fields {
            properties.insert(rule.name.clone(), field_schema(rule));
        }
        let known: Map<String, Value> = self
            .known
            .values()
            .map(|rule| (rule.name.clone(), field_schema(rule)))
            .collect();
        let others = if self.open {
            json!({"type": ["number", "boolean", "string"], "maxLength": MAX_TEXT_BYTES})
        } else {
            json!(false)
        };
        properties.insert(
            self.signals_field.clone(),
            json!({
                "type": "object", "description": self.signals_description, "minProperties": 1,
                "maxProperties": self.max_signals, "properties": known, "additionalProperties": others,
                "propertyNames": {"pattern": FIELD_NAME},
            }),
        );
        properties.insert(
            "event_id".into(),
            json!({
                "type": "string", "minLength": 1, "maxLength": MAX_EVENT_ID_LENGTH,
                "description": "Unique within the kind and event hour; derived from the content where it is left out.",
            }),
        );
        properties.insert("kind".into(), json!({"const": self.name}));
        json!({
            "type": "object", "description": self.description,
            "required": self.required().collect::<Vec<_>>(),
            "properties": properties, "additionalProperties": false,
        })
    }
}

fn field_schema(rule: &FieldRule) -> Value {
    let mut schema = Map::new();
    schema.insert("type".into(), json!(rule.scalar.to_string()));
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            schema.insert(name.into(), value);
        }
    };
    let unit = rule.unit.as_ref().map(|unit| format!("Unit: {unit}."));
    let said = format!("{} {}", rule.description, unit.unwrap_or_default());
    let said = said.trim();
    put("description", (!said.is_empty()).then(|| json!(said)));
    put("minimum", rule.min.map(|min| json!(min)));
    put("maximum", rule.max.map(|max| json!(max)));
    put(
        "pattern",
        rule.pattern.as_ref().map(|pattern| json!(pattern.as_str())),
    );
    put(
        "maxLength",
        (rule.scalar == ScalarType::String).then(|| json!(rule.max_length)),
    );
    put("enum", (!rule.texts.is_empty()).then(|| json!(rule.texts)));
    put(
        "enum",
        (!rule.numbers.is_empty()).then(|| json!(rule.numbers)),
    );
    Value::Object(schema)
}
