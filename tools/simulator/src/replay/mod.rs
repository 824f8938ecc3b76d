//! Recorded events, sent as if they were live: NDJSON files come in, events with their due times go out.
//!
//! The same file yields the same events each time, so that the ids which the server derives are the same as well:
//! a file replayed twice is in the lake once.

mod counts;
mod lines;
mod pace;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use contract::Kinds;

pub use counts::{ReplayCounts, Skip};
pub use pace::{Speed, SpeedError};

use self::lines::{EventLines, RecordedEvent};
use self::pace::Pace;
use crate::event::{Class, DueEvent};

/// The path that means standard input.
const STDIN: &str = "-";

/// What the name of a file ends in whose lines are events; after it may stand `.gz` or `.zst`.
const ENDINGS: [&str; 3] = [".ndjson", ".jsonl", ".json"];

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
    /// A path that names no file of events.
    #[error("cannot replay `{path}`: {message}")]
    NotEvents {
        /// The path.
        path: PathBuf,
        /// What it is, and what to do.
        message: &'static str,
    },
}

/// Yields the events of recorded files, one file after the other, each with its due time.
pub struct Replay {
    files: VecDeque<PathBuf>,
    /// Fields that may hold the event time.
    time_fields: Vec<String>,
    pace: Pace,
    current: Option<(PathBuf, EventLines)>,
    counts: ReplayCounts,
    bytes_read: Arc<AtomicU64>,
}

impl Replay {
    /// A replay of `files`, each of which is `-` for standard input, or there and named `.ndjson`, `.jsonl` or
    /// `.json`, perhaps packed: `.gz`, `.zst`.
    ///
    /// # Errors
    ///
    /// [`ReplayError`] names the file and what is wrong with it.
    pub fn new(files: &[PathBuf], kinds: &Kinds, speed: Speed) -> Result<Replay, ReplayError> {
        for path in files.iter().filter(|path| !is_stdin(path)) {
            let about = std::fs::metadata(path).map_err(|source| ReplayError::Read {
                path: path.clone(),
                source,
            })?;
            let message = if about.is_dir() {
                "it is a folder: name the files in it"
            } else if !is_ndjson(path) {
                "it is no .ndjson, .jsonl or .json (each also as .gz, .zst); `import` brings in CSV, JSON and Parquet of other shapes"
            } else {
                continue;
            };
            return Err(ReplayError::NotEvents {
                path: path.clone(),
                message,
            });
        }
        Ok(Replay {
            files: files.iter().cloned().collect(),
            time_fields: kinds.iter().map(|kind| kind.time.field.clone()).collect(),
            pace: Pace::new(speed),
            current: None,
            counts: ReplayCounts::default(),
            bytes_read: Arc::default(),
        })
    }

    /// What has been read so far.
    pub fn counts(&self) -> &ReplayCounts {
        &self.counts
    }

    /// Bytes of the files read so far, as they lie on disk: grows while the replay is elsewhere.
    pub fn bytes_read(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.bytes_read)
    }

    fn next_event(&mut self) -> Result<Option<RecordedEvent>, ReplayError> {
        loop {
            let (path, mut lines) = match self.current.take() {
                Some(current) => current,
                None => match self.files.pop_front() {
                    Some(path) => self.open(path)?,
                    None => return Ok(None),
                },
            };
            match lines.next_event(&mut self.counts) {
                Ok(None) => {}
                Ok(line) => {
                    self.current = Some((path, lines));
                    return Ok(line);
                }
                Err(source) => return Err(ReplayError::Read { path, source }),
            }
        }
    }

    fn open(&mut self, path: PathBuf) -> Result<(PathBuf, EventLines), ReplayError> {
        self.counts.files += 1;
        self.pace.next_file();
        match open_text(&path, Arc::clone(&self.bytes_read)) {
            Ok(text) => Ok((path, EventLines::new(text, self.time_fields.clone()))),
            Err(source) => Err(ReplayError::Read { path, source }),
        }
    }
}

impl Iterator for Replay {
    type Item = Result<DueEvent, ReplayError>;

    fn next(&mut self) -> Option<Result<DueEvent, ReplayError>> {
        let line = self.next_event().transpose()?;
        if line.is_err() {
            self.files.clear();
        }
        Some(line.map(|RecordedEvent { body, time }| DueEvent {
            body,
            class: Class::Good,
            due: self.pace.due(time),
        }))
    }
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == STDIN
}

fn is_ndjson(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_lowercase();
    let packed = name.strip_suffix(".gz").or(name.strip_suffix(".zst"));
    let name = packed.unwrap_or(&name);
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// The text of a file, unpacked if its first bytes say so; `bytes_read` grows with the bytes on disk.
fn open_text(path: &Path, bytes_read: Arc<AtomicU64>) -> std::io::Result<Box<dyn BufRead + Send>> {
    let file: Box<dyn Read + Send> = if is_stdin(path) {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(path)?)
    };
    let mut file = BufReader::with_capacity(1 << 16, Counted { file, bytes_read });
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
    file: Box<dyn Read + Send>,
    bytes_read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.bytes_read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
