//! A reader that looks at the lake again and again while it is written.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use aws::{Lake, Object};
use contract::{AGGREGATES, CURATED, Hour, Kinds, aggregate_key};
use futures::{StreamExt, TryStreamExt, stream};
use judge::recount::{PartKey, PartSignals, Recount, Table, TableFormat, TableKey, compare};
use judge::{Identity, JudgeError, curated, kind_name};

use crate::findings::Findings;

/// Objects that are read ahead.
const READ_AHEAD: usize = 4;

/// Parts whose ETag a look compares with the first one seen; the last look compares all.
const COMPARED_AGAIN: usize = 8;

/// What is wrong with an object that was seen before.
const CHANGED: &str = "is another than when it was first seen";
const GONE: &str = "was there and is gone";

/// A kind and an event hour.
type KindHour = (String, Hour);

/// Compares every look at `curated/` and `aggregates/` with the looks before it, and the two with each
/// other. At any moment, however many write, these must hold:
///
/// - each part can be read whole, and once seen neither changes nor goes away;
/// - no event stands twice, in one part or in two;
/// - an aggregates object equals a recount of exactly the parts up to the commit that it names, the
///   commit it names never goes back, and the JSONL is never ahead of the Parquet.
///
/// The reader remembers what it has read, about 150 bytes an event and the values of its signals, so
/// that a look costs two listings and reading what is new. A rebuild during the run would be a finding.
#[derive(Debug)]
pub struct Reader {
    lake: Lake,
    kinds: Arc<Kinds>,
    parts: BTreeMap<String, SeenPart>,
    hours: BTreeMap<KindHour, HourOfParts>,
    tables: BTreeMap<String, SeenTable>,
    /// The part of each event, as an index into `keys`.
    events: HashMap<Identity, u32>,
    /// Keys of all parts, in the order in which they were read.
    keys: Vec<String>,
    /// Parts that have changed or gone, which is reported once; they are not looked at again.
    spoiled: BTreeSet<String>,
    /// The last part that was compared again.
    compared: String,
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
    /// The commit of the newest part.
    last: u64,
}

#[derive(Debug)]
struct SeenTable {
    size: u64,
    commit: u64,
}

/// An hour's aggregates, the JSONL read before the Parquet.
struct TablesRead {
    place: KindHour,
    /// Objects, `None` if there is none, with their keys.
    objects: Vec<(Option<Object>, String)>,
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
            compared: String::new(),
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

    /// Looks at everything again; to be called when nobody writes any more. Aggregates that do not
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

    /// Looks that did not break off.
    pub fn looks(&self) -> u64 {
        self.looks
    }

    /// Numbers of parts and of aggregates objects seen so far, without those that changed or went away.
    pub fn objects(&self) -> (usize, usize) {
        (self.parts.len(), self.tables.len())
    }

    /// Number of events seen in `curated/`.
    pub fn events(&self) -> u64 {
        self.events.len() as u64
    }

    /// Whether the event was seen in `curated/`.
    pub fn has(&self, identity: &Identity) -> bool {
        self.events.contains_key(identity)
    }

    /// What must not be.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Kinds and hours whose aggregates do not count all parts seen so far.
    pub fn behind(&self) -> Vec<(String, Hour)> {
        let counted = |(kind, hour): &KindHour, format: TableFormat| {
            let key = aggregate_key(*hour, kind, extension(format));
            self.tables.get(&key).map_or(0, |seen| seen.commit)
        };
        let behind = |(place, of): &(&KindHour, &HourOfParts)| {
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
        self.compare_again(all).await?;
        for read in tables {
            self.check_tables(read);
        }
        self.looks += 1;
        Ok(())
    }

    /// Reads the aggregates that may have changed.
    async fn read_tables(&mut self, all: bool) -> Result<Vec<TablesRead>, JudgeError> {
        let mut places: BTreeSet<KindHour> = self.behind().into_iter().collect();
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
            self.findings.add(format!("`{key}` {GONE}"));
        }
        let read = async |place: KindHour| {
            let mut objects = Vec::with_capacity(FORMATS.len());
            for format in FORMATS {
                let key = aggregate_key(place.1, &place.0, extension(format));
                objects.push((self.lake.get(&key).await?, key));
            }
            Ok::<_, JudgeError>(TablesRead { place, objects })
        };
        let reads = stream::iter(places).map(read).buffered(READ_AHEAD);
        reads.try_collect().await
    }

    /// Reads new parts, and finds those that are gone.
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
                Some(_) => self.spoil(&object.key, CHANGED),
                None => reads.push(object.key),
            }
        }
        for key in gone {
            self.spoil(&key, GONE);
        }
        let lake = self.lake.clone();
        let get = async |key: String| Ok::<_, JudgeError>((lake.get(&key).await?, key));
        let mut reads = stream::iter(reads).map(get).buffered(READ_AHEAD);
        while let Some((object, key)) = reads.try_next().await? {
            match object {
                Some(object) => self.take_part(key, object),
                None => self.spoil(&key, GONE),
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

    /// Compares the ETags of some parts, the next ones in turn, or of all with those first seen.
    async fn compare_again(&mut self, all: bool) -> Result<(), JudgeError> {
        let (after, most) = if all {
            (Bound::Unbounded, usize::MAX)
        } else {
            let after = std::mem::take(&mut self.compared);
            (Bound::Excluded(after), COMPARED_AGAIN)
        };
        let next = self.parts.range((after, Bound::Unbounded)).take(most);
        let keys: Vec<String> = next.map(|(key, _)| key.clone()).collect();
        // After the last key the next look starts at the first again.
        let more = keys.len() == most;
        self.compared = keys.last().filter(|_| more).cloned().unwrap_or_default();
        let lake = self.lake.clone();
        let head = async |key: String| Ok::<_, JudgeError>((lake.head(&key).await?, key));
        let mut heads = stream::iter(keys).map(head).buffered(READ_AHEAD);
        while let Some((head, key)) = heads.try_next().await? {
            match (head, self.parts.get(&key)) {
                (Some(head), Some(seen)) if head.etag != seen.etag => self.spoil(&key, CHANGED),
                (None, Some(_)) => self.spoil(&key, GONE),
                _ => {}
            }
        }
        Ok(())
    }

    /// Compares an hour's aggregates with its parts.
    fn check_tables(&mut self, read: TablesRead) {
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
        for ((object, key), commit) in read.objects.into_iter().zip(&mut commits) {
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

    /// Reports once what is wrong with a part that was seen before.
    fn spoil(&mut self, key: &str, what: &str) {
        self.findings.add(format!("`{key}` {what}"));
        self.parts.remove(key);
        self.spoiled.insert(key.to_owned());
    }
}

/// Formats in the order in which they are read: the JSONL is written after the Parquet.
const FORMATS: [TableFormat; 2] = [TableFormat::Jsonl, TableFormat::Parquet];

fn extension(format: TableFormat) -> &'static str {
    match format {
        TableFormat::Jsonl => "jsonl",
        TableFormat::Parquet => "parquet",
    }
}
