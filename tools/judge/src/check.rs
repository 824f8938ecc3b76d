//! Holds the ledger against the lake.

use std::collections::HashSet;

use aws::{Lake, ObjectInfo};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use contract::{CURATED, Kinds, RAW};
use futures::{StreamExt, TryStreamExt, stream};
use service::terminal::Progress;

use crate::arrivals::Arrivals;
use crate::content::Content;
use crate::curated::{self, Row};
use crate::error::JudgeError;
use crate::identity::{Identity, kind_name};
use crate::latency::Latency;
use crate::ledger::{Certainty, Ledger, identity};
use crate::raw::{self, RawLine};
use crate::scope::Scope;
use crate::verdict::{EXAMPLES, Fault, Finding, Found, Verdict};

/// Objects that are read ahead.
const READ_AHEAD: usize = 8;

/// Contents of one identity beyond this many are not told apart in `raw/`.
const MAX_CONTENTS: usize = 32;

/// Longest text that an example shows of an event, in characters.
const SHOWN: usize = 300;

/// Which parts of the lake are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Places {
    /// `raw/` and `curated/`.
    #[default]
    Both,
    /// `raw/` alone.
    Raw,
    /// `curated/` alone.
    Curated,
}

/// What is asked of the judge.
pub struct Question<'a> {
    /// Which part of the lake counts.
    pub scope: &'a Scope,
    /// Which parts of the lake are read.
    pub places: Places,
    /// When raw objects were first seen, for latencies.
    pub arrivals: Option<&'a Arrivals>,
    /// Told how far the reading has come.
    pub progress: &'a dyn Progress,
}

impl<'a> Question<'a> {
    /// About `raw/` and `curated/`, without latencies.
    pub fn new(scope: &'a Scope) -> Question<'a> {
        Question {
            scope,
            places: Places::Both,
            arrivals: None,
            progress: &(),
        }
    }
}

/// Reads the lake and says what of the ledger is in it, and what else.
///
/// An event counts as kept in `raw/` if it is there at least once, and in `curated/` if it is there
/// exactly once. Where one id was sent with several contents, `raw/` must hold each that was
/// accepted and `curated/` any one of them: which came first, the order of the answers does not
/// tell. Content is what the sender said, values compared as values; in `curated/` times count to the
/// microsecond.
///
/// # Errors
///
/// [`JudgeError`] if the lake cannot be read.
pub async fn judge(
    lake: &Lake,
    kinds: &Kinds,
    ledger: &Ledger,
    question: &Question<'_>,
) -> Result<Verdict, JudgeError> {
    let list = async |prefix: &str, suffix: &str, wanted: bool| {
        let mut objects = match wanted {
            true => lake.list(prefix, None).await?,
            false => Vec::new(),
        };
        objects.retain(|object| object.key.ends_with(suffix) && question.scope.has_object(object));
        Ok::<_, JudgeError>(objects)
    };
    let raw = list(RAW, ".jsonl", question.places != Places::Curated).await?;
    let curated = list(CURATED, ".parquet", question.places != Places::Raw).await?;
    let all = (raw.len() + curated.len()) as u64;
    let mut check = Check {
        kinds,
        ledger,
        question,
        tallies: vec![Tally::default(); ledger.len()],
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
    };
    let mut done = 0;
    let mut bodies = bodies(lake, raw);
    while let Some((key, body)) = bodies.try_next().await? {
        check.raw_object(key, &body);
        done += 1;
        question.progress.objects(done, all);
    }
    let mut bodies = self::bodies(lake, curated);
    while let Some((key, body)) = bodies.try_next().await? {
        check.curated_object(key, body)?;
        done += 1;
        question.progress.objects(done, all);
    }
    Ok(check.finish())
}

/// The objects' bytes, read ahead, in order. An object that is gone by now is passed over: what it
/// held is missed where it matters.
fn bodies(
    lake: &Lake,
    objects: Vec<ObjectInfo>,
) -> impl futures::Stream<Item = Result<(String, Bytes), JudgeError>> + Unpin {
    let reads = stream::iter(objects)
        .map(move |object| {
            let lake = lake.clone();
            async move {
                let got = lake.get(&object.key).await?;
                Ok(got.map(|got| (object.key, got.body)))
            }
        })
        .buffered(READ_AHEAD)
        .try_filter_map(|read| std::future::ready(Ok(read)));
    Box::pin(reads)
}

/// What has been found of one event of the ledger.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    /// Which of its contents `raw/` holds, a bit each.
    contents: u32,
    /// Where it was first found: place among the keys, counted from 1.
    raw_object: u32,
    curated_object: u32,
    curated_rows: u16,
    altered: bool,
    /// In one of the two it was found with other content.
    altered_in_raw: bool,
    /// Milliseconds from its acceptance until its raw object was seen, and 1.
    latency: u32,
}

struct Check<'a> {
    kinds: &'a Kinds,
    ledger: &'a Ledger,
    question: &'a Question<'a>,
    tallies: Vec<Tally>,
    keys: Vec<String>,
    strangers: HashSet<Identity>,
    verdict: Verdict,
}

impl Check<'_> {
    fn raw_object(&mut self, key: String, body: &[u8]) {
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
        let content = Content::of(&event);
        let known = self
            .ledger
            .contents(place)
            .take(MAX_CONTENTS)
            .position(|(sent, _)| sent == content);
        let tally = &mut self.tallies[place as usize];
        if tally.raw_object == 0 {
            tally.raw_object = self.keys.len() as u32 + 1;
        }
        if let Some(seen) = seen {
            let waited = seen - self.ledger.entry(place).accepted_at;
            // Before its answer came back it may have been seen already.
            let waited =
                u32::try_from(waited.num_milliseconds().max(0)).unwrap_or(u32::MAX - 1) + 1;
            tally.latency = match tally.latency {
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
                tally.contents |= 1 << known;
                return;
            }
        };
        tally.contents |= known.map_or(0, |known| 1 << known);
        tally.altered_in_raw = true;
        self.altered(place, identity, key, detail);
    }

    fn curated_object(&mut self, key: String, body: Bytes) -> Result<(), JudgeError> {
        let kinds = self.kinds;
        curated::read(kinds, &key, body, |row| self.curated_row(&key, row))?;
        self.keys.push(key);
        if let Some(found) = &mut self.verdict.curated {
            found.objects += 1;
        }
        Ok(())
    }

    fn curated_row(&mut self, key: &str, row: Row<'_>) {
        let Some(place) = self.ledger.place(&row.identity) else {
            let received_at = row.received_at;
            self.stranger(row.identity.clone(), received_at, key, || cut(&row.shown()));
            return;
        };
        if let Some(found) = &mut self.verdict.curated {
            found.rows += 1;
        }
        let tally = &mut self.tallies[place as usize];
        tally.curated_rows = tally.curated_rows.saturating_add(1);
        if tally.curated_rows == 1 {
            tally.curated_object = self.keys.len() as u32 + 1;
        } else if tally.curated_rows == 2 {
            self.verdict.duplicated += 1;
            let first = match self.keys.get(tally.curated_object as usize - 1) {
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
        let tally = &mut self.tallies[place as usize];
        if !std::mem::replace(&mut tally.altered, true) {
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
    fn finish(mut self) -> Verdict {
        let mut lost = Vec::new();
        let mut latencies = Vec::new();
        for place in 0..self.ledger.len() as u32 {
            let tally = self.tallies[place as usize];
            if tally.latency > 0 {
                latencies.push(f64::from(tally.latency - 1));
            }
            let accepted = self.ledger.is_accepted(place);
            let raw = self.is_in_raw(place, &tally);
            if let Some(found) = &mut self.verdict.raw {
                found.events += u64::from(accepted && raw);
            }
            if let Some(found) = &mut self.verdict.curated {
                found.events += u64::from(accepted && tally.curated_rows == 1);
            }
            let missing_in_raw = self.verdict.raw.is_some() && !raw;
            let missing_in_curated = self.verdict.curated.is_some() && tally.curated_rows == 0;
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
    fn is_in_raw(&self, place: u32, tally: &Tally) -> bool {
        let wanted = self.ledger.contents(place).take(MAX_CONTENTS).enumerate();
        tally.altered_in_raw
            || wanted
                .filter(|(_, (_, certainty))| *certainty == Certainty::Accepted)
                .all(|(at, _)| tally.contents & (1 << at) != 0)
    }

    fn lost(&mut self, identity: &Identity, place: u32) {
        let tally = self.tallies[place as usize];
        let key = |object: u32| self.keys.get((object as usize).checked_sub(1)?).cloned();
        let (detail, key) = match (tally.raw_object, tally.curated_rows) {
            (0, 0) => match (self.verdict.raw, self.verdict.curated) {
                (Some(_), Some(_)) => ("neither in raw/ nor in curated/", None),
                (Some(_), None) => ("not in raw/", None),
                (None, _) => ("not in curated/", None),
            },
            (0, _) => ("not in raw/, though in curated/", key(tally.curated_object)),
            (_, 0) => ("in raw/, and not in curated/", key(tally.raw_object)),
            _ => (
                "not in raw/ with each content that was accepted",
                key(tally.raw_object),
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

/// The text, or its beginning.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
