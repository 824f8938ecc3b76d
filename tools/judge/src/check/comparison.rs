//! What of the ledger was found in the lake, and what else was.

use std::collections::HashSet;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use contract::Kinds;

use super::question::{Places, Question};
use crate::arrivals::Arrivals;
use crate::content::ContentHash;
use crate::curated::{self, CuratedRow};
use crate::error::JudgeError;
use crate::examples::{EXAMPLES, cut};
use crate::identity::{Identity, identity, kind_name};
use crate::latency::Latency;
use crate::ledger::{Certainty, Ledger};
use crate::raw::{self, RawLine};
use crate::verdict::{Fault, Finding, Found, Verdict};

/// Contents of one identity beyond this many are not told apart in `raw/`.
const MAX_CONTENTS: usize = 32;

/// What has been found of one event of the ledger.
#[derive(Debug, Clone, Copy, Default)]
struct Sighting {
    /// Which of its contents `raw/` holds, a bit each.
    contents: u32,
    /// Objects in which it was first found: places among the keys, counted from 1; 0 if it was not found.
    raw_object: u32,
    curated_object: u32,
    curated_rows: u16,
    altered: bool,
    /// In one of the two it was found with other content.
    altered_in_raw: bool,
    /// 1 + the milliseconds from its acceptance until its raw object was seen; 0 if that was not seen.
    latency: u32,
}

pub(super) struct Comparison<'a> {
    kinds: &'a Kinds,
    ledger: &'a Ledger,
    question: &'a Question<'a>,
    sightings: Vec<Sighting>,
    keys: Vec<String>,
    strangers: HashSet<Identity>,
    verdict: Verdict,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(
        kinds: &'a Kinds,
        ledger: &'a Ledger,
        question: &'a Question<'a>,
    ) -> Comparison<'a> {
        Comparison {
            kinds,
            ledger,
            question,
            sightings: vec![Sighting::default(); ledger.len()],
            keys: Vec::new(),
            strangers: HashSet::new(),
            verdict: Verdict {
                accepted: ledger.accepted(),
                acceptances: ledger.acceptances(),
                maybe: ledger.maybe(),
                conflicts: ledger.conflicts(),
                raw: (question.places != Places::Curated).then(Found::default),
                curated: (question.places != Places::Raw).then(Found::default),
                ..Verdict::default()
            },
        }
    }

    pub(super) fn raw_object(&mut self, key: String, body: &[u8]) {
        let seen = self
            .question
            .arrivals
            .and_then(|arrivals| arrivals.first_seen(&key));
        let kinds = self.kinds;
        raw::read(kinds, &key, body, |line| self.raw_line(&key, line, seen));
        self.keys.push(key);
        if let Some(found) = &mut self.verdict.raw {
            found.objects += 1;
        }
    }

    fn raw_line(&mut self, key: &str, line: RawLine<'_>, seen: Option<DateTime<Utc>>) {
        let event = match line.event {
            Ok(event) => event,
            Err(reason) => {
                if self.question.scope.has_stranger(None) {
                    self.verdict.invented += 1;
                    let detail = format!("cannot be read: {reason}: {}", cut(line.text));
                    self.found_line(Fault::Invented, line.number, key, detail);
                }
                return;
            }
        };
        let identity = identity(self.kinds, &event);
        let Some(place) = self.ledger.place(&identity) else {
            self.stranger(identity, event.received_at, key, || cut(line.text));
            return;
        };
        if let Some(found) = &mut self.verdict.raw {
            found.rows += 1;
        }
        let content = ContentHash::of(&event);
        let known = self
            .ledger
            .contents(place)
            .take(MAX_CONTENTS)
            .position(|(sent, _)| sent == content);
        let sighting = &mut self.sightings[place as usize];
        if sighting.raw_object == 0 {
            sighting.raw_object = self.keys.len() as u32 + 1;
        }
        if let Some(seen) = seen {
            let waited = seen - self.ledger.entry(place).accepted_at;
            // Before its answer came back it may have been seen already.
            let waited =
                u32::try_from(waited.num_milliseconds().max(0)).unwrap_or(u32::MAX - 1) + 1;
            sighting.latency = match sighting.latency {
                0 => waited,
                before => before.min(waited),
            };
        }
        let detail = match (known, line.misplaced) {
            (None, _) => format!(
                "raw/ says something else than was accepted: {}",
                cut(line.text)
            ),
            (Some(_), Some(hour)) => format!("was received in {hour}, and stands elsewhere"),
            (Some(known), None) => {
                sighting.contents |= 1 << known;
                return;
            }
        };
        sighting.contents |= known.map_or(0, |known| 1 << known);
        sighting.altered_in_raw = true;
        self.altered(place, identity, key, detail);
    }

    pub(super) fn curated_object(&mut self, key: String, body: Bytes) -> Result<(), JudgeError> {
        let kinds = self.kinds;
        curated::read(kinds, &key, body, |row| self.curated_row(&key, row))?;
        self.keys.push(key);
        if let Some(found) = &mut self.verdict.curated {
            found.objects += 1;
        }
        Ok(())
    }

    fn curated_row(&mut self, key: &str, row: CuratedRow<'_>) {
        let Some(place) = self.ledger.place(&row.identity) else {
            let received_at = row.received_at;
            self.stranger(row.identity.clone(), received_at, key, || cut(&row.shown()));
            return;
        };
        if let Some(found) = &mut self.verdict.curated {
            found.rows += 1;
        }
        let sighting = &mut self.sightings[place as usize];
        sighting.curated_rows = sighting.curated_rows.saturating_add(1);
        if sighting.curated_rows == 1 {
            sighting.curated_object = self.keys.len() as u32 + 1;
        } else if sighting.curated_rows == 2 {
            self.verdict.duplicated += 1;
            let first = match self.keys.get(sighting.curated_object as usize - 1) {
                Some(first) => format!("again; it is in {first} too"),
                None => "twice in one object".to_owned(),
            };
            self.found(Fault::Duplicated, &row.identity, Some(key), first);
        }
        let known = self
            .ledger
            .contents(place)
            .any(|(sent, _)| sent.is_in_row(&row.content));
        if !known {
            let detail = format!(
                "curated/ says something else than was accepted: {}",
                cut(&row.shown())
            );
            self.altered(place, row.identity, key, detail);
        } else if row.misplaced {
            let detail = format!("happened in {}, and stands elsewhere", row.identity.hour());
            self.altered(place, row.identity, key, detail);
        }
    }

    fn altered(&mut self, place: u32, identity: Identity, key: &str, detail: String) {
        let sighting = &mut self.sightings[place as usize];
        if !std::mem::replace(&mut sighting.altered, true) {
            self.verdict.altered += 1;
            self.found(Fault::Altered, &identity, Some(key), detail);
        }
    }

    /// An event that is not in the ledger.
    fn stranger(
        &mut self,
        identity: Identity,
        received_at: Option<DateTime<Utc>>,
        key: &str,
        shown: impl Fn() -> String,
    ) {
        if !self.question.scope.has_stranger(received_at) || self.strangers.contains(&identity) {
            return;
        }
        self.verdict.invented += 1;
        self.found(
            Fault::Invented,
            &identity,
            Some(key),
            format!("was never accepted: {}", shown()),
        );
        self.strangers.insert(identity);
    }

    fn found(&mut self, fault: Fault, identity: &Identity, key: Option<&str>, detail: String) {
        let kind = kind_name(self.kinds, identity.kind());
        self.note(Finding {
            fault,
            kind,
            event_id: identity.event_id().to_string(),
            key: key.map(str::to_owned),
            detail,
        });
    }

    fn found_line(&mut self, fault: Fault, number: usize, key: &str, detail: String) {
        self.note(Finding {
            fault,
            kind: "?".to_owned(),
            event_id: format!("line {number}"),
            key: Some(key.to_owned()),
            detail,
        });
    }

    fn note(&mut self, finding: Finding) {
        let same = |other: &&Finding| other.fault == finding.fault;
        if self.verdict.findings.iter().filter(same).count() < EXAMPLES {
            self.verdict.findings.push(finding);
        }
    }

    /// Counts what is there, and what is not.
    pub(super) fn finish(mut self) -> Verdict {
        let mut lost = Vec::new();
        let mut latencies = Vec::new();
        for place in 0..self.ledger.len() as u32 {
            let sighting = self.sightings[place as usize];
            if sighting.latency > 0 {
                latencies.push(f64::from(sighting.latency - 1));
            }
            let accepted = self.ledger.is_accepted(place);
            let raw = self.is_in_raw(place, &sighting);
            if let Some(found) = &mut self.verdict.raw {
                found.events += u64::from(accepted && raw);
            }
            if let Some(found) = &mut self.verdict.curated {
                found.events += u64::from(accepted && sighting.curated_rows == 1);
            }
            let missing_in_raw = self.verdict.raw.is_some() && !raw;
            let missing_in_curated = self.verdict.curated.is_some() && sighting.curated_rows == 0;
            if accepted && (missing_in_raw || missing_in_curated) {
                lost.push(place);
            }
        }
        self.verdict.lost = lost.len() as u64;
        let every = self.question.arrivals.map(Arrivals::every);
        self.verdict.latency = every.and_then(|every| Latency::of(latencies, every));
        lost.truncate(EXAMPLES);
        let mut named: Vec<_> = self
            .ledger
            .identities()
            .filter(|(_, place)| lost.binary_search(place).is_ok())
            .collect();
        named.sort_unstable_by_key(|(_, place)| *place);
        for (identity, place) in named {
            self.lost(identity, place);
        }
        self.verdict.findings.sort_by_key(|finding| finding.fault);
        self.verdict
    }

    /// Whether `raw/` holds the event, in every content that was accepted. A line that says something
    /// else is an alteration rather than a loss.
    fn is_in_raw(&self, place: u32, sighting: &Sighting) -> bool {
        let wanted = self.ledger.contents(place).take(MAX_CONTENTS).enumerate();
        sighting.altered_in_raw
            || wanted
                .filter(|(_, (_, certainty))| *certainty == Certainty::Accepted)
                .all(|(at, _)| sighting.contents & (1 << at) != 0)
    }

    fn lost(&mut self, identity: &Identity, place: u32) {
        let sighting = self.sightings[place as usize];
        let key = |object: u32| self.keys.get((object as usize).checked_sub(1)?).cloned();
        let (detail, key) = match (sighting.raw_object, sighting.curated_rows) {
            (0, 0) => match (self.verdict.raw, self.verdict.curated) {
                (Some(_), Some(_)) => ("neither in raw/ nor in curated/", None),
                (Some(_), None) => ("not in raw/", None),
                (None, _) => ("not in curated/", None),
            },
            (0, _) => (
                "not in raw/, though in curated/",
                key(sighting.curated_object),
            ),
            (_, 0) => ("in raw/, and not in curated/", key(sighting.raw_object)),
            _ => (
                "not in raw/ with each content that was accepted",
                key(sighting.raw_object),
            ),
        };
        let accepted = self.ledger.entry(place).accepted_at;
        let detail = format!(
            "{detail}; accepted at {}",
            contract::format_millis(accepted)
        );
        self.found(Fault::Lost, identity, key.as_deref(), detail);
    }
}
