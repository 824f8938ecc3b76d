//! Events of the lake as windows take them in.

use std::borrow::Cow;
use std::collections::BTreeSet;

use contract::{Event, FieldRule, Kinds, Scalar, ScalarType, SignalsAt};
use planted::Defect;
use windows::{Observed, Windows};

use crate::model::{Labels, pairs};

/// What each alert of a series has beside the series' own labels.
const OF_ALERTS: [&str; 3] = ["alertname", "entity_id", "kind"];

/// Takes an event into the windows, with the signals in `wanted` or with all of them, and gives the time at which
/// ingest received it. An event that does not tell that time, as in an object that was put there by hand, counts as
/// received when it happened.
pub fn observe(windows: &mut Windows, event: &Event<'_>, wanted: Option<&BTreeSet<String>>) -> i64 {
    let at = event.time.timestamp_millis();
    let arrived = event
        .received_at
        .filter(|_| !planted::has(Defect::TrustDeviceClocks))
        .map_or(at, |received| received.timestamp_millis());
    let mut signals = Vec::with_capacity(event.signals.len());
    for (name, value) in &event.signals {
        let is_wanted = wanted.is_none_or(|wanted| wanted.contains(name.as_ref()));
        if let Some(number) = value.as_number().filter(|_| is_wanted) {
            signals.push((name.as_ref(), number));
        }
    }
    if signals.is_empty() {
        return arrived;
    }
    let (labels, dimensions) = (labels_of(event), dimensions_of(event));
    let labels: Vec<_> = labels
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    let dimensions: Vec<_> = pairs(&dimensions).collect();
    windows.observe(&Observed {
        kind: &event.kind.name,
        entity: &event.entity,
        at,
        arrived,
        labels: &labels,
        dimensions: &dimensions,
        signals: &signals,
    });
    arrived
}

/// The kind's text fields, and after them the labels that a field of labels holds, if these are no dimensions. The name
/// of a long kind's signal is none: it tells the series.
fn labels_of<'e>(event: &'e Event<'_>) -> Vec<(Cow<'e, str>, Cow<'e, str>)> {
    let signal_at = match event.kind.signals_at {
        SignalsAt::Fields { name, .. } => Some(name),
        SignalsAt::Object(_) => None,
    };
    let (mut texts, mut held) = (Vec::with_capacity(event.fields.len()), Vec::new());
    for (field, value) in &event.fields {
        let (Scalar::Text(text), Some(rule)) = (value, event.kind.fields.get(*field)) else {
            continue;
        };
        if rule.scalar != ScalarType::Labels {
            if signal_at != Some(*field) {
                texts.push((Cow::from(rule.name.as_str()), Cow::from(text.as_ref())));
            }
        } else if !event.kind.is_long() {
            held.extend(
                read_labels(text)
                    .into_iter()
                    .map(|(name, text)| (name.into(), text.into())),
            );
        }
    }
    texts.extend(held);
    texts
}

/// The labels of an event of a long kind: they tell its series from others of the entity and signal, as in Prometheus.
/// One that is called as what each alert has is called `exported_…`, as Prometheus does when it scrapes.
pub(super) fn dimensions_of(event: &Event<'_>) -> Labels {
    let mut dimensions = Labels::new();
    if !event.kind.is_long() {
        return dimensions;
    }
    for (field, value) in &event.fields {
        let (Scalar::Text(text), Some(rule)) = (value, event.kind.fields.get(*field)) else {
            continue;
        };
        if rule.scalar != ScalarType::Labels {
            continue;
        }
        for (mut name, value) in read_labels(text) {
            while OF_ALERTS.contains(&&*name) || dimensions.contains_key(&name) {
                name.insert_str(0, "exported_");
            }
            dimensions.insert(name, value);
        }
    }
    dimensions
}

/// Such a field is always an object of texts.
fn read_labels(text: &str) -> Labels {
    serde_json::from_str(text).unwrap_or_default()
}

/// Whether a series of the kind with such a label has it as a dimension, rather than as a text that describes it.
pub fn is_dimension(kinds: &Kinds, kind: &str, label: &str) -> bool {
    kinds.get(kind).is_some_and(|kind| {
        let is_labels = |rule: &FieldRule| rule.scalar == ScalarType::Labels;
        let is_it = |rule: &FieldRule| rule.name == label;
        kind.is_long() && kind.fields.iter().any(is_labels) && !kind.fields.iter().any(is_it)
    })
}

#[cfg(test)]
mod tests {
    use contract::parse_sent;
    use windows::Settings;

    use super::*;

    /// The labels and the dimensions of the series that an event makes.
    fn labels(kinds: &Kinds, sent: &str, signal: &str) -> [Vec<(String, String)>; 2] {
        let now = "2025-10-04T12:00:00Z".parse().unwrap();
        let event = parse_sent(kinds, None, sent, now).unwrap();
        let mut windows = Windows::new(Settings::default(), now.timestamp_millis());
        observe(&mut windows, &event, None);
        let series = windows.series(None, signal).next().unwrap();
        let series = windows.describe(series).unwrap();
        let labels = series.labels().map(|(name, value)| pair(name, value));
        let dimensions = series.dimensions().map(|(name, value)| pair(name, value));
        [labels.collect(), dimensions.collect()]
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn tags_of_a_sample_are_dimensions() {
        let kinds = Kinds::builtin();
        let sent = r#"{"name":"cpu_usage","value":85,"tags":{"zone":"b","host":"a \"b\""}}"#;
        let expected = [vec![], vec![pair("host", "a \"b\""), pair("zone", "b")]];
        assert_eq!(labels(&kinds, sent, "cpu_usage"), expected);
        let none = [vec![], vec![]];
        assert_eq!(labels(&kinds, r#"{"name":"up","value":1}"#, "up"), none);
        assert!(is_dimension(&kinds, "metric", "zone"));
        assert!(!is_dimension(&kinds, "vehicle", "can_id") && !is_dimension(&kinds, "x", "zone"));
    }

    #[test]
    fn a_tag_that_is_called_as_what_each_alert_has_gets_another_name() {
        let tags = r#"{"alertname":"A","entity_id":"e","exported_kind":"x","kind":"Pod"}"#;
        let sent = format!(r#"{{"name":"up","value":1,"tags":{tags}}}"#);
        let expected = [
            pair("exported_alertname", "A"),
            pair("exported_entity_id", "e"),
            pair("exported_exported_kind", "Pod"),
            pair("exported_kind", "x"),
        ];
        assert_eq!(labels(&Kinds::builtin(), &sent, "up")[1], expected);
    }

    #[test]
    fn text_fields_are_labels() {
        let sent = r#"{"timestamp":"2025-10-04T12:00:00Z","vehicle_id":"v","can_id":"0x1F0","payload":{"engine_rpm":1}}"#;
        let expected = [vec![pair("can_id", "0x1F0")], vec![]];
        assert_eq!(labels(&Kinds::builtin(), sent, "engine_rpm"), expected);
    }

    #[test]
    fn text_fields_of_a_long_kind_describe_and_labels_of_other_kinds_do() {
        let folder = tempfile::tempdir().unwrap();
        let declare = |name: &str, rest: &str| {
            let text = format!(
                "kind = \"{name}\"\nversion = 1\n[entity]\nfield = \"of_{name}\"\n[time]\nfield = \"at\"\n\
                 default = \"arrival\"\n[fields.tags]\ntype = \"labels\"\n[fields.unit]\ntype = \"string\"\n{rest}\n"
            );
            std::fs::write(folder.path().join(format!("{name}.toml")), text).unwrap();
        };
        declare(
            "long",
            "[signals]\nname_field = \"name\"\nvalue_field = \"value\"",
        );
        declare("wide", "[signals]\nfield = \"values\"");
        let kinds = Kinds::load(Some(folder.path())).unwrap();
        let long = r#"{"of_long":"e","name":"x","value":1,"unit":"s","tags":{"a":"1"}}"#;
        let expected = [vec![pair("unit", "s")], vec![pair("a", "1")]];
        assert_eq!(labels(&kinds, long, "x"), expected);
        assert!(is_dimension(&kinds, "long", "a") && !is_dimension(&kinds, "long", "unit"));
        let wide = r#"{"of_wide":"e","values":{"x":1},"unit":"s","tags":{"a":"1"}}"#;
        let expected = [vec![pair("unit", "s"), pair("a", "1")], vec![]];
        assert_eq!(labels(&kinds, wide, "x"), expected);
        assert!(!is_dimension(&kinds, "wide", "a"));
    }
}
