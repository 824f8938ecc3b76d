//! Events of a message: what the payload says, with what topic and rule add.
//!
//! The text of an event stays as it was sent, digits and all; fields that it lacks are put in front.

use std::fmt;

use chrono::{DateTime, Utc};
use contract::{TimeFormat, format_millis};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::rule::{EVENT_ID, Rule, Signals, Time};

/// The namespace of ids that the bridge derives.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f2a_9d5e_3b0c_4c1f_9e57_1d2f_8a64_b3c7);

/// A message as far as its events follow from it.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'m> {
    /// The topic.
    pub topic: &'m str,
    /// The fields that the topic gives.
    pub fields: &'m [(&'m str, &'m str)],
    /// The payload.
    pub payload: &'m [u8],
    /// When it came to the bridge.
    pub at: DateTime<Utc>,
}

/// Why there is no event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// A stable code, such as `invalid_json`: ingest's where it has one for this.
    pub code: &'static str,
    /// The reason, for a reader.
    pub message: String,
}

impl Refused {
    /// As it says.
    pub fn new(code: &'static str, message: impl Into<String>) -> Refused {
        let message = message.into();
        Refused { code, message }
    }
}

impl Rule {
    /// The events of a message, each a JSON object on one line, or why it is refused. An object is one event, an array
    /// of objects several, and so are lines; a bare value is the value of the signal that rule or topic names.
    pub fn events(&self, message: &Arrival<'_>) -> Vec<Result<String, Refused>> {
        let Ok(text) = std::str::from_utf8(message.payload) else {
            return vec![Err(Refused::new(
                "invalid_json",
                "the payload is not UTF-8",
            ))];
        };
        let text = text.trim_matches(is_white);
        if text.is_empty() {
            return vec![Err(Refused::new("empty", "the payload is empty"))];
        }
        let one = match serde_json::from_str::<&RawValue>(text) {
            Ok(value) => value.get(),
            Err(error) => {
                let lines = text.lines().map(|line| line.trim_matches(is_white));
                let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
                if lines.len() > 1 && lines.iter().any(|line| is_object(line)) {
                    return lines.iter().map(|line| self.line(message, line)).collect();
                }
                let reason = format!("the payload is not JSON: {error}");
                return vec![Err(Refused::new("invalid_json", reason))];
            }
        };
        if !one.starts_with('[') {
            return vec![self.value(message, one)];
        }
        match serde_json::from_str::<Vec<&RawValue>>(one) {
            Ok(values) if values.is_empty() => {
                vec![Err(Refused::new("empty", "the payload is an empty array"))]
            }
            Ok(values) => {
                let values = values.into_iter().map(RawValue::get);
                values.map(|value| self.object(message, value)).collect()
            }
            Err(error) => vec![Err(Refused::new("invalid_json", error.to_string()))],
        }
    }

    fn line(&self, message: &Arrival<'_>, line: &str) -> Result<String, Refused> {
        let value: Result<&RawValue, _> = serde_json::from_str(line);
        let value = value.map_err(|error| {
            Refused::new(
                "invalid_json",
                format!("a line of the payload is not JSON: {error}"),
            )
        })?;
        self.object(message, value.get())
    }

    /// The event of a payload that is one value.
    fn value(&self, message: &Arrival<'_>, value: &str) -> Result<String, Refused> {
        if value.starts_with('{') {
            return self.object(message, value);
        }
        if value == "null" {
            return Err(Refused::new("not_an_object", "the payload is null"));
        }
        let bare = match &self.at.signals {
            Signals::Object(object) => self.signal.as_ref().map(|signal| {
                let signal = serde_json::Value::from(signal.as_str());
                format!("{{\"{object}\":{{{signal}:{value}}}}}")
            }),
            Signals::Fields { name, value: field } => {
                let mut named = message.fields.iter().map(|(field, _)| *field);
                let is_named = named.any(|field| field == name)
                    || self.constants.iter().any(|(field, _)| field == name);
                // A sample is a number; what is on or off counts as 1 or 0.
                let value = match value {
                    "true" => "1",
                    "false" => "0",
                    other => other,
                };
                is_named.then(|| format!("{{\"{field}\":{value}}}"))
            }
        };
        let bare = bare.ok_or_else(|| {
            let said = "the payload is a bare value: name its signal by `signal` in the rule";
            Refused::new("not_an_object", said)
        })?;
        self.object(message, &bare)
    }

    /// The event of an object: its own text, with what it lacks in front.
    fn object(&self, message: &Arrival<'_>, object: &str) -> Result<String, Refused> {
        let Some(inner) = object.strip_prefix('{') else {
            return Err(Refused::new("not_an_object", "an event is a JSON object"));
        };
        let Names(names) = serde_json::from_str(object)
            .map_err(|error| Refused::new("invalid_json", error.to_string()))?;
        let lacks = |field: &str| !names.iter().any(|name| name == field);
        let mut text = String::with_capacity(object.len() + 160);
        text.push('{');
        for (field, level) in message.fields {
            if lacks(field) {
                put(&mut text, field, &self.level(field, level));
            }
        }
        for (field, value) in &self.constants {
            if lacks(field) {
                put(&mut text, field, value);
            }
        }
        let has_id = !lacks(EVENT_ID) || message.fields.iter().any(|(field, _)| *field == EVENT_ID);
        let has_time = !lacks(&self.at.time);
        match self.time {
            _ if has_time => {}
            Some(Time::Arrival) => {
                put(
                    &mut text,
                    &self.at.time,
                    &written(message.at, self.at.time_format),
                );
            }
            None if has_id && self.at.time_is_optional => {}
            None => {
                let field = &self.at.time;
                return Err(Refused::new(
                    "missing_field",
                    format!(
                        "`{field}` is missing: send it, or say `time = \"arrival\"` in the rule"
                    ),
                ));
            }
        }
        // Of other kinds ingest derives the id from the content.
        if !has_id && matches!(self.at.signals, Signals::Fields { .. }) {
            let id = if has_time {
                let content = [message.topic.as_bytes(), b"\0", object.as_bytes()].concat();
                Uuid::new_v5(&NAMESPACE, &content)
            } else {
                Uuid::new_v4()
            };
            put(&mut text, EVENT_ID, &format!("\"{id}\""));
        }
        if inner.trim_start_matches(is_white).starts_with('}') && text.ends_with(',') {
            text.pop();
        }
        // Between values a line break is white space, and within texts JSON has none: the event is one line.
        text.extend(
            inner
                .chars()
                .map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c }),
        );
        Ok(text)
    }

    /// A level of the topic as JSON: a number where the field is one and the level reads as one, else a text.
    fn level(&self, field: &str, level: &str) -> String {
        let is_number = self.numbers.iter().any(|name| name == field)
            && serde_json::from_str::<serde_json::Number>(level).is_ok();
        if is_number {
            level.to_owned()
        } else {
            serde_json::Value::from(level).to_string()
        }
    }
}

/// Appends `"name":json,`.
fn put(text: &mut String, name: &str, json: &str) {
    text.push('"');
    text.push_str(name);
    text.push_str("\":");
    text.push_str(json);
    text.push(',');
}

/// The time as a field of this format has it, to the millisecond.
fn written(at: DateTime<Utc>, format: TimeFormat) -> String {
    let millis = at.timestamp_millis();
    match format {
        TimeFormat::Rfc3339 | TimeFormat::Rfc3339OrEpochMs => format!("\"{}\"", format_millis(at)),
        TimeFormat::EpochS => format!("{}.{:03}", millis.div_euclid(1000), millis.rem_euclid(1000)),
        TimeFormat::EpochMs => millis.to_string(),
        TimeFormat::EpochUs => format!("{millis}000"),
    }
}

/// White space of JSON, and a byte order mark, which some senders write in front.
fn is_white(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n' | '\u{feff}')
}

/// Whether the line is an object, whole: not one that goes on in the next line.
fn is_object(line: &str) -> bool {
    line.starts_with('{') && serde_json::from_str::<IgnoredAny>(line).is_ok()
}

/// The names of an object's own fields.
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Names, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Names;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    map.next_value::<IgnoredAny>()?;
                    names.push(name);
                }
                Ok(Names(names))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests;
