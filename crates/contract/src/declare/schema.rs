//! A kind's declaration as JSON Schema, for OpenAPI.

use serde_json::{Map, Value, json};

use crate::declare::kind::Kind;
use crate::declare::names::FIELD_NAME;
use crate::declare::rule::{
    FieldRule, MAX_LABEL_BYTES, MAX_LABELS, MAX_TEXT_BYTES, OnUnfit, ScalarType, TimeRule,
};
use crate::id::MAX_EVENT_ID_LENGTH;

impl Kind {
    /// JSON Schema (2020-12, as OpenAPI 3.1 uses it) of an event of this kind as a client sends it.
    pub fn json_schema(&self) -> Value {
        let mut properties = Map::new();
        let mut entity = json!({
            "type": "string", "description": self.entity.description, "minLength": 1,
            "maxLength": self.entity.max_length, "pattern": self.entity.pattern.as_str(),
        });
        if let Some(default) = &self.entity.default {
            entity["default"] = json!(default);
        }
        properties.insert(self.entity.field.clone(), entity);
        properties.insert(self.time.field.clone(), time_schema(&self.time));
        for rule in &self.fields {
            properties.insert(rule.name.clone(), field_schema(rule));
        }
        if let Some(field) = self.signals_object() {
            properties.insert(field.clone(), self.signals_schema());
        }
        let id = if self.is_long() {
            "Unique within the kind and event hour. Without it each event counts, also one that says what another says."
        } else {
            "Unique within the kind and event hour; derived from the content where it is left out."
        };
        properties.insert(
            "event_id".into(),
            json!({"type": "string", "minLength": 1, "maxLength": MAX_EVENT_ID_LENGTH, "description": id}),
        );
        properties.insert("kind".into(), json!({"const": self.name}));
        json!({
            "type": "object", "description": self.description,
            "required": self.required().collect::<Vec<_>>(),
            "properties": properties, "additionalProperties": false,
        })
    }

    /// The object of signals.
    fn signals_schema(&self) -> Value {
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
        signals
    }

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
    let Some((_, unit)) = rule.format.epoch_unit() else {
        return json!({"type": "string", "format": "date-time", "description": rule.description});
    };
    let (types, number) = if rule.format.takes_text() {
        (json!(["string", "number"]), "RFC 3339, or the number")
    } else {
        (json!("number"), "Number")
    };
    let said = format!(
        "{} {number} of {unit} since 1970-01-01T00:00:00Z.",
        rule.description
    );
    json!({"type": types, "description": said.trim()})
}

fn labels_schema(rule: &FieldRule) -> Value {
    json!({
        "type": "object", "description": rule.description, "maxProperties": MAX_LABELS,
        "propertyNames": {"pattern": FIELD_NAME},
        "additionalProperties": {"type": "string", "minLength": 1, "maxLength": MAX_LABEL_BYTES},
    })
}

fn field_schema(rule: &FieldRule) -> Value {
    if rule.scalar == ScalarType::Labels {
        return labels_schema(rule);
    }
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
    let is_text = rule.scalar == ScalarType::String;
    put("minLength", is_text.then(|| json!(1)));
    put("maxLength", is_text.then(|| json!(rule.max_length)));
    put("enum", (!rule.texts.is_empty()).then(|| json!(rule.texts)));
    put(
        "enum",
        (!rule.numbers.is_empty()).then(|| json!(rule.numbers)),
    );
    Value::Object(schema)
}
