//! What senders say of a metric beside its values: type, unit and description.

use chrono::{DateTime, SecondsFormat, Utc};
use contract::{Kind, SignalsAt};
use serde_json::{Map, Value, json};

/// Longest text of a signal, in bytes.
const MAX_TEXT: usize = 256;

/// Longest name as sent, in bytes: a character of four becomes one in the names of samples, of which 255 are taken.
const MAX_SENT_NAME: usize = 4 * 255;

/// What is said of a metric. Its hash is that of all of it: one that was told before is known by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Info<'a> {
    /// As its samples have it.
    pub(crate) name: &'a str,
    /// The type in a word; empty where it is not said, as unit and description are.
    pub(crate) is_of: &'static str,
    pub(crate) unit: &'a str,
    pub(crate) description: &'a str,
}

impl<'a> Info<'a> {
    /// The name of the metric.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The same with texts that signals take; `None` if they say nothing, or of no metric. A unit that is cut would be
    /// another unit.
    pub(crate) fn fitted(self) -> Option<Info<'a>> {
        if !(1..=MAX_SENT_NAME).contains(&self.name.len()) {
            return None;
        }
        let end = self.description.floor_char_boundary(MAX_TEXT);
        let unit = Some(self.unit).filter(|unit| unit.len() <= MAX_TEXT);
        let info = Info {
            unit: unit.unwrap_or_default(),
            description: &self.description[..end],
            ..self
        };
        let texts = [info.is_of, info.unit, info.description];
        texts.iter().any(|text| !text.is_empty()).then_some(info)
    }

    /// The event in JSON, of that time; `None` if the kind is declared such that it cannot hold it.
    pub fn text(&self, kind: &Kind, at: DateTime<Utc>) -> Option<String> {
        let SignalsAt::Object(object) = &kind.signals_at else {
            return None;
        };
        let texts = [
            ("type", self.is_of),
            ("unit", self.unit),
            ("description", self.description),
        ];
        let said = texts.into_iter().filter(|(_, text)| !text.is_empty());
        let info: Map<String, Value> = said.map(|(key, text)| (key.into(), text.into())).collect();
        let at = at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        let event = json!({
            kind.entity.field.as_str(): self.name, kind.time.field.as_str(): at, object.as_str(): info,
        });
        Some(event.to_string())
    }
}

/// The metric of a series of a histogram or summary; every other metric has the name of its series.
pub(crate) fn family<'a>(series: &'a str, is_of: &str) -> &'a str {
    let suffixes: &[&str] = match is_of {
        "histogram" => &["_bucket", "_count", "_sum"],
        "gaugehistogram" => &["_bucket", "_gcount", "_gsum"],
        "summary" => &["_count", "_sum"],
        _ => &[],
    };
    let mut found = suffixes
        .iter()
        .filter_map(|suffix| series.strip_suffix(suffix));
    found.next().unwrap_or(series)
}
