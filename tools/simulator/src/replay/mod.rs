//! Recorded data as events: CSV by a mapping, or NDJSON in our contracts; plain, gzip or zstd.

mod clock;
mod column;
mod counts;
mod lines;
mod mapping;
mod pace;
mod table;
mod value;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use contract::Kinds;

pub use counts::{ReplayCounts, Skip};
pub use mapping::{Mapping, MappingError};
pub use pace::{Speed, SpeedError};

use crate::event::{Class, DueEvent};
use lines::Lines;
use pace::Pace;
use table::Table;

/// A replay that cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A file cannot be opened or read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file does not fit its mapping.
    #[error("cannot replay `{path}`: {message}")]
    Misfit {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        message: String,
    },
}

/// Yields the events of recorded files, one file after the other, each with its due time.
///
/// The same file yields the same events each time, so that the ids that the server derives are the
/// same as well: a file replayed twice is in the lake once.
pub struct Replay {
    files: VecDeque<PathBuf>,
    mapping: Option<Arc<Mapping>>,
    time_fields: Vec<String>,
    pace: Pace,
    current: Option<(PathBuf, Source)>,
    counts: ReplayCounts,
    read: Arc<AtomicU64>,
}

/// A recorded event, and its time where it is known.
#[derive(Debug)]
pub(crate) struct Recorded {
    body: String,
    time: Option<DateTime<Utc>>,
}

enum Source {
    Table(Box<Table>),
    Lines(Lines),
}

impl Replay {
    /// A replay of `files`, which must be there; those that are not NDJSON by their names (see
    /// [`is_ndjson`]) need a mapping.
    ///
    /// # Errors
    ///
    /// [`ReplayError`] names the file and what is wrong with it.
    pub fn new(
        files: &[PathBuf],
        mapping: Option<Mapping>,
        kinds: &Kinds,
        speed: Speed,
    ) -> Result<Replay, ReplayError> {
        for path in files {
            let about = std::fs::metadata(path).map_err(|source| ReplayError::Read {
                path: path.clone(),
                source,
            })?;
            if about.is_dir() {
                return Err(misfit(path, "it is a folder: name the files in it"));
            }
            if mapping.is_none() && !is_ndjson(path) {
                let message = format!(
                    "its columns need a mapping: give --mapping a TOML file, or one of {}; \
                     only .ndjson, .jsonl and .json (each also as .gz, .zst) go without",
                    Mapping::built_in_names()
                );
                return Err(misfit(path, &message));
            }
        }
        Ok(Replay {
            files: files.iter().cloned().collect(),
            mapping: mapping.map(Arc::new),
            time_fields: kinds.iter().map(|kind| kind.time.field.clone()).collect(),
            pace: Pace::new(speed),
            current: None,
            counts: ReplayCounts::default(),
            read: Arc::default(),
        })
    }

    /// What has been read so far.
    pub fn counts(&self) -> &ReplayCounts {
        &self.counts
    }

    /// Bytes of the files read so far, as they lie on disk: grows while the replay is elsewhere.
    pub fn bytes_read(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.read)
    }

    fn open(&mut self, path: &Path) -> Result<Source, ReplayError> {
        let text = open_text(path, Arc::clone(&self.read)).map_err(|source| ReplayError::Read {
            path: path.to_owned(),
            source,
        })?;
        self.counts.files += 1;
        self.pace.next_file();
        match &self.mapping {
            Some(mapping) if !is_ndjson(path) => {
                let table = Table::open(path, text, Arc::clone(mapping), &mut self.counts);
                Ok(Source::Table(Box::new(
                    table.map_err(|message| misfit(path, &message))?,
                )))
            }
            _ => Ok(Source::Lines(Lines::new(text, self.time_fields.clone()))),
        }
    }

    fn next_event(&mut self) -> Result<Option<Recorded>, ReplayError> {
        loop {
            let (path, mut source) = match self.current.take() {
                Some(current) => current,
                None => match self.files.pop_front() {
                    Some(path) => {
                        let source = self.open(&path)?;
                        (path, source)
                    }
                    None => return Ok(None),
                },
            };
            let event = match &mut source {
                Source::Table(table) => match table.next_row(&mut self.counts) {
                    Ok(row) => row,
                    Err(error) => return Err(misfit(&path, &error.to_string())),
                },
                Source::Lines(lines) => match lines.next_line(&mut self.counts) {
                    Ok(line) => line,
                    Err(source) => return Err(ReplayError::Read { path, source }),
                },
            };
            if event.is_some() {
                self.current = Some((path, source));
                return Ok(event);
            }
        }
    }
}

impl Iterator for Replay {
    type Item = Result<DueEvent, ReplayError>;

    fn next(&mut self) -> Option<Result<DueEvent, ReplayError>> {
        match self.next_event() {
            Ok(Some(Recorded { body, time })) => Some(Ok(DueEvent {
                body,
                class: Class::Good,
                due: self.pace.due(time),
            })),
            Ok(None) => None,
            Err(error) => {
                self.files.clear();
                Some(Err(error))
            }
        }
    }
}

fn misfit(path: &Path, message: &str) -> ReplayError {
    ReplayError::Misfit {
        path: path.to_owned(),
        message: message.to_owned(),
    }
}

/// Whether the name says one JSON object a line: `.ndjson`, `.jsonl` or `.json`, perhaps packed.
pub fn is_ndjson(path: &Path) -> bool {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    let name = name
        .strip_suffix(".gz")
        .or(name.strip_suffix(".zst"))
        .unwrap_or(&name);
    [".ndjson", ".jsonl", ".json"]
        .iter()
        .any(|ending| name.ends_with(ending))
}

/// The text of a file, unpacked if its first bytes say so; `read` grows with the bytes on disk.
fn open_text(path: &Path, read: Arc<AtomicU64>) -> std::io::Result<Box<dyn BufRead + Send>> {
    let mut file = BufReader::with_capacity(
        1 << 16,
        Counted {
            file: File::open(path)?,
            read,
        },
    );
    let packed = match file.fill_buf()? {
        [0x1f, 0x8b, ..] => {
            Box::new(flate2::bufread::MultiGzDecoder::new(file)) as Box<dyn Read + Send>
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::Decoder::with_buffer(file)?),
        _ => return Ok(Box::new(file)),
    };
    Ok(Box::new(BufReader::with_capacity(1 << 16, packed)))
}

struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
