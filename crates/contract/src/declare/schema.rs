//! A kind's declaration as JSON Schema, for OpenAPI.

use serde_json::{Map, Value, json};

use crate::declare::kind::Kind;
use crate::declare::names::FIELD_NAME;
use crate::declare::rule::{FieldRule, MAX_TEXT_BYTES, OnUnfit, ScalarType, TimeRule};
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
        properties.insert(self.time.field.clone(), time_schema(&self.time));
        for rule in &self.fields {
            properties.insert(rule.name.clone(), field_schema(rule));
        }
        let known: Map<String, Value> = self
            .known
            .values()
            .flat_map(|rule| {
                let names = [Some(&rule.name), rule.from.as_ref()];
                names
                    .into_iter()
                    .flatten()
                    .map(|name| (name.clone(), self.signal_schema(rule)))
            })
            .collect();
        let others = if self.open {
            let mut types = vec!["number", "boolean", "string"];
            types.extend((self.nulls == OnUnfit::Omit).then_some("null"));
            json!({"type": types, "maxLength": MAX_TEXT_BYTES})
        } else {
            json!(false)
        };
        let mut signals = json!({
            "type": "object", "description": self.signals_description, "minProperties": 1,
            "maxProperties": self.max_signals, "properties": known, "additionalProperties": others,
        });
        if self.naming.is_none() {
            signals["propertyNames"] = json!({"pattern": FIELD_NAME});
        }
        properties.insert(self.signals_field.clone(), signals);
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

impl Kind {
    /// A declared signal, with what the kind takes of it beside what is declared: values that it leaves out.
    fn signal_schema(&self, rule: &FieldRule) -> Value {
        let mut schema = field_schema(rule);
        if self.nulls == OnUnfit::Omit {
            schema["type"] = json!([rule.scalar.to_string(), "null"]);
            if let Some(Value::Array(values)) = schema.get_mut("enum") {
                values.push(Value::Null);
            }
        }
        if self.out_of_range == OnUnfit::Omit
            && let Value::Object(schema) = &mut schema
        {
            schema.remove("minimum");
            schema.remove("maximum");
        }
        schema
    }
}

fn time_schema(rule: &TimeRule) -> Value {
    match rule.format.epoch_unit() {
        None => json!({"type": "string", "format": "date-time", "description": rule.description}),
        Some((_, unit)) => {
            let said = format!(
                "{} Number of {unit} since 1970-01-01T00:00:00Z.",
                rule.description
            );
            json!({"type": "number", "description": said.trim()})
        }
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
