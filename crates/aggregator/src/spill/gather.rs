//! Reads raw objects into blocks.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, anyhow, bail};
use aws::{ByteRange, Fetched, Lake};
use bytes::Bytes;
use contract::{Hour, Kinds, Rejection};
use futures::{StreamExt, TryStreamExt, stream};
use lake::rows::{Added, Admission, Buckets, ColumnType, Gathering, KindHour, Refused, too_long};

use crate::parts::aside::Aside;
use crate::planted_defects;
use crate::schema::StoredTypes;
use crate::spill::store::{Encoded, HourBlocks, Store};
use crate::workers::Workers;

/// Largest raw object that is read in one piece; a larger one, which the consumer does not write, comes in pieces of
/// this size.
const PIECE_BYTES: u64 = 16 * 1024 * 1024;

/// Bytes of lines that are added before the memory of the rows is looked at: events each in an hour of its own take
/// some fifty times as much memory as their lines.
const STEP_BYTES: usize = 256 * 1024;

/// Bytes of memory that an hour's lines take up to which they wait as lines: some hundred lines.
const FEW_BYTES: usize = 32 * 1024;

/// Bytes of an hour's lines up to which it may be put off. However they are divided among gatherings, none of these has
/// them as rows: the memory of lines grows by doubling.
pub(crate) const PUT_OFF_BYTES: usize = FEW_BYTES / 2;

/// Objects that are read ahead, beside one for each thread.
const READ_AHEAD: usize = 2;

/// Bounds of the rows that wait for their hour.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Bytes of rows in memory past which all rows go to a file.
    pub(crate) memory: usize,
    /// Folder of that file.
    pub(crate) folder: PathBuf,
}

/// What to read, and how.
pub(crate) struct Gather<'a> {
    pub(crate) lake: &'a Lake,
    pub(crate) kinds: Arc<Kinds>,
    pub(crate) types: &'a StoredTypes<'a>,
    pub(crate) inputs: &'a [String],
    /// Whether events of an hour are wanted.
    pub(crate) wanted: Arc<dyn Fn(Hour) -> bool + Send + Sync>,
    /// The only hours that are written if the others are put off: of these the lines are kept.
    pub(crate) written: Option<Arc<HashSet<KindHour>>>,
    /// Whether an object that is gone is an error.
    pub(crate) all_must_exist: bool,
    pub(crate) buckets: Buckets,
    pub(crate) limits: Limits,
    pub(crate) workers: &'a Workers,
    /// Told the number of objects read so far.
    pub(crate) progress: &'a (dyn Fn(u64) + Send + Sync),
}

/// A line that was refused, as [`Refused`], with the number of its object.
struct RefusedLine {
    input: u32,
    reason: String,
    detail: String,
    line: String,
}

/// What was read.
pub(crate) struct Gathered {
    pub(crate) hours: BTreeMap<KindHour, HourBlocks>,
    /// By kind: signals that have no stored type yet.
    pub(crate) new_signals: Vec<Vec<(String, ColumnType)>>,
    /// Objects read, and objects that were gone.
    pub(crate) objects: u64,
    pub(crate) missing: u64,
    /// Lines that break their contract.
    pub(crate) refused: u64,
    /// Bytes that went to disk.
    pub(crate) spilled: u64,
}

/// What the computations share.
struct Shared {
    kinds: Arc<Kinds>,
    admissions: Arc<[Admission]>,
    wanted: Arc<dyn Fn(Hour) -> bool + Send + Sync>,
    written: Option<Arc<HashSet<KindHour>>>,
    buckets: Buckets,
    /// Bytes of rows past which a gathering is sealed.
    seal_at: usize,
    /// Gatherings that nobody works with.
    idle: Mutex<Vec<Gathering>>,
    store: Mutex<Store>,
}

impl Gather<'_> {
    /// Reads all inputs. Lines that break their contract go to `aside`.
    pub(crate) async fn run(
        &self,
        aside: &tokio::sync::Mutex<Aside<'_>>,
    ) -> anyhow::Result<Gathered> {
        let shared = Arc::new(self.shared());
        let (mut objects, mut missing, mut refused) = (0, 0, 0);
        let mut reads = Vec::new();
        for (input, key) in self.inputs.iter().enumerate() {
            reads.push(self.read(&shared, input as u32, key));
        }
        let mut reads = stream::iter(reads).buffered(self.workers.threads() + READ_AHEAD);
        while let Some(lines) = reads.try_next().await? {
            match lines {
                Some(lines) => {
                    objects += 1;
                    for line in lines {
                        refused += 1;
                        let mut aside = aside.lock().await;
                        aside
                            .keep(line.input, &line.reason, &line.detail, &line.line)
                            .await?;
                    }
                }
                None => missing += 1,
            }
            (self.progress)(objects + missing);
        }
        drop(reads);
        let finish = move || -> anyhow::Result<Store> {
            let idle = std::mem::take(&mut *lock(&shared.idle));
            for mut gathering in idle {
                shared.seal(&mut gathering)?;
            }
            let shared = Arc::into_inner(shared).context("a computation is still under way")?;
            let store = shared.store.into_inner();
            Ok(store.unwrap_or_else(PoisonError::into_inner))
        };
        let mut store = self.workers.run(finish).await?;
        if planted_defects::lose_last_spill_block() {
            store.lose_last_block();
        }
        let kinds = 0..self.types.admissions().len();
        let owned = |(name, r#type): (&str, _)| (name.to_owned(), r#type);
        Ok(Gathered {
            new_signals: kinds
                .map(|kind| store.new_signals(kind).map(owned).collect())
                .collect(),
            objects,
            missing,
            refused,
            spilled: store.spilled(),
            hours: store.into_hours(),
        })
    }

    fn shared(&self) -> Shared {
        let (kinds, admissions) = (self.kinds.clone(), self.types.admissions().clone());
        let Limits { memory, folder } = self.limits.clone();
        let store = Store::new(kinds.clone(), admissions.clone(), folder, memory);
        Shared {
            kinds,
            admissions,
            wanted: self.wanted.clone(),
            written: self.written.clone(),
            buckets: self.buckets,
            seal_at: memory / (2 * self.workers.threads()),
            idle: Mutex::default(),
            store: Mutex::new(store),
        }
    }

    /// The refused lines of an object; none if it is gone.
    async fn read(
        &self,
        shared: &Arc<Shared>,
        input: u32,
        key: &str,
    ) -> anyhow::Result<Option<Vec<RefusedLine>>> {
        let lines = match self.lake.get_within(key, PIECE_BYTES).await? {
            Some(Fetched::Whole(object)) => self.add(shared, (input, key), 0, object.body).await?,
            Some(Fetched::TooLarge { size }) => {
                self.read_pieces(shared, (input, key), size).await?
            }
            // The object was there a moment ago: without it the parts would lose its events.
            None if self.all_must_exist => bail!("`{key}` was deleted meanwhile: run it again"),
            None => {
                tracing::warn!(
                    event = "raw_missing",
                    object.key = %key,
                    "the object was deleted before it was taken in"
                );
                return Ok(None);
            }
        };
        Ok(Some(lines))
    }

    /// Reads an object of `size` bytes in pieces. A line that is longer than a line can be is not held whole.
    async fn read_pieces(
        &self,
        shared: &Arc<Shared>,
        (input, key): (u32, &str),
        size: u64,
    ) -> anyhow::Result<Vec<RefusedLine>> {
        let mut refused = Vec::new();
        let (mut start, mut skips) = (0, false);
        while start < size {
            let length = PIECE_BYTES.min(size - start);
            let piece = ByteRange::From { start, length };
            let object = self.lake.get_some(key, piece).await?;
            let gone = || format!("`{key}` was deleted while it was read: run it again");
            let piece = object.with_context(gone)?.body;
            if skips {
                // The rest of a line that is too long.
                let end = memchr::memchr(b'\n', &piece);
                skips = end.is_none();
                start += end.map_or(length, |end| end as u64 + 1);
                continue;
            }
            // Up to the end of the last whole line; what follows is read again with the next piece.
            let is_last = start + length == size;
            let end = memchr::memrchr(b'\n', &piece).map(|end| end + 1);
            let end = if is_last { Some(piece.len()) } else { end };
            let Some(end) = end else {
                refused.push(RefusedLine::new(input, &too_long(&piece)));
                (start, skips) = (start + length, true);
                continue;
            };
            let lines = piece.slice(..end);
            refused.extend(self.add(shared, (input, key), start, lines).await?);
            start += end as u64;
        }
        Ok(refused)
    }

    /// Adds whole lines that begin at `offset` in their object.
    async fn add(
        &self,
        shared: &Arc<Shared>,
        (input, key): (u32, &str),
        offset: u64,
        lines: Bytes,
    ) -> anyhow::Result<Vec<RefusedLine>> {
        let mut all_refused = Vec::new();
        let mut start = 0;
        loop {
            let (at_work, rest) = (shared.clone(), lines.slice(start..));
            let mut refused = std::mem::take(&mut all_refused);
            let add = move || {
                let added = at_work.add(input, offset + start as u64, &rest, &mut refused);
                added.map(|added| (added, refused))
            };
            let (added, refused) = self.workers.run(add).await?;
            all_refused = refused;
            let added = added.map_err(|error| {
                anyhow!(
                    "`{key}` holds an event of a kind that is not declared here: {error}; \
                     set CONTRACTS to the folder that ingest has, and run again"
                )
            });
            match added? {
                Added::All => return Ok(all_refused),
                Added::Waits { kind, from } => {
                    self.types.know(kind).await?;
                    start += from;
                }
            }
        }
    }
}

impl Shared {
    /// Adds lines to an idle gathering, up to one of a kind whose stored types are not known. The outer error is this
    /// machine's, the inner one that of a line of an undeclared kind.
    fn add(
        &self,
        input: u32,
        offset: u64,
        lines: &[u8],
        refused: &mut Vec<RefusedLine>,
    ) -> anyhow::Result<Result<Added, Rejection>> {
        let idle = lock(&self.idle).pop();
        let new = || {
            let admissions = self.admissions.clone();
            Gathering::new(self.kinds.clone(), admissions, self.buckets)
                .with_few_lines(FEW_BYTES)
                .with_rows_of(self.written.clone())
        };
        let mut gathering = idle.unwrap_or_else(new);
        let (mut start, mut added) = (0, Ok(Added::All));
        while start < lines.len() && added == Ok(Added::All) {
            let some = first_lines(&lines[start..], STEP_BYTES);
            let tell = |line: Refused<'_>| refused.push(RefusedLine::new(input, &line));
            added = gathering.add(input, offset + start as u64, some, &*self.wanted, tell);
            if let Ok(Added::Waits { from, .. }) = &mut added {
                *from += start;
            }
            start += some.len();
            if gathering.bytes() >= self.seal_at {
                self.seal(&mut gathering)?;
            }
        }
        lock(&self.idle).push(gathering);
        Ok(added)
    }

    fn seal(&self, gathering: &mut Gathering) -> anyhow::Result<()> {
        let taken = gathering.take()?;
        let mut store = lock(&self.store);
        store.note(&taken);
        if !store.has_file() {
            return store.keep(taken);
        }
        drop(store);
        let mut encoded = Encoded::default();
        for (at, bucket, block) in taken.blocks {
            encoded.add_block(at, bucket, &block)?;
            if encoded.is_enough() {
                lock(&self.store).append(&mut encoded)?;
            }
        }
        for (at, lines) in taken.lines {
            encoded.add_lines(at, &lines);
            if encoded.is_enough() {
                lock(&self.store).append(&mut encoded)?;
            }
        }
        lock(&self.store).append(&mut encoded)
    }
}

impl RefusedLine {
    fn new(input: u32, refused: &Refused<'_>) -> RefusedLine {
        RefusedLine {
            input,
            reason: refused.reason.to_owned(),
            detail: refused.detail.to_owned(),
            line: refused.line.to_owned(),
        }
    }
}

/// The first whole lines, of at most so many bytes; one line if that is longer.
fn first_lines(lines: &[u8], most: usize) -> &[u8] {
    if lines.len() <= most {
        return lines;
    }
    let end = memchr::memrchr(b'\n', &lines[..most]).or_else(|| memchr::memchr(b'\n', lines));
    &lines[..end.map_or(lines.len(), |end| end + 1)]
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_whole_and_none_is_left_out() {
        for (lines, most, first) in [
            ("a\nb\n", 10, "a\nb\n"),
            ("a\nbc\nd\n", 6, "a\nbc\n"),
            ("abc\nd\n", 2, "abc\n"),
            ("abcdef", 2, "abcdef"),
            ("a\nbcdef", 4, "a\n"),
        ] {
            let taken = first_lines(lines.as_bytes(), most);
            assert_eq!(std::str::from_utf8(taken), Ok(first));
        }
    }
}
