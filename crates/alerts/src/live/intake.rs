//! Events of the lake as windows take them in.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use contract::{Event, Scalar, ScalarType, SignalsAt};
use planted::Defect;
use windows::{Observed, Windows};

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
    let labels = labels_of(event);
    let labels: Vec<_> = labels
        .iter()
        .map(|(name, value)| (name.as_ref(), value.as_ref()))
        .collect();
    windows.observe(&Observed {
        kind: &event.kind.name,
        entity: &event.entity,
        at,
        arrived,
        labels: &labels,
        dimensions: &[],
        signals: &signals,
    });
    arrived
}

/// The kind's text fields, and after them the labels that a field of labels holds. The name of a long kind's signal is
/// none: it tells the series.
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
        if rule.scalar == ScalarType::Labels {
            // Such a field is always an object of texts.
            let read: BTreeMap<String, String> = serde_json::from_str(text).unwrap_or_default();
            held.extend(
                read.into_iter()
                    .map(|(name, text)| (name.into(), text.into())),
            );
        } else if signal_at != Some(*field) {
            texts.push((Cow::from(rule.name.as_str()), Cow::from(text.as_ref())));
        }
    }
    texts.extend(held);
    texts
}

#[cfg(test)]
mod tests {
    use contract::{Kinds, parse_sent};
    use windows::Settings;

    use super::*;

    fn labels(sent: &str, signal: &str) -> Vec<(String, String)> {
        let kinds = Kinds::builtin();
        let now = "2025-10-04T12:00:00Z".parse().unwrap();
        let event = parse_sent(&kinds, None, sent, now).unwrap();
        let mut windows = Windows::new(Settings::default(), now.timestamp_millis());
        observe(&mut windows, &event, None);
        let series = windows.series(None, signal).next().unwrap();
        let series = windows.describe(series).unwrap();
        series
            .labels()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn a_sample_is_a_series_of_its_name_with_the_labels_of_its_tags() {
        let sent = r#"{"name":"cpu_usage","value":85,"tags":{"zone":"b","host":"a \"b\""}}"#;
        let expected = [pair("host", "a \"b\""), pair("zone", "b")];
        assert_eq!(labels(sent, "cpu_usage"), expected);
        assert_eq!(labels(r#"{"name":"up","value":1}"#, "up"), []);
    }

    #[test]
    fn text_fields_are_labels() {
        let sent = r#"{"timestamp":"2025-10-04T12:00:00Z","vehicle_id":"v","can_id":"0x1F0","payload":{"engine_rpm":1}}"#;
        assert_eq!(labels(sent, "engine_rpm"), [pair("can_id", "0x1F0")]);
    }
}
