//! A reader that looks at the lake while it is written, again and again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use aws::{Lake, Object};
use contract::{AGGREGATES, CURATED, Hour, Kinds, aggregate_key};
use futures::{StreamExt, TryStreamExt, stream};

use super::findings::Findings;
use crate::curated;
use crate::error::JudgeError;
use crate::identity::{Identity, kind_name};
use crate::recount::{PartKey, PartSignals, Recount, Table, TableFormat, TableKey, compare};

/// Objects that are read ahead.
const READ_AHEAD: usize = 4;

/// Parts of which each look asks whether they are still the same; the last one asks of all.
const ASKED_AGAIN: usize = 8;

/// A kind and an event hour.
type Place = (String, Hour);

/// Holds every look at `curated/` and `aggregates/` against the looks before it, and the two
/// against each other, at whatever moment and however many write:
///
/// - each part can be read whole, and once seen neither changes nor goes away;
/// - no event stands twice, in one part or in two;
/// - an aggregates object equals a recount of exactly the parts up to the commit that it names, the
///   commit it names never goes back, and the JSONL is never ahead of the Parquet.
///
/// It remembers what it has read, so that a look costs two listings and what is new: per event
/// about 150 bytes, and the values of its signals. Not for a lake that is rebuilt meanwhile.
#[derive(Debug)]
pub struct Reader {
    lake: Lake,
    kinds: Arc<Kinds>,
    parts: BTreeMap<String, SeenPart>,
    hours: BTreeMap<Place, HourOfParts>,
    tables: BTreeMap<String, SeenTable>,
    /// Where each event stands: a place among `keys`.
    events: HashMap<Identity, u32>,
    /// Of all parts, in the order in which they were read.
    keys: Vec<String>,
    /// Parts that have changed or gone: it is said once, and they are not looked at again.
    spoiled: BTreeSet<String>,
    /// The last part that was asked about again.
    asked: String,
    looks: u64,
    findings: Findings,
}

#[derive(Debug)]
struct SeenPart {
    etag: String,
    size: u64,
}

#[derive(Debug, Default)]
struct HourOfParts {
    parts: Vec<PartSignals>,
    /// The commit of the newest.
    last: u64,
}

#[derive(Debug)]
struct SeenTable {
    size: u64,
    commit: u64,
}

/// An hour's aggregates as they were read one after the other, the JSONL first.
struct Read {
    place: Place,
    /// By key; none where there is no object.
    objects: Vec<(String, Option<Object>)>,
}

impl Reader {
    /// A reader that has seen nothing yet.
    pub fn new(lake: Lake, kinds: Arc<Kinds>) -> Reader {
        Reader {
            lake,
            kinds,
            parts: BTreeMap::new(),
            hours: BTreeMap::new(),
            tables: BTreeMap::new(),
            events: HashMap::new(),
            keys: Vec::new(),
            spoiled: BTreeSet::new(),
            asked: String::new(),
            looks: 0,
            findings: Findings::default(),
        }
    }

    /// Looks once at what is new, and adds to the findings what must not be.
    ///
    /// # Errors
    ///
    /// [`JudgeError::Lake`] if a call fails: that look does not count, and another may be made.
    pub async fn look(&mut self) -> Result<(), JudgeError> {
        self.look_at(false).await
    }

    /// Looks at everything anew; to be called when nobody writes any more. Aggregates that do not
    /// count all parts of their hour by then are a finding too.
    ///
    /// # Errors
    ///
    /// As [`look`](Reader::look).
    pub async fn last_look(&mut self) -> Result<(), JudgeError> {
        self.look_at(true).await?;
        for place in self.behind() {
            let (kind, hour) = place;
            self.findings.add(format!(
                "aggregates of {kind}, {hour}, do not count all parts of their hour"
            ));
        }
        Ok(())
    }

    /// Looks that were made from beginning to end.
    pub fn looks(&self) -> u64 {
        self.looks
    }

    /// Parts and aggregates objects that it has seen.
    pub fn objects(&self) -> (usize, usize) {
        (self.parts.len(), self.tables.len())
    }

    /// Events that it has seen in `curated/`.
    pub fn events(&self) -> u64 {
        self.events.len() as u64
    }

    /// Whether it has seen the event in `curated/`.
    pub fn has(&self, identity: &Identity) -> bool {
        self.events.contains_key(identity)
    }

    /// What must not be, with the first of it in words.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Kinds and hours whose aggregates do not count all of their parts that were seen.
    pub fn behind(&self) -> Vec<(String, Hour)> {
        let counted = |(kind, hour): &Place, format: TableFormat| {
            let key = aggregate_key(*hour, kind, extension(format));
            self.tables.get(&key).map_or(0, |seen| seen.commit)
        };
        let behind = |(place, of): &(&Place, &HourOfParts)| {
            FORMATS
                .iter()
                .any(|format| counted(place, *format) < of.last)
        };
        let hours = self.hours.iter().filter(behind);
        hours.map(|(place, _)| place.clone()).collect()
    }

    async fn look_at(&mut self, all: bool) -> Result<(), JudgeError> {
        // In this order: what the aggregates count is in `curated/` when that is listed.
        let tables = self.read_tables(all).await?;
        self.read_parts().await?;
        self.ask_again(all).await?;
        for read in tables {
            self.hold(read);
        }
        self.looks += 1;
        Ok(())
    }

    /// Reads the aggregates that may have changed.
    async fn read_tables(&mut self, all: bool) -> Result<Vec<Read>, JudgeError> {
        let mut places: BTreeSet<Place> = self.behind().into_iter().collect();
        let mut gone: BTreeSet<String> = self.tables.keys().cloned().collect();
        for object in self.lake.list(AGGREGATES, None).await? {
            gone.remove(&object.key);
            let Some(place) = TableKey::parse(&object.key) else {
                continue;
            };
            let known = self.tables.get(&object.key).map(|seen| seen.size);
            if all || known != Some(object.size) {
                places.insert((place.kind.to_owned(), place.hour));
            }
        }
        for key in gone {
            self.tables.remove(&key);
            self.findings.add(format!("`{key}` was there and is gone"));
        }
        let mut reads = Vec::with_capacity(places.len());
        for place in places {
            let lake = self.lake.clone();
            reads.push(async move {
                let mut objects = Vec::with_capacity(FORMATS.len());
                for format in FORMATS {
                    let key = aggregate_key(place.1, &place.0, extension(format));
                    let object = lake.get(&key).await?;
                    objects.push((key, object));
                }
                Ok::<_, JudgeError>(Read { place, objects })
            });
        }
        stream::iter(reads).buffered(READ_AHEAD).try_collect().await
    }

    /// Reads the parts that are new, and misses those that are gone.
    async fn read_parts(&mut self) -> Result<(), JudgeError> {
        let listed = self.lake.list(CURATED, None).await?;
        let mut gone: BTreeSet<String> = self.parts.keys().cloned().collect();
        let mut reads = Vec::new();
        for object in listed {
            gone.remove(&object.key);
            if self.spoiled.contains(&object.key) {
                continue;
            }
            match self.parts.get(&object.key) {
                Some(seen) if seen.size == object.size => {}
                Some(_) => self.changed(&object.key),
                None => {
                    let lake = self.lake.clone();
                    reads.push(async move {
                        let got = lake.get(&object.key).await?;
                        Ok::<_, JudgeError>((object.key, got))
                    });
                }
            }
        }
        for key in gone {
            self.gone(&key);
        }
        let mut reads = stream::iter(reads).buffered(READ_AHEAD);
        while let Some((key, object)) = reads.try_next().await? {
            match object {
                Some(object) => self.take_part(key, object),
                None => self.gone(&key),
            }
        }
        Ok(())
    }

    fn take_part(&mut self, key: String, object: Object) {
        let seen = SeenPart {
            etag: object.etag,
            size: object.body.len() as u64,
        };
        let number = self.keys.len() as u32;
        let (events, keys, findings) = (&mut self.events, &self.keys, &mut self.findings);
        let kinds = &self.kinds;
        let rows = curated::read(kinds, &key, object.body.clone(), |row| {
            let Some(other) = events.insert(row.identity.clone(), number) else {
                return;
            };
            let other = keys.get(other as usize).unwrap_or(&key);
            findings.add(format!(
                "{} {} stands twice: in `{other}` and in `{key}`",
                kind_name(kinds, row.identity.kind()),
                row.identity.event_id()
            ));
        });
        let part = rows.and_then(|()| PartSignals::read(kinds, &key, object.body));
        match (part, PartKey::parse(&key)) {
            (Ok(part), Some(place)) => {
                let of = self
                    .hours
                    .entry((place.kind.to_owned(), place.hour))
                    .or_default();
                of.last = of.last.max(place.commit);
                of.parts.push(part);
            }
            (Ok(_), None) => findings.add(format!("`{key}` is not the key of a part")),
            (Err(error), _) => findings.add(error.to_string()),
        }
        self.keys.push(key.clone());
        self.parts.insert(key, seen);
    }

    /// Asks of some parts, the next ones in turn, or of all whether they are still the same.
    async fn ask_again(&mut self, all: bool) -> Result<(), JudgeError> {
        let after = match all {
            true => Bound::Unbounded,
            false => Bound::Excluded(std::mem::take(&mut self.asked)),
        };
        let most = if all { usize::MAX } else { ASKED_AGAIN };
        let next = self.parts.range((after, Bound::Unbounded)).take(most);
        let keys: Vec<String> = next.map(|(key, _)| key.clone()).collect();
        // After the last of the keys it begins anew.
        let more = keys.len() == most;
        self.asked = keys.last().filter(|_| more).cloned().unwrap_or_default();
        let mut heads = Vec::with_capacity(keys.len());
        for key in keys {
            let lake = self.lake.clone();
            heads.push(async move {
                let head = lake.head(&key).await?;
                Ok::<_, JudgeError>((key, head))
            });
        }
        let mut heads = stream::iter(heads).buffered(READ_AHEAD);
        while let Some((key, head)) = heads.try_next().await? {
            match (head, self.parts.get(&key)) {
                (Some(head), Some(seen)) if head.etag != seen.etag => self.changed(&key),
                (None, Some(_)) => self.gone(&key),
                _ => {}
            }
        }
        Ok(())
    }

    /// Holds an hour's aggregates against its parts.
    fn hold(&mut self, read: Read) {
        let (kind, hour) = &read.place;
        let Some(kind) = self.kinds.get(kind) else {
            self.findings.add(format!(
                "aggregates of kind `{kind}`, which is not declared"
            ));
            return;
        };
        let none = HourOfParts::default();
        let parts = &self.hours.get(&read.place).unwrap_or(&none).parts;
        let mut commits = [None; 2];
        for ((key, object), commit) in read.objects.into_iter().zip(&mut commits) {
            let Some(object) = object else { continue };
            let size = object.body.len() as u64;
            let table = match Table::read(&key, object) {
                Ok(table) => table,
                Err(reason) => {
                    self.findings
                        .add(format!("`{key}` cannot be read: {reason}"));
                    continue;
                }
            };
            let mut found = Recount::default();
            compare(kind, *hour, parts, &table, &mut found);
            for difference in &found.differences {
                self.findings.add(difference.to_string());
            }
            let now = table.commit();
            *commit = Some(now);
            if let Some(before) = self
                .tables
                .insert(key.clone(), SeenTable { size, commit: now })
                && before.commit > now
            {
                self.findings.add(format!(
                    "`{key}` went back from commit {} to {now}",
                    before.commit
                ));
            }
        }
        if let [Some(jsonl), parquet] = commits
            && parquet.is_none_or(|parquet| parquet < jsonl)
        {
            self.findings.add(format!(
                "the JSONL of {}, {hour}, counts up to commit {jsonl}, and the Parquet less",
                kind.name
            ));
        }
    }

    fn changed(&mut self, key: &str) {
        self.findings
            .add(format!("`{key}` is another than when it was first seen"));
        self.spoil(key);
    }

    fn gone(&mut self, key: &str) {
        self.findings.add(format!("`{key}` was there and is gone"));
        self.spoil(key);
    }

    fn spoil(&mut self, key: &str) {
        self.parts.remove(key);
        self.spoiled.insert(key.to_owned());
    }
}

/// In the order in which they are read: the JSONL follows from the Parquet.
const FORMATS: [TableFormat; 2] = [TableFormat::Jsonl, TableFormat::Parquet];

fn extension(format: TableFormat) -> &'static str {
    match format {
        TableFormat::Jsonl => "jsonl",
        TableFormat::Parquet => "parquet",
    }
}
