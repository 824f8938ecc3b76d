//! What of an object is of one entity, and the object without it. Nothing here calls S3.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{BooleanArray, StringArray, TimestampMicrosecondArray};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use contract::{CURATED, Envelope, Format, Kinds, RAW, Unpacker};
use memchr::memmem::Finder;
use parquet::errors::ParquetError;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::aggregates;
use crate::key::{ALERTS, ASIDE, LETTERS, MOMENTS, curated_hour_of};
use crate::parquet_file::{self, column};
use crate::parts;
use crate::rows::lines::lines;

/// An entity that is to be forgotten, or the part of its events before a time.
#[derive(Debug, Clone)]
pub struct Forgotten {
    kinds: Arc<Kinds>,
    kind: String,
    entity: String,
    before: Option<DateTime<Utc>>,
    /// The entity's bytes.
    named: Finder<'static>,
    /// The entity as a text of JSON.
    quoted: String,
    /// Whether events that name no entity are of this one.
    is_default: bool,
}

/// An object without what is forgotten.
#[derive(Debug)]
pub struct Edited {
    /// The new content.
    pub body: Bytes,
    /// Events, or lines, that it lacks.
    pub gone: u64,
    /// Rows that are left, of a part alone.
    pub left: Option<u64>,
}

impl Forgotten {
    /// Events of `entity`, of the kind named `kind`, that happened before `before`, or all of them.
    pub fn new(
        kinds: Arc<Kinds>,
        kind: &str,
        entity: &str,
        before: Option<DateTime<Utc>>,
    ) -> Forgotten {
        let default = kinds
            .get(kind)
            .and_then(|kind| kind.entity.default.as_deref());
        Forgotten {
            is_default: default == Some(entity),
            named: Finder::new(entity).into_owned(),
            quoted: Value::from(entity).to_string(),
            kind: kind.to_owned(),
            entity: entity.to_owned(),
            before,
            kinds,
        }
    }

    /// The object of this key without what is forgotten; none if it has nothing of it. Objects of `aggregates/` are not
    /// edited but counted again: see [`in_aggregates`](Self::in_aggregates).
    ///
    /// # Errors
    ///
    /// If a part is no Parquet.
    pub fn edit(&self, key: &str, body: &Bytes) -> Result<Option<Edited>, ParquetError> {
        let told = |line: &[u8]| self.is_told(line);
        let aside = |line: &[u8]| self.is_aside(line);
        Ok(if key.starts_with(RAW) {
            self.blanked(body)
        } else if key.starts_with(ASIDE) {
            without(body, aside)
        } else if key.starts_with(MOMENTS) || key.starts_with(ALERTS) {
            without(body, told)
        } else if key.starts_with(LETTERS) {
            self.letter(body)
        } else if key.starts_with(CURATED) {
            let is_kind = curated_hour_of(key).is_some_and(|(kind, _)| kind == self.kind);
            return if is_kind { self.part(body) } else { Ok(None) };
        } else {
            None
        })
    }

    /// Whether it is an event of the entity. A line that is no event goes if it seems to be about the entity, whatever
    /// its time; one that is no JSON, if it has the entity between quotes.
    fn is_theirs(&self, line: &[u8]) -> bool {
        // A text of JSON may be written with escapes.
        let may_name = self.is_default
            || memchr::memchr(b'\\', line).is_some()
            || self.named.find(line).is_some();
        if !may_name {
            return false;
        }
        let text = String::from_utf8_lossy(line);
        if let Ok(event) = contract::parse_line(&self.kinds, &text) {
            return event.kind.name == self.kind
                && event.entity == self.entity
                && self.is_before(event.time);
        }
        match contract::identify(&self.kinds, &text) {
            (Some(kind), _) if kind != self.kind => false,
            (Some(_), Some(entity)) => entity == self.entity,
            _ => text.contains(&self.quoted),
        }
    }

    fn is_before(&self, time: DateTime<Utc>) -> bool {
        self.before.is_none_or(|before| time < before)
    }

    /// A raw object keeps its length, and its other lines their places: what is forgotten becomes spaces. Whoever reads
    /// the object in pieces, or a line of it again, may have read the first of them before.
    fn blanked(&self, body: &Bytes) -> Option<Edited> {
        let (mut blank, mut gone) = (Vec::new(), 0);
        for line in lines(body).filter(|line| self.is_theirs(&body[line.clone()])) {
            if blank.is_empty() {
                blank = body.to_vec();
            }
            let bytes = blank[line].iter_mut().filter(|byte| **byte != b'\n');
            bytes.for_each(|byte| *byte = b' ');
            gone += 1;
        }
        edited(blank.into(), gone)
    }

    /// Whether a line of `_aside/` holds an event of the entity.
    fn is_aside(&self, line: &[u8]) -> bool {
        #[derive(Deserialize)]
        struct Entry<'a> {
            #[serde(borrow)]
            line: Cow<'a, str>,
        }
        let entry = serde_json::from_slice::<Entry<'_>>(line);
        entry.is_ok_and(|entry| self.is_theirs(entry.line.as_bytes()))
    }

    /// Whether a line of `moments/` or `alerts/` is about the entity. A moment names it beside its labels, an alert
    /// among them, and need not tell the kind.
    fn is_told(&self, line: &[u8]) -> bool {
        let Ok(told) = serde_json::from_slice::<Value>(line) else {
            return self.named.find(line).is_some();
        };
        let is_it = |value: &Value| *value == *self.entity;
        let labels = told.get("labels").and_then(Value::as_object);
        let names = match (told.get("entity_id"), labels) {
            (None, Some(labels)) => labels.values().any(is_it),
            (entity, _) => entity.is_some_and(is_it),
        };
        let kind = told.get("kind").or_else(|| labels?.get("kind"));
        let kind = kind.and_then(Value::as_str);
        let at = told.get("started_at").or_else(|| told.get("at"));
        let time = at
            .and_then(Value::as_i64)
            .and_then(DateTime::from_timestamp_millis);
        names
            && kind.is_none_or(|kind| kind == self.kind)
            && time.is_none_or(|time| self.is_before(time))
    }

    /// A message that no dead letter could hold: its events as text, without those of the entity.
    fn letter(&self, body: &Bytes) -> Option<Edited> {
        #[derive(Deserialize, Serialize)]
        struct Content {
            body: String,
            attributes: BTreeMap<String, String>,
        }
        let mut content: Content = serde_json::from_slice(body).ok()?;
        let envelope = Envelope::read(&content.body, &content.attributes);
        let text = envelope.text(&mut Unpacker::default());
        let text = text.unwrap_or(Cow::Borrowed(&content.body)).into_owned();
        let texts = contract::split(text.as_bytes(), Format::Any);
        let texts = texts.unwrap_or_else(|_| text.lines().collect());
        let all = texts.len();
        let stay = texts.into_iter();
        let stay = stay.filter(|text| !self.is_theirs(text.as_bytes()));
        let stay: Vec<&str> = stay.collect();
        let gone = all - stay.len();
        content.body = stay.join("\n");
        for name in Envelope::ATTRIBUTES {
            content.attributes.remove(name);
        }
        edited(serde_json::to_vec(&content).ok()?.into(), gone as u64)
    }

    /// A part without the rows of the entity, as a part is written.
    fn part(&self, file: &Bytes) -> Result<Option<Edited>, ParquetError> {
        let columns = ["entity_id", "event_time"];
        let rows = parquet_file::from_parquet(file.clone(), Some(&columns))?;
        let entities: &StringArray = column(&rows, "entity_id")?;
        let times: &TimestampMicrosecondArray = column(&rows, "event_time")?;
        let before = self.before.map_or(i64::MAX, |time| time.timestamp_micros());
        let stays = entities.iter().zip(times.iter());
        let stays: BooleanArray = stays
            .map(|(entity, time)| {
                Some(entity != Some(&self.entity) || time.is_some_and(|time| time >= before))
            })
            .collect();
        let left = stays.true_count() as u64;
        let gone = stays.len() as u64 - left;
        if gone == 0 {
            return Ok(None);
        }
        Ok(Some(Edited {
            body: parts::filtered(file.clone(), &stays)?,
            gone,
            left: Some(left),
        }))
    }

    /// Whether an object of `aggregates/`, Parquet or JSONL, counts the entity.
    ///
    /// # Errors
    ///
    /// If it is Parquet by its key and not by its content.
    pub fn in_aggregates(&self, key: &str, body: Bytes) -> Result<bool, ParquetError> {
        if key.ends_with(".parquet") {
            return aggregates::has_entity(body, &self.entity);
        }
        let named = format!("\"entity_id\":{},", self.quoted);
        Ok(memchr::memmem::find(&body, named.as_bytes()).is_some())
    }

    /// Whether a part whose file ends so may have rows of the entity: not if all of its row groups say that they have
    /// other ones.
    pub fn may_be_in_part(&self, end: &[u8]) -> bool {
        parts::may_have_entity(end, &self.entity)
    }
}

fn edited(body: Bytes, gone: u64) -> Option<Edited> {
    let left = None;
    (gone > 0).then_some(Edited { body, gone, left })
}

/// The lines that do not go.
fn without(body: &Bytes, goes: impl Fn(&[u8]) -> bool) -> Option<Edited> {
    let (mut stay, mut gone) = (Vec::new(), 0);
    for line in lines(body) {
        let line = &body[line];
        if goes(line) {
            gone += 1;
        } else {
            stay.extend_from_slice(line);
        }
    }
    edited(stay.into(), gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forgotten(before: Option<&str>) -> Forgotten {
        let before = before.map(|time| time.parse().unwrap());
        Forgotten::new(Arc::new(Kinds::builtin()), "vehicle", "veh-1", before)
    }

    fn line(vehicle: &str) -> String {
        format!(
            r#"{{"kind":"vehicle","event_id":"a","ingest_received_at":"2025-10-04T12:34:57.000Z","timestamp":"2025-10-04T12:34:56Z","vehicle_id":"{vehicle}","can_id":"0x1","payload":{{"x":1}}}}"#
        )
    }

    fn edit(key: &str, body: &str, who: &Forgotten) -> Option<(String, u64)> {
        let edited = who.edit(key, &Bytes::from(body.to_owned())).unwrap()?;
        let body = String::from_utf8(edited.body.to_vec()).unwrap();
        Some((body, edited.gone))
    }

    #[test]
    fn a_raw_object_keeps_its_length_and_the_lines_of_others_their_places() {
        let (one, two) = (line("veh-1"), line("veh-12"));
        let escaped = line(r"\u0076eh-1");
        let broken = r#"{"vehicle_id":"veh-1","payload":3}"#;
        let cut = r#"{"kind":"vehicle","vehicle_id":"veh-1","payl"#;
        let body = format!("{one}\n{two}\n{escaped}\n{broken}\n{cut}\n{two}");
        let (edited, gone) = edit("raw/x.jsonl", &body, &forgotten(None)).unwrap();
        assert_eq!((edited.len(), gone), (body.len(), 4));
        assert_eq!(edited.matches(&two).count(), 2);
        assert_eq!(edited.find(&two), body.find(&two));
        assert!(!edited.replace("veh-12", "").contains("veh-1"));
        assert!(edit("raw/x.jsonl", &edited, &forgotten(None)).is_none());
        let other = one.replace(r#""kind":"vehicle""#, r#""kind":"tram""#);
        for stays in [two, other] {
            assert!(edit("raw/x.jsonl", &stays, &forgotten(None)).is_none());
        }
    }

    #[test]
    fn events_from_the_given_time_on_stay() {
        let one = line("veh-1");
        let gone = |before| edit("raw/x.jsonl", &one, &forgotten(Some(before))).is_some();
        assert!(gone("2025-10-04T12:34:57Z") && !gone("2025-10-04T12:34:56Z"));
    }

    #[test]
    fn lines_set_aside_and_told_go_by_whom_they_are_about() {
        let aside = |line: String| {
            format!(
                "{}\n",
                serde_json::json!({"reason": "conflict", "line": line})
            )
        };
        let body = aside(line("veh-1")) + &aside(line("veh-2"));
        let kept = edit("_aside/1-2.jsonl", &body, &forgotten(None));
        assert_eq!(kept, Some((aside(line("veh-2")), 1)));
        for labels in ["", r#""labels":{"code":"200","kind":"veh-1"},"#] {
            let moment = |kind, entity| {
                format!(
                    "{{\"moment_id\":\"m\",\"kind\":\"{kind}\",\"entity_id\":\"{entity}\",{labels}\"started_at\":1}}\n"
                )
            };
            let body = moment("vehicle", "veh-1") + &moment("cell", "veh-1");
            let kept = edit("moments/a.jsonl", &body, &forgotten(None));
            assert_eq!(kept, Some((moment("cell", "veh-1"), 1)));
        }
        let change = r#"{"episode":"e","labels":{"alertname":"A","entity_id":"veh-1"},"at":5}"#;
        assert_eq!(
            edit("alerts/a.jsonl", change, &forgotten(None)),
            Some((String::new(), 1))
        );
        assert_eq!(
            edit(
                "alerts/a.jsonl",
                change,
                &forgotten(Some("1970-01-01T00:00:00Z"))
            ),
            None
        );
    }

    #[test]
    fn a_message_kept_whole_keeps_the_events_of_others() {
        let lines = format!("{}\n{}\n", line("veh-1"), line("veh-2"));
        let pack = &contract::Packer::new()
            .unwrap()
            .pack(lines.as_bytes())
            .unwrap()[0];
        let mut attributes = pack.attributes();
        attributes.insert("own".to_owned(), "1".to_owned());
        let body = serde_json::json!({"body": pack.body, "attributes": attributes}).to_string();
        let (kept, gone) = edit("_letters/m/h.json", &body, &forgotten(None)).unwrap();
        let kept: Value = serde_json::from_str(&kept).unwrap();
        assert_eq!((kept["body"].as_str(), gone), (Some(&*line("veh-2")), 1));
        assert_eq!(kept["attributes"], serde_json::json!({"own": "1"}));
    }
}
