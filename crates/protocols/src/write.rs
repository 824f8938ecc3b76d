//! Writes points as events: of the kind `metric`, or of the kind that a rule says.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat};
use contract::{Kind, Kinds, METRIC, ScalarType, SignalsAt, TimeFormat};
use serde::Serialize;

use crate::Protocol;
use crate::emit::SentEvent;
use crate::mapping::{Mapping, Rule};
use crate::point::{Label, Point, Value};

/// Whole numbers up to this one have a double of their own, and are written without a fraction.
const MAX_EXACT: f64 = (1_u64 << 53) as f64;

/// Writes the points of a body as events.
#[derive(Debug)]
pub(crate) struct Writer<'k> {
    kinds: &'k Kinds,
    mapping: &'k Mapping,
    protocol: Protocol,
    json: Vec<u8>,
}

impl<'k> Writer<'k> {
    pub(crate) fn new(kinds: &'k Kinds, mapping: &'k Mapping, protocol: Protocol) -> Writer<'k> {
        Writer {
            kinds,
            mapping,
            protocol,
            json: Vec::with_capacity(512),
        }
    }

    /// Gives the events of the point to `take`. Says how many values no event can hold.
    pub(crate) fn write<E>(
        &mut self,
        point: &Point<'_>,
        mut take: impl FnMut(SentEvent<'_>) -> Result<(), E>,
    ) -> Result<u64, E> {
        let (kinds, mapping) = (self.kinds, self.mapping);
        let rule = mapping.rule(self.protocol, point.name);
        let name = rule.map_or(METRIC, |rule| &rule.kind);
        // The kinds are the program's own and those that the mapping was held against.
        let Some(kind) = kinds.get(name) else {
            return Ok(point.values.len() as u64);
        };
        let has_time = point.nanos.is_some();
        let mut give = |json: &[u8]| match std::str::from_utf8(json) {
            Ok(text) => take(SentEvent {
                kind,
                text,
                has_time,
            }),
            Err(_) => Ok(()),
        };
        let mut left_out = 0;
        match kind.signals_at {
            SignalsAt::Fields { name, value } => {
                for (field, told) in point.values {
                    self.json.clear();
                    let written = match told {
                        Value::Number(number) if number.is_finite() => Some(*number),
                        Value::Bool(value) => Some(f64::from(u8::from(*value))),
                        _ => None,
                    };
                    let Some(number) = written else {
                        left_out += 1;
                        continue;
                    };
                    self.json.push(b'{');
                    key(&mut self.json, &kind.fields[name].name);
                    text(&mut self.json, &signal(rule, point.name, field));
                    key(&mut self.json, &kind.fields[value].name);
                    put_number(&mut self.json, number);
                    self.rest_of_long(kind, rule, point);
                    self.json.push(b'}');
                    give(&self.json)?;
                }
            }
            SignalsAt::Object(ref object) => {
                self.json.clear();
                self.json.push(b'{');
                self.entity_and_time(kind, rule, point);
                self.fields(kind, rule, point);
                key(&mut self.json, object);
                self.json.push(b'{');
                let before = self.json.len();
                for (field, told) in point.values {
                    if matches!(told, Value::Number(number) if !number.is_finite()) {
                        left_out += 1;
                        continue;
                    }
                    let sent = if field.is_empty() { point.name } else { field };
                    key(&mut self.json, &named(rule, sent));
                    match told {
                        Value::Number(number) => put_number(&mut self.json, *number),
                        Value::Bool(value) => json(&mut self.json, value),
                        Value::Text(value) => text(&mut self.json, value),
                    }
                }
                let is_empty = self.json.len() == before;
                self.json.extend_from_slice(b"}}");
                if !is_empty {
                    give(&self.json)?;
                }
            }
        }
        Ok(left_out)
    }

    /// The name that values sent under this one have in the kind `metric`; `None` if they are of another kind.
    pub(crate) fn metric<'p>(&self, sent: &'p str) -> Option<Cow<'p, str>>
    where
        'k: 'p,
    {
        let rule = self.mapping.rule(self.protocol, sent);
        let is_metric = rule.is_none_or(|rule| rule.kind == METRIC);
        is_metric.then(|| named(rule, sent))
    }

    fn rest_of_long(&mut self, kind: &Kind, rule: Option<&Rule>, point: &Point<'_>) {
        if let Some(nanos) = point.nanos {
            self.time(kind, nanos);
        }
        if let Some(entity) = entity_of(self.mapping, rule, kind, point) {
            key(&mut self.json, &kind.entity.field);
            text(&mut self.json, &entity);
        }
        self.fields(kind, rule, point);
        let tags = kind
            .fields
            .iter()
            .find(|field| field.scalar == ScalarType::Labels);
        if let Some(tags) = tags {
            self.labels(&tags.name, point.labels);
        }
    }

    fn entity_and_time(&mut self, kind: &Kind, rule: Option<&Rule>, point: &Point<'_>) {
        let label = rule
            .and_then(|rule| rule.entity.as_ref())
            .unwrap_or(&kind.entity.field);
        if let Some(entity) = value_of(point.labels, label) {
            key(&mut self.json, &kind.entity.field);
            text(&mut self.json, entity);
        }
        if let Some(nanos) = point.nanos {
            self.time(kind, nanos);
        }
    }

    fn time(&mut self, kind: &Kind, nanos: i64) {
        key(&mut self.json, &kind.time.field);
        let power = match kind.time.format {
            TimeFormat::Rfc3339 => {
                let time = DateTime::from_timestamp_nanos(nanos);
                return text(
                    &mut self.json,
                    &time.to_rfc3339_opts(SecondsFormat::AutoSi, true),
                );
            }
            TimeFormat::EpochS => 9,
            TimeFormat::EpochMs | TimeFormat::Rfc3339OrEpochMs => 6,
            TimeFormat::EpochUs => 3,
        };
        put_time(&mut self.json, nanos, power);
    }

    /// The kind's other fields, as far as the rule says where they stand.
    fn fields(&mut self, kind: &Kind, rule: Option<&Rule>, point: &Point<'_>) {
        let Some(rule) = rule else { return };
        for (name, label) in &rule.fields {
            let Some(value) = value_of(point.labels, label) else {
                if let Some(constant) = rule.constants.get(name) {
                    key(&mut self.json, name);
                    json(&mut self.json, constant);
                }
                continue;
            };
            key(&mut self.json, name);
            let declared = kind.fields.iter().find(|field| field.name == *name);
            match declared.map(|field| field.scalar) {
                Some(ScalarType::Number | ScalarType::Integer) => match value.parse::<f64>() {
                    Ok(number) if number.is_finite() => put_number(&mut self.json, number),
                    _ => text(&mut self.json, value),
                },
                Some(ScalarType::Boolean) => match value.parse::<bool>() {
                    Ok(value) => json(&mut self.json, &value),
                    Err(_) => text(&mut self.json, value),
                },
                _ => text(&mut self.json, value),
            }
        }
        for (name, constant) in &rule.constants {
            if !rule.fields.contains_key(name) {
                key(&mut self.json, name);
                json(&mut self.json, constant);
            }
        }
    }

    /// All labels, under names that labels may have; of those that come to have one name the values are joined by `;`,
    /// as [OpenTelemetry does](https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/).
    fn labels(&mut self, field: &str, labels: &[Label<'_>]) {
        let mut sorted: Vec<(Cow<'_, str>, &str)> = labels
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (plain(name), &**value))
            .collect();
        if sorted.is_empty() {
            return;
        }
        sorted.sort_unstable();
        key(&mut self.json, field);
        self.json.push(b'{');
        for same in sorted.chunk_by(|one, two| one.0 == two.0) {
            key(&mut self.json, &same[0].0);
            match same {
                [(_, value)] => text(&mut self.json, value),
                several => {
                    let values: Vec<&str> = several.iter().map(|(_, value)| *value).collect();
                    text(&mut self.json, &values.join(";"));
                }
            }
        }
        self.json.push(b'}');
    }
}

/// The name of a value of a long kind: of a field of a measurement both, with `_` between them.
fn signal<'p>(rule: Option<&'p Rule>, metric: &'p str, field: &str) -> Cow<'p, str> {
    match field {
        "" | "value" => named(rule, metric),
        field => Cow::Owned(named(rule, &format!("{metric}_{field}")).into_owned()),
    }
}

/// The signal that is sent under this name.
fn named<'p>(rule: Option<&'p Rule>, sent: &'p str) -> Cow<'p, str> {
    let Some(rule) = rule else { return plain(sent) };
    match rule.signals.iter().find(|(_, name)| *name == sent) {
        Some((signal, _)) => Cow::Borrowed(signal),
        None => plain(sent.strip_prefix(&*rule.strip).unwrap_or(sent)),
    }
}

/// The entity of a sample of a long kind. What its form does not take becomes `_`: the label itself is kept beside it.
fn entity_of<'p>(
    mapping: &Mapping,
    rule: Option<&Rule>,
    kind: &Kind,
    point: &'p Point<'_>,
) -> Option<Cow<'p, str>> {
    let ruled = rule.and_then(|rule| rule.entity.as_deref());
    let sent = match ruled {
        Some(label) => value_of(point.labels, label),
        None => mapping
            .entity_labels()
            .find_map(|label| value_of(point.labels, label)),
    }?;
    let end = sent.floor_char_boundary(kind.entity.max_length);
    let sent = &sent[..end];
    if kind.entity.pattern.is_match(sent) {
        return Some(Cow::Borrowed(sent));
    }
    let usual = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '_' | ':' | '-');
    let chars = sent
        .chars()
        .map(|char| if usual(char) { char } else { '_' });
    Some(Cow::Owned(chars.collect()))
}

fn value_of<'p>(labels: &'p [Label<'_>], wanted: &str) -> Option<&'p str> {
    let found = labels.iter().rev().find(|(name, _)| name == wanted);
    found
        .map(|(_, value)| &**value)
        .filter(|value| !value.is_empty())
}

/// The name with `_` for what names of labels and signals do not have, as Prometheus' names are made of
/// OpenTelemetry's.
fn plain(name: &str) -> Cow<'_, str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let starts_with_digit = name.as_bytes().first().is_some_and(u8::is_ascii_digit);
    if name.bytes().all(fits) && !starts_with_digit {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len() + 1);
    if starts_with_digit {
        out.push('_');
    }
    out.extend(name.chars().map(|char| match u8::try_from(char) {
        Ok(byte) if fits(byte) => char,
        _ => '_',
    }));
    Cow::Owned(out)
}

/// Puts what stands before a value of an object: a comma, unless it is the first, and its name.
fn key(out: &mut Vec<u8>, name: &str) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    text(out, name);
    out.push(b':');
}

fn text(out: &mut Vec<u8>, text: &str) {
    json(out, text);
}

fn json(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(out, value).expect("texts and numbers can be written as JSON");
}

fn put_number(out: &mut Vec<u8>, number: f64) {
    if number.fract() == 0.0 && number.abs() <= MAX_EXACT {
        out.extend_from_slice(itoa::Buffer::new().format(number as i64).as_bytes());
    } else {
        json(out, &number);
    }
}

/// Puts a time as a number in the unit of `10^power` nanoseconds, none of them left out.
fn put_time(out: &mut Vec<u8>, nanos: i64, power: usize) {
    let unit = 10_u64.pow(power as u32);
    let (whole, rest) = (nanos.unsigned_abs() / unit, nanos.unsigned_abs() % unit);
    if nanos < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
    if rest > 0 {
        let digits = format!(".{rest:0power$}");
        out.extend_from_slice(digits.trim_end_matches('0').as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_each_nanosecond() {
        for (nanos, power, text) in [
            (1_700_000_000_123_000_000, 6, "1700000000123"),
            (1_700_000_000_123_456_789, 6, "1700000000123.456789"),
            (1_700_000_000_120_000_000, 9, "1700000000.12"),
            (-1_500_000, 6, "-1.5"),
            (7, 3, "0.007"),
        ] {
            let mut out = Vec::new();
            put_time(&mut out, nanos, power);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn names_become_plain() {
        for (sent, expected) in [
            ("http.server.duration", "http_server_duration"),
            ("job:rate5m", "job_rate5m"),
            ("5xx", "_5xx"),
            ("température", "temp_rature"),
            ("up", "up"),
        ] {
            assert_eq!(plain(sent), expected);
        }
    }
}
