//! Text of any encoding, packed or not, as lines of UTF-8.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use encoding_rs::{Encoding, UTF_8};
use encoding_rs_io::DecodeReaderBytesBuilder;

/// Longest line that is taken, in bytes of UTF-8; an event has at most 32 KiB.
const MAX_LINE: usize = 1 << 20;

/// Bytes read at once.
const BUFFER: usize = 1 << 16;

/// The encoding of that name: a label of the WHATWG Encoding Standard such as `utf-8`, `utf-16le`, `latin1` or
/// `windows-1252`.
pub(crate) fn encoding_of(label: &str) -> Result<&'static Encoding, String> {
    Encoding::for_label(label.as_bytes())
        .ok_or_else(|| format!("`{label}` is no encoding: try utf-8, utf-16le, utf-16be or latin1"))
}

/// The text of a file: unpacked if its first bytes say gzip or zstd, and turned into UTF-8. A byte order mark decides
/// over `encoding`. `bytes_read` grows with the bytes on disk.
pub(crate) fn open(
    path: &Path,
    encoding: &'static Encoding,
    bytes_read: Arc<AtomicU64>,
) -> std::io::Result<Box<dyn BufRead + Send>> {
    let file = Counted {
        file: File::open(path)?,
        bytes_read,
    };
    let mut file = BufReader::with_capacity(BUFFER, file);
    let plain: Box<dyn Read + Send> = match file.fill_buf()? {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::Decoder::with_buffer(file)?),
        _ => Box::new(file),
    };
    // UTF-8 passes as it is: a line that is not UTF-8 is to be told from others.
    let decoded = DecodeReaderBytesBuilder::new()
        .encoding((encoding != UTF_8).then_some(encoding))
        .utf8_passthru(true)
        .strip_bom(true)
        .build(plain);
    Ok(Box::new(BufReader::with_capacity(BUFFER, decoded)))
}

struct Counted {
    file: File,
    bytes_read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.bytes_read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// A line without its end.
pub(crate) enum Line {
    Text(String),
    /// No text, or too long: the code of the fault, and as much of the line as can be shown.
    Bad(&'static str, String),
}

/// Reads lines that end in LF or CRLF.
pub(crate) struct Lines {
    text: Box<dyn BufRead + Send>,
    /// Whether U+FFFD stands for bytes that the encoding does not have.
    is_decoded: bool,
}

impl Lines {
    pub(crate) fn open(
        path: &Path,
        encoding: &'static Encoding,
        bytes_read: Arc<AtomicU64>,
    ) -> std::io::Result<Lines> {
        let text = open(path, encoding, bytes_read)?;
        Ok(Lines {
            text,
            is_decoded: encoding != UTF_8,
        })
    }

    /// The next line; `None` at the end.
    pub(crate) fn next_line(&mut self) -> std::io::Result<Option<Line>> {
        let mut bytes = Vec::new();
        let limit = MAX_LINE as u64 + 2;
        if self
            .text
            .by_ref()
            .take(limit)
            .read_until(b'\n', &mut bytes)?
            == 0
        {
            return Ok(None);
        }
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        } else if bytes.len() > MAX_LINE {
            skip_line(&mut self.text)?;
            return Ok(Some(Line::Bad("line_too_long", shown(&bytes))));
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        Ok(Some(match String::from_utf8(bytes) {
            Ok(text) if self.is_decoded && text.contains('\u{fffd}') => {
                Line::Bad("wrong_encoding", text)
            }
            Ok(text) => Line::Text(text),
            Err(error) => Line::Bad("wrong_encoding", shown(error.as_bytes())),
        }))
    }
}

/// Reads to the end of the line without keeping it.
fn skip_line(text: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let buffer = text.fill_buf()?;
        let (used, over) = match memchr::memchr(b'\n', buffer) {
            Some(at) => (at + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        text.consume(used);
        if over {
            return Ok(());
        }
    }
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(400)]).into_owned()
}
