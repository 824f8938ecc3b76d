//! Rows that wait for their hour, in memory or in a file.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, ensure};
use contract::Kinds;
use lake::rows::{
    Admission, Block, Bucket, ColumnType, FewLines, FewRows, KindHour, SignalSet, Span, Taken,
    kept_lines,
};

use crate::spill::file::SpillFile;

/// Bytes that are written to the file at a time when what is in memory moves there.
const WRITE_BYTES: usize = 1024 * 1024;

/// The rows of all hours of a commit.
pub(crate) struct Store {
    kinds: Arc<Kinds>,
    /// By kind.
    admissions: Arc<[Admission]>,
    /// Where the file is made, as soon as the rows take more than `memory_limit` bytes.
    folder: PathBuf,
    memory_limit: usize,
    memory: usize,
    file: Option<SpillFile>,
    hours: BTreeMap<KindHour, Hour>,
    /// Signals, by kind and by name in lower case, that have no stored type yet: as many as the kind may have.
    new_signals: HashMap<usize, BTreeMap<String, (String, ColumnType)>>,
    /// The signals of each kind's rows.
    signals: HashMap<usize, Signals>,
}

/// Signals by name in lower case and type, each with a number.
#[derive(Default)]
struct Signals {
    numbers: HashMap<(String, ColumnType), usize>,
}

impl Signals {
    fn number(&mut self, name: &str, r#type: ColumnType) -> usize {
        let next = self.numbers.len();
        let signal = (name.to_ascii_lowercase(), r#type);
        *self.numbers.entry(signal).or_insert(next)
    }

    /// The signals in the order of their numbers.
    fn into_list(self) -> Vec<(String, ColumnType)> {
        let mut signals: Vec<_> = self.numbers.into_iter().collect();
        signals.sort_unstable_by_key(|(_, number)| *number);
        signals.into_iter().map(|(signal, _)| signal).collect()
    }
}

/// The rows of one kind and event hour.
#[derive(Default)]
struct Hour {
    blocks: Vec<(Bucket, Place<Block>)>,
    lines: Vec<Place<FewLines>>,
    rows: u64,
    /// Bytes of all blocks and lines.
    bytes: u64,
    /// Most columns of fields and signals that rows were kept with.
    columns: u64,
    /// Numbers of the signals.
    signals: SignalSet,
}

impl Hour {
    fn add_lines(&mut self, place: Place<FewLines>) {
        // Most hours with lines have them in one place, and a commit may have 200,000 such hours.
        if self.lines.is_empty() {
            self.lines.reserve_exact(1);
        }
        self.lines.push(place);
    }
}

/// Where rows wait.
enum Place<T> {
    Memory(Box<T>),
    /// Bytes of the file.
    File(Range<u64>),
}

/// Rows as they go into the file, some at a time.
#[derive(Default)]
pub(crate) struct Encoded {
    bytes: Vec<u8>,
    /// Which `bytes` are those of a block, or of lines, which are in no bucket.
    places: Vec<(KindHour, Option<Bucket>, Range<usize>)>,
}

impl Encoded {
    /// Whether the rows are enough to be appended to the file.
    pub(crate) fn is_enough(&self) -> bool {
        self.bytes.len() >= WRITE_BYTES
    }

    pub(crate) fn add_block(
        &mut self,
        at: KindHour,
        bucket: Bucket,
        block: &Block,
    ) -> anyhow::Result<()> {
        let start = self.bytes.len();
        block.write(&mut self.bytes)?;
        self.places
            .push((at, Some(bucket), start..self.bytes.len()));
        Ok(())
    }

    pub(crate) fn add_lines(&mut self, at: KindHour, lines: &FewLines) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(lines.as_bytes());
        self.places.push((at, None, start..self.bytes.len()));
    }
}

impl Store {
    pub(crate) fn new(
        kinds: Arc<Kinds>,
        admissions: Arc<[Admission]>,
        folder: PathBuf,
        memory_limit: usize,
    ) -> Store {
        Store {
            kinds,
            admissions,
            folder,
            memory_limit,
            memory: 0,
            file: None,
            hours: BTreeMap::new(),
            new_signals: HashMap::new(),
            signals: HashMap::new(),
        }
    }

    /// Whether rows go to the file.
    pub(crate) fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// Notes what the rows are. They are given to [`keep`](Self::keep) or [`append`](Self::append) next.
    pub(crate) fn note(&mut self, taken: &Taken) {
        let kinds = self.kinds.clone();
        for (at, _, block) in &taken.blocks {
            if let Some(kind) = kinds.iter().nth(at.0) {
                self.count(*at, block.rows(), block.bytes(), block.columns());
                self.note_signals(*at, block.signal_types(kind));
            }
        }
        for (at, lines) in &taken.lines {
            let fields = kinds.iter().nth(at.0).map(|kind| kind.fields.len());
            let columns = fields.unwrap_or_default() + lines.signals();
            self.count(*at, lines.rows(), lines.as_bytes().len(), columns);
            self.note_signals(*at, lines.signal_types());
        }
    }

    fn count(&mut self, at: KindHour, rows: usize, bytes: usize, columns: usize) {
        let hour = self.hours.entry(at).or_default();
        hour.rows += rows as u64;
        hour.bytes += bytes as u64;
        hour.columns = hour.columns.max(columns as u64);
    }

    fn note_signals<'s>(
        &mut self,
        at: KindHour,
        types: impl Iterator<Item = (&'s str, ColumnType)>,
    ) {
        let admission = &self.admissions[at.0];
        let hour = self.hours.entry(at).or_default();
        let new = self.new_signals.entry(at.0).or_default();
        let signals = self.signals.entry(at.0).or_default();
        for (name, r#type) in types {
            hour.signals.insert(signals.number(name, r#type));
            if new.len() < admission.most_new() && !admission.has(name) {
                let lower = name.to_ascii_lowercase();
                new.entry(lower).or_insert((name.to_owned(), r#type));
            }
        }
    }

    /// Keeps rows in memory. Once it is short, all rows go to the file, also those that were kept before.
    pub(crate) fn keep(&mut self, taken: Taken) -> anyhow::Result<()> {
        for (at, bucket, block) in taken.blocks {
            self.memory += block.bytes();
            let hour = self.hours.entry(at).or_default();
            hour.blocks.push((bucket, Place::Memory(Box::new(block))));
        }
        for (at, lines) in taken.lines {
            self.memory += lines.bytes();
            let hour = self.hours.entry(at).or_default();
            hour.add_lines(Place::Memory(Box::new(lines)));
        }
        if self.memory > self.memory_limit {
            self.spill()?;
        }
        Ok(())
    }

    /// Moves all rows to a new file.
    fn spill(&mut self) -> anyhow::Result<()> {
        let mut file = SpillFile::new(self.folder.clone())?;
        let mut buffer = Vec::with_capacity(2 * WRITE_BYTES);
        for hour in self.hours.values_mut() {
            for (_, place) in &mut hour.blocks {
                let written = file.end() + buffer.len() as u64;
                if let Place::Memory(block) = place {
                    block.write(&mut buffer)?;
                    *place = Place::File(written..file.end() + buffer.len() as u64);
                }
                file.append_from(&mut buffer, WRITE_BYTES)?;
            }
            for place in &mut hour.lines {
                let written = file.end() + buffer.len() as u64;
                if let Place::Memory(lines) = place {
                    buffer.extend_from_slice(lines.as_bytes());
                    *place = Place::File(written..file.end() + buffer.len() as u64);
                }
                file.append_from(&mut buffer, WRITE_BYTES)?;
            }
        }
        file.append_from(&mut buffer, 0)?;
        self.file = Some(file);
        self.memory = 0;
        Ok(())
    }

    /// Appends the rows to the file, which must be there, and takes them out of `encoded`.
    pub(crate) fn append(&mut self, encoded: &mut Encoded) -> anyhow::Result<()> {
        let file = self.file.as_mut().context("no row has been spilled yet")?;
        let start = file.append(&encoded.bytes)?;
        encoded.bytes.clear();
        for (at, bucket, range) in encoded.places.drain(..) {
            let hour = self.hours.entry(at).or_default();
            let range = start + range.start as u64..start + range.end as u64;
            match bucket {
                Some(bucket) => hour.blocks.push((bucket, Place::File(range))),
                None => hour.add_lines(Place::File(range)),
            }
        }
        Ok(())
    }

    /// Bytes in the file.
    pub(crate) fn spilled(&self) -> u64 {
        self.file.as_ref().map_or(0, SpillFile::end)
    }

    /// New signals of each kind, by their names in lower case.
    pub(crate) fn new_signals(&self, kind: usize) -> impl Iterator<Item = (&str, ColumnType)> {
        let signals = self.new_signals.get(&kind).into_iter();
        let signals = signals.flat_map(BTreeMap::values);
        signals.map(|(name, r#type)| (name.as_str(), *r#type))
    }

    /// Loses the block, or the lines, that came last to the file: a defect that a test plants.
    pub(crate) fn lose_last_block(&mut self) {
        let end = self.spilled();
        for hour in self.hours.values_mut() {
            hour.blocks.retain(|(_, place)| !place.ends_at(end));
            hour.lines.retain(|place| !place.ends_at(end));
        }
    }

    /// The rows by kind and hour.
    pub(crate) fn into_hours(self) -> BTreeMap<KindHour, HourBlocks> {
        let signals = self.signals.into_iter();
        let common = Arc::new(Common {
            kinds: self.kinds,
            admissions: self.admissions,
            signals: signals.map(|(kind, of)| (kind, of.into_list())).collect(),
            file: self.file,
        });
        let hours = self.hours.into_iter();
        let hours = hours.map(|(at, hour)| {
            let (kind, common) = (at.0, common.clone());
            (at, HourBlocks { hour, kind, common })
        });
        hours.collect()
    }
}

/// The rows of one kind and event hour, and how to read them.
pub(crate) struct HourBlocks {
    hour: Hour,
    kind: usize,
    common: Arc<Common>,
}

/// What the hours of a commit have in common.
struct Common {
    kinds: Arc<Kinds>,
    /// By kind.
    admissions: Arc<[Admission]>,
    /// The signals of each kind, by their numbers.
    signals: HashMap<usize, Vec<(String, ColumnType)>>,
    file: Option<SpillFile>,
}

impl HourBlocks {
    /// Bytes of memory that the hour's rows take when all its columns are filled.
    pub(crate) fn bytes(&self) -> u64 {
        let filled = self.hour.rows * (self.hour.columns * size_of::<f64>() as u64);
        self.hour.bytes.max(filled)
    }

    /// Whether the hour has lines alone, and of these `most_bytes` at most.
    pub(crate) fn has_few_lines(&self, most_bytes: usize) -> bool {
        self.hour.blocks.is_empty() && self.hour.bytes <= most_bytes as u64
    }

    /// Bytes of the hour's lines, about.
    pub(crate) fn bytes_of_lines(&self) -> u64 {
        self.hour.bytes
    }

    /// The hour's lines, as they stood in their objects, in the order of the objects and of their places there.
    ///
    /// # Errors
    ///
    /// If some of the hour's events are rows by now, or the lines cannot be read back.
    pub(crate) fn lines(&self) -> anyhow::Result<Vec<(Span, Vec<u8>)>> {
        // Under looser declarations an hour has more events than in the run that planned to put it off.
        ensure!(
            self.hour.blocks.is_empty(),
            "an hour that another run puts off has many events here: the next run keeps their lines"
        );
        let mut lines = Vec::new();
        for place in &self.hour.lines {
            let bytes = match place {
                Place::Memory(lines) => Cow::Borrowed(lines.as_bytes()),
                Place::File(range) => Cow::Owned(self.read_file(range)?),
            };
            for kept in kept_lines(&bytes) {
                let (span, line) = kept?;
                lines.push((span, line.to_vec()));
            }
        }
        lines.sort_unstable_by_key(|(span, _)| *span);
        Ok(lines)
    }

    /// The signals of all rows, with their names in lower case.
    pub(crate) fn signals(&self) -> Vec<(String, ColumnType)> {
        let all = self.common.signals.get(&self.kind);
        let all = all.map_or(&[][..], Vec::as_slice);
        self.hour.signals.pick(all).cloned().collect()
    }

    /// The rows in blocks that may have other ids too than those of the bucket, if one is given.
    pub(crate) fn read(&self, bucket: Option<Bucket>) -> anyhow::Result<Vec<Block>> {
        let blocks = self.read_blocks(bucket);
        blocks.context("cannot read back events that wait for their hour")
    }

    fn read_blocks(&self, bucket: Option<Bucket>) -> anyhow::Result<Vec<Block>> {
        let mut blocks = Vec::new();
        for (at, place) in &self.hour.blocks {
            if bucket.is_none_or(|bucket| bucket.meets(*at)) {
                blocks.push(match place {
                    Place::Memory(block) => (**block).clone(),
                    Place::File(range) => Block::read(self.read_file(range)?)?,
                });
            }
        }
        if !self.hour.lines.is_empty() {
            let Common {
                kinds, admissions, ..
            } = &*self.common;
            let kind = kinds.iter().nth(self.kind);
            let kind = kind.context("rows are of a kind that is not declared")?;
            let mut rows = FewRows::new(kinds, kind, &admissions[self.kind]);
            for place in &self.hour.lines {
                match place {
                    Place::Memory(lines) => rows.add(lines.as_bytes(), bucket)?,
                    Place::File(range) => rows.add(&self.read_file(range)?, bucket)?,
                };
            }
            blocks.extend(rows.finish()?);
        }
        Ok(blocks)
    }

    fn read_file(&self, range: &Range<u64>) -> anyhow::Result<Vec<u8>> {
        let file = self.common.file.as_ref();
        let file = file.context("no row was spilled")?;
        file.read(range)
    }
}

impl<T> Place<T> {
    fn ends_at(&self, end: u64) -> bool {
        matches!(self, Place::File(range) if range.end == end)
    }
}
