//! Blocks of rows, in memory or in a file.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use contract::Kinds;
use lake::rows::{Admission, Block, Buckets, ColumnType, KindHour};

/// Bytes for what a stream holds beside the columns, about; more of them cost a move of the stream.
const STREAM_BYTES: usize = 16 * 1024;

/// The blocks of all hours of a commit.
pub(crate) struct Store {
    kinds: Arc<Kinds>,
    /// By kind.
    admissions: Arc<[Admission]>,
    /// Where the file is made, as soon as the blocks take more than `memory_limit` bytes.
    folder: PathBuf,
    memory_limit: usize,
    memory: usize,
    file: Option<Arc<File>>,
    written: u64,
    hours: BTreeMap<KindHour, HourBlocks>,
    /// Signals, by kind and by name in lower case, that have no stored type yet: as many as the kind may have.
    new_signals: HashMap<usize, BTreeMap<String, (String, ColumnType)>>,
    /// The signals of each kind's blocks.
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
    fn into_list(self) -> Arc<[(String, ColumnType)]> {
        let mut signals: Vec<_> = self.numbers.into_iter().collect();
        signals.sort_unstable_by_key(|(_, number)| *number);
        signals.into_iter().map(|(signal, _)| signal).collect()
    }
}

/// The blocks of one kind and event hour.
#[derive(Clone, Default)]
pub(crate) struct HourBlocks {
    blocks: Vec<(u64, Place)>,
    /// Rows, those of the same id counted each.
    pub(crate) rows: u64,
    /// Bytes of all blocks.
    bytes: u64,
    /// Most columns of a block.
    columns: u64,
    /// A bit for each number of a signal, set if a block has the signal.
    has: Vec<u64>,
    /// The signals of the kind, by their numbers.
    signals: Arc<[(String, ColumnType)]>,
}

#[derive(Clone)]
enum Place {
    Memory(Block),
    File {
        file: Arc<File>,
        offset: u64,
        length: usize,
    },
}

/// A block on its way into the store.
pub(crate) struct Sealed {
    at: KindHour,
    bucket: u64,
    block: Block,
    /// The block as it goes into the file, if the store has one by now.
    stream: Option<Vec<u8>>,
}

impl Sealed {
    /// The blocks, with their streams if they go `to_file`.
    pub(crate) fn all(
        blocks: Vec<(KindHour, u64, Block)>,
        to_file: bool,
    ) -> anyhow::Result<Vec<Sealed>> {
        let blocks = blocks.into_iter().map(|(at, bucket, block)| {
            let stream = to_file.then(|| stream(&block)).transpose()?;
            Ok(Sealed {
                at,
                bucket,
                block,
                stream,
            })
        });
        blocks.collect()
    }
}

fn stream(block: &Block) -> anyhow::Result<Vec<u8>> {
    let mut stream = Vec::with_capacity(block.bytes() + STREAM_BYTES);
    block.write(&mut stream)?;
    Ok(stream)
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
            written: 0,
            hours: BTreeMap::new(),
            new_signals: HashMap::new(),
            signals: HashMap::new(),
        }
    }

    /// Whether blocks go to the file.
    pub(crate) fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// Keeps blocks. Once memory is short, all blocks go to the file, also those that were kept before.
    pub(crate) fn keep(&mut self, sealed: Vec<Sealed>) -> anyhow::Result<()> {
        for block in sealed {
            self.note(&block);
            let place = match &self.file {
                Some(file) => {
                    let stream = block.stream.map_or_else(|| stream(&block.block), Ok)?;
                    append(&self.folder, file, &mut self.written, &stream)?
                }
                None => {
                    self.memory += block.block.bytes();
                    Place::Memory(block.block)
                }
            };
            let hour = self.hours.entry(block.at).or_default();
            hour.blocks.push((block.bucket, place));
        }
        if self.file.is_none() && self.memory > self.memory_limit {
            self.spill()?;
        }
        Ok(())
    }

    fn note(&mut self, sealed: &Sealed) {
        let (block, kind) = (&sealed.block, sealed.at.0);
        let hour = self.hours.entry(sealed.at).or_default();
        hour.rows += block.rows() as u64;
        hour.bytes += block.bytes() as u64;
        hour.columns = hour.columns.max(block.columns() as u64);
        let new = self.new_signals.entry(kind).or_default();
        let (Some(declared), admission) = (self.kinds.iter().nth(kind), &self.admissions[kind])
        else {
            return;
        };
        let signals = self.signals.entry(kind).or_default();
        for (name, r#type) in block.signal_types(declared) {
            let number = signals.number(name, r#type);
            let word = number / 64;
            if hour.has.len() <= word {
                hour.has.resize(word + 1, 0);
            }
            hour.has[word] |= 1 << (number % 64);
            if new.len() < admission.most_new() && !admission.has(name) {
                let lower = name.to_ascii_lowercase();
                new.entry(lower).or_insert((name.to_owned(), r#type));
            }
        }
    }

    /// Moves all blocks to a new file.
    fn spill(&mut self) -> anyhow::Result<()> {
        let folder = &self.folder;
        let made = tempfile::tempfile_in(folder);
        let made = made
            .with_context(|| format!("cannot make a file in `{}` (SPILL_DIR)", folder.display()))?;
        let file = Arc::new(made);
        for (_, place) in self.hours.values_mut().flat_map(|hour| &mut hour.blocks) {
            if let Place::Memory(block) = place {
                *place = append(folder, &file, &mut self.written, &stream(block)?)?;
            }
        }
        self.file = Some(file);
        self.memory = 0;
        Ok(())
    }

    /// Bytes in the file.
    pub(crate) fn spilled(&self) -> u64 {
        self.written
    }

    /// New signals of each kind, by their names in lower case.
    pub(crate) fn new_signals(&self, kind: usize) -> impl Iterator<Item = (&str, ColumnType)> {
        let signals = self.new_signals.get(&kind).into_iter();
        let signals = signals.flat_map(BTreeMap::values);
        signals.map(|(name, r#type)| (name.as_str(), *r#type))
    }

    /// Loses the block that came last to the file: a defect that a test plants.
    pub(crate) fn lose_last_block(&mut self) {
        let written = self.written;
        for hour in self.hours.values_mut() {
            hour.blocks.retain(|(_, place)| match place {
                Place::File { offset, length, .. } => offset + *length as u64 != written,
                Place::Memory(_) => true,
            });
        }
    }

    /// The blocks by kind and hour.
    pub(crate) fn into_hours(self) -> BTreeMap<KindHour, HourBlocks> {
        let mut hours = self.hours;
        let signals = self.signals.into_iter();
        let lists: HashMap<_, _> = signals.map(|(kind, of)| (kind, of.into_list())).collect();
        for ((kind, _), blocks) in &mut hours {
            blocks.signals = lists.get(kind).cloned().unwrap_or_default();
        }
        hours
    }
}

fn append(
    folder: &std::path::Path,
    file: &Arc<File>,
    written: &mut u64,
    stream: &[u8],
) -> anyhow::Result<Place> {
    file.write_all_at(stream, *written).with_context(|| {
        format!(
            "cannot write to the file in `{}` (SPILL_DIR), which has {} MiB by now: it needs more room, or SPILL_LIMIT must be lower",
            folder.display(),
            *written >> 20
        )
    })?;
    let place = Place::File {
        file: file.clone(),
        offset: *written,
        length: stream.len(),
    };
    *written += stream.len() as u64;
    Ok(place)
}

impl HourBlocks {
    /// Bytes of memory that the hour's rows take when all its columns are filled.
    pub(crate) fn bytes(&self) -> u64 {
        let filled = self.rows * (self.columns * size_of::<f64>() as u64);
        self.bytes.max(filled)
    }

    /// The signals of all blocks, with their names in lower case.
    pub(crate) fn signals(&self) -> Vec<(String, ColumnType)> {
        let is_there = |number: usize| {
            let word = self.has.get(number / 64);
            word.is_some_and(|word| word >> (number % 64) & 1 == 1)
        };
        let signals = self.signals.iter().enumerate();
        let there = signals.filter(|(number, _)| is_there(*number));
        there.map(|(_, signal)| signal.clone()).collect()
    }

    /// The blocks that may have ids of bucket `bucket` of `division`; `buckets` divided the blocks.
    pub(crate) fn read(
        &self,
        buckets: Buckets,
        division: Buckets,
        bucket: u64,
    ) -> anyhow::Result<Vec<Block>> {
        let mut blocks = Vec::new();
        for (at, place) in &self.blocks {
            if division.meets(bucket, buckets, *at) {
                blocks.push(place.read().context("cannot read back spilled events")?);
            }
        }
        Ok(blocks)
    }
}

impl Place {
    fn read(&self) -> anyhow::Result<Block> {
        match self {
            Place::Memory(block) => Ok(block.clone()),
            Place::File {
                file,
                offset,
                length,
            } => {
                let mut stream = vec![0; *length];
                file.read_exact_at(&mut stream, *offset)?;
                Ok(Block::read(stream)?)
            }
        }
    }
}
