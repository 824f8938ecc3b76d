//! What was accepted: the events that the lake must hold.
//!
//! Events go in as they were sent, with how sure it is that they were accepted; identities and contents come out.
//! The same event twice is one entry.

mod file;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use chrono::{DateTime, Utc};
use contract::{Event, Hour, Kinds, parse_sent};

pub use file::LedgerError;

use self::file::{LedgerFile, LedgerLine};
use crate::content::ContentHash;
use crate::identity::{Identity, identity, kind_name};

/// How sure it is that an event was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// The post was answered, and this event was among the accepted.
    Accepted,
    /// The post ended in `503` or without an answer: the lake may hold the event or not.
    Maybe,
}

/// The accepted events, and those that may have been. Takes about 100 bytes an event.
#[derive(Debug, Default)]
pub struct Ledger {
    places: HashMap<Identity, u32>,
    entries: Vec<LedgerEntry>,
    /// Contents other than the first that were sent under one identity, by its place.
    others: HashMap<u32, Vec<(ContentHash, Certainty)>>,
    acceptances: u64,
    file: Option<LedgerFile>,
}

/// The first that was sent under one identity.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LedgerEntry {
    pub(crate) content: ContentHash,
    pub(crate) certainty: Certainty,
    /// When the first acceptance was answered.
    pub(crate) accepted_at: DateTime<Utc>,
}

impl Ledger {
    /// An empty ledger, in memory alone.
    pub fn new() -> Ledger {
        Ledger::default()
    }

    /// An empty ledger that is kept in a file too, one JSON object a line; a file that is there
    /// is replaced.
    ///
    /// # Errors
    ///
    /// [`LedgerError::File`].
    pub fn kept_in(path: &Path) -> Result<Ledger, LedgerError> {
        Ok(Ledger {
            file: Some(LedgerFile::create(path)?),
            ..Ledger::default()
        })
    }

    /// Reads the file of a ledger. An event without an id in its text has the derived one.
    ///
    /// # Errors
    ///
    /// [`LedgerError`] names the line that is wrong.
    pub fn read(path: &Path, kinds: &Kinds) -> Result<Ledger, LedgerError> {
        let mut ledger = Ledger::new();
        file::read(path, |line| ledger.take_line(kinds, line))?;
        Ok(ledger)
    }

    fn take_line(&mut self, kinds: &Kinds, line: &LedgerLine<'_>) -> Result<(), String> {
        let certainty = if line.maybe {
            Certainty::Maybe
        } else {
            Certainty::Accepted
        };
        let kind = kinds.get(line.kind).ok_or_else(|| {
            format!(
                "kind `{}` is not declared: set CONTRACTS to the folder that ingest has",
                line.kind
            )
        })?;
        let text = line.text()?;
        let event = parse_sent(kinds, Some(kind), &text, line.accepted_at)
            .map_err(|rejection| format!("the event breaks its contract: {rejection}"))?;
        check_named(&event, line.accepted_at)?;
        let identity = identity(kinds, &event);
        let own = identity.event_id().to_string();
        if own != line.event_id {
            return Err(format!(
                "event_id is `{}`, and the event's own is `{own}`",
                line.event_id
            ));
        }
        self.enter(
            identity,
            ContentHash::of(&event),
            line.accepted_at,
            certainty,
        );
        Ok(())
    }

    /// Enters an event as it was sent; `answered_at` is when the answer to its post had come.
    /// The same event twice is one.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Event`] if the contract refuses the event, [`LedgerError::Unnamed`] if what was sent does not
    /// tell its id or time, [`LedgerError::Write`] if the file cannot be written.
    pub fn record(
        &mut self,
        kinds: &Kinds,
        text: &str,
        answered_at: DateTime<Utc>,
        certainty: Certainty,
    ) -> Result<(), LedgerError> {
        let event = parse_sent(kinds, None, text, answered_at)?;
        check_named(&event, answered_at).map_err(LedgerError::Unnamed)?;
        let identity = identity(kinds, &event);
        if let Some(file) = &mut self.file {
            let (kind, id) = (&event.kind.name, identity.event_id().to_string());
            let maybe = certainty == Certainty::Maybe;
            file.append(&LedgerLine::new(kind, id, answered_at, maybe, text)?)?;
        }
        self.enter(identity, ContentHash::of(&event), answered_at, certainty);
        Ok(())
    }

    /// Writes what the file of the ledger still lacks.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Write`].
    pub fn flush(&mut self) -> Result<(), LedgerError> {
        match &mut self.file {
            Some(file) => file.flush(),
            None => Ok(()),
        }
    }

    fn enter(
        &mut self,
        identity: Identity,
        content: ContentHash,
        at: DateTime<Utc>,
        certainty: Certainty,
    ) {
        self.acceptances += u64::from(certainty == Certainty::Accepted);
        // Ledgers of four billion events do not fit in memory anyway.
        let next = self.entries.len() as u32;
        let place = *self.places.entry(identity).or_insert(next);
        if place == next {
            self.entries.push(LedgerEntry {
                content,
                certainty,
                accepted_at: at,
            });
            return;
        }
        let entry = &mut self.entries[place as usize];
        if entry.content == content {
            if certainty == Certainty::Accepted {
                entry.accepted_at = match entry.certainty {
                    Certainty::Accepted => entry.accepted_at.min(at),
                    Certainty::Maybe => at,
                };
                entry.certainty = Certainty::Accepted;
            }
            return;
        }
        let others = self.others.entry(place).or_default();
        match others.iter_mut().find(|(other, _)| *other == content) {
            Some((_, known)) if certainty == Certainty::Accepted => *known = certainty,
            Some(_) => {}
            None => others.push((content, certainty)),
        }
    }

    /// Different events that were accepted.
    pub fn accepted(&self) -> u64 {
        (0..self.entries.len() as u32)
            .filter(|place| self.is_accepted(*place))
            .count() as u64
    }

    /// Acceptances, further ones of the same event included.
    pub fn acceptances(&self) -> u64 {
        self.acceptances
    }

    /// Different events of which it is not known whether they were accepted.
    pub fn maybe(&self) -> u64 {
        self.entries.len() as u64 - self.accepted()
    }

    /// Events that were sent with more than one content under one identity.
    pub fn conflicts(&self) -> u64 {
        self.others.len() as u64
    }

    /// When the first event was accepted; `None` for an empty ledger.
    pub fn earliest(&self) -> Option<DateTime<Utc>> {
        self.entries.iter().map(|entry| entry.accepted_at).min()
    }

    /// The hours in which the events happened, each with the name of the kind.
    pub fn hours(&self, kinds: &Kinds) -> BTreeSet<(String, Hour)> {
        let hours: HashSet<(u16, Hour)> = self
            .places
            .keys()
            .map(|identity| (identity.kind(), identity.hour()))
            .collect();
        hours
            .into_iter()
            .map(|(kind, hour)| (kind_name(kinds, kind), hour))
            .collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn place(&self, identity: &Identity) -> Option<u32> {
        self.places.get(identity).copied()
    }

    pub(crate) fn entry(&self, place: u32) -> &LedgerEntry {
        &self.entries[place as usize]
    }

    /// All contents that were sent under the identity of that place, the first of them first.
    pub(crate) fn contents(
        &self,
        place: u32,
    ) -> impl Iterator<Item = (ContentHash, Certainty)> + '_ {
        let first = self.entry(place);
        let others = self.others.get(&place).into_iter().flatten().copied();
        std::iter::once((first.content, first.certainty)).chain(others)
    }

    pub(crate) fn is_accepted(&self, place: u32) -> bool {
        self.contents(place)
            .any(|(_, certainty)| certainty == Certainty::Accepted)
    }

    /// Identities of the events that were accepted, in no order.
    pub fn accepted_identities(&self) -> impl Iterator<Item = &Identity> {
        self.identities()
            .filter(|(_, place)| self.is_accepted(*place))
            .map(|(identity, _)| identity)
    }

    pub(crate) fn identities(&self) -> impl Iterator<Item = (&Identity, u32)> {
        self.places
            .iter()
            .map(|(identity, place)| (identity, *place))
    }
}

/// Says what an event lacks by which it is known in the lake, where ingest would make that up; `answered_at` is the time
/// that one without a time was read with.
fn check_named(event: &Event<'_>, answered_at: DateTime<Utc>) -> Result<(), String> {
    let kind = event.kind;
    let lacks_time =
        kind.time.defaults_to_arrival && event.time == contract::now_millis_precision(answered_at);
    let lacked = if kind.is_long() && event.event_id.is_none() {
        "event_id"
    } else if lacks_time {
        &kind.time.field
    } else {
        return Ok(());
    };
    Err(format!(
        "an event of kind `{}` is known by its `event_id` and `{}`, and this one has no `{lacked}`",
        kind.name, kind.time.field
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, rpm: u32) -> String {
        format!(
            r#"{{"timestamp":"2025-10-04T12:34:56Z","vehicle_id":"v","can_id":"0x1","payload":{{"engine_rpm":{rpm}}},"event_id":"{id}"}}"#
        )
    }

    fn at(second: u32) -> DateTime<Utc> {
        format!("2025-10-04T12:40:{second:02}Z").parse().unwrap()
    }

    #[test]
    fn a_ledger_reads_back_as_it_was_written() {
        let kinds = Kinds::builtin();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.ndjson");
        let mut written = Ledger::kept_in(&path).unwrap();
        let derived = r#"{"timestamp":"2025-10-04T12:34:56Z","vehicle_id":"v","can_id":"0x1","payload":{"a":1}}"#;
        let spread = event("b", 2).replace("{\"timestamp\"", "{\n\"timestamp\"");
        for (text, certainty) in [
            (event("a", 1).as_str(), Certainty::Accepted),
            (&spread, Certainty::Maybe),
            (derived, Certainty::Accepted),
        ] {
            written.record(&kinds, text, at(1), certainty).unwrap();
        }
        written.flush().unwrap();
        let read = Ledger::read(&path, &kinds).unwrap();
        assert_eq!((read.accepted(), read.maybe()), (2, 1));
        for (identity, place) in written.identities() {
            let there = read.place(identity).unwrap();
            assert_eq!(read.entry(there).content, written.entry(place).content);
            assert_eq!(read.entry(there).accepted_at, at(1));
        }
    }

    #[test]
    fn a_broken_line_is_named() {
        let kinds = Kinds::builtin();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.ndjson");
        let good = format!(
            r#"{{"kind":"vehicle","event_id":"a","accepted_at":"2025-10-04T12:40:00Z","event":{}}}"#,
            event("a", 1)
        );
        for (broken, reason) in [
            ("{", "not a line of a ledger"),
            (
                &good.replace("\"vehicle\"", "\"ship\""),
                "`ship` is not declared",
            ),
            (
                &good.replacen("\"a\"", "\"z\"", 1),
                "the event's own is `a`",
            ),
            (
                &good.replace("engine_rpm\":1", "engine_rpm\":\"x\""),
                "breaks its contract",
            ),
        ] {
            std::fs::write(&path, format!("{good}\n\n{broken}\n")).unwrap();
            let error = Ledger::read(&path, &kinds).unwrap_err().to_string();
            assert!(
                error.contains("line 3") && error.contains(reason),
                "{error}"
            );
        }
        assert!(Ledger::read(Path::new("/no/such"), &kinds).is_err());
    }

    #[test]
    fn an_event_counts_once_and_a_late_answer_makes_it_certain() {
        let kinds = Kinds::builtin();
        let mut ledger = Ledger::new();
        let mut record = |text: &str, second, certainty| {
            ledger.record(&kinds, text, at(second), certainty).unwrap();
        };
        record(&event("a", 1), 1, Certainty::Maybe);
        record(&event("a", 1), 5, Certainty::Accepted);
        record(&event("a", 1), 9, Certainty::Accepted);
        record(&event("b", 1), 2, Certainty::Accepted);
        record(&event("b", 2), 3, Certainty::Accepted);
        record(&event("c", 1), 3, Certainty::Maybe);
        assert_eq!(
            (
                ledger.accepted(),
                ledger.acceptances(),
                ledger.maybe(),
                ledger.conflicts()
            ),
            (2, 4, 1, 1)
        );
        assert_eq!(ledger.entry(0).accepted_at, at(5));
        assert_eq!(ledger.contents(1).count(), 2);
    }
}
