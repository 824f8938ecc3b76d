//! `aws-chunked`: a body cut into chunks with their sizes, checksums in trailers.
//!
//! ```text
//! 5;chunk-signature=…\r\n        size in hex; the signature is there if the client signs chunks
//! hello\r\n
//! 0\r\n
//! x-amz-checksum-crc32:NhCmhg==\r\n
//! \r\n
//! ```

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;

use super::error::S3Error;

/// Longest line of sizes or trailers, in bytes.
const MAX_LINE: usize = 16 * 1024;

/// Unpacks chunks as they arrive, in pieces of any size.
#[derive(Debug, Default)]
pub(crate) struct Chunked {
    pending: BytesMut,
    state: State,
    pub(crate) trailers: Vec<(String, String)>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum State {
    #[default]
    Size,
    Data(usize),
    /// The line end after a chunk's data.
    End,
    Trailers,
    Done,
}

impl Chunked {
    /// Whether a request's body is chunked in this way.
    pub(crate) fn applies(headers: &HeaderMap) -> bool {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let encoding = text("content-encoding").unwrap_or_default();
        let hash = text("x-amz-content-sha256").unwrap_or_default();
        encoding.split(',').any(|part| part.trim() == "aws-chunked")
            || hash.starts_with("STREAMING-")
    }

    /// Takes the next piece of the body and gives what data it completes.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> Result<Vec<Bytes>, S3Error> {
        self.pending.extend_from_slice(piece);
        let mut data = Vec::new();
        loop {
            match self.state {
                State::Size => {
                    let Some(line) = self.line()? else { break };
                    let size = line.split(';').next().unwrap_or_default().trim();
                    let size = usize::from_str_radix(size, 16);
                    self.state = match size.map_err(|_| S3Error::incomplete_body())? {
                        0 => State::Trailers,
                        size => State::Data(size),
                    };
                }
                State::Data(left) => {
                    let taken = self.pending.split_to(left.min(self.pending.len())).freeze();
                    if taken.is_empty() {
                        break;
                    }
                    self.state = match left - taken.len() {
                        0 => State::End,
                        left => State::Data(left),
                    };
                    data.push(taken);
                }
                State::End => match self.line()? {
                    None => break,
                    Some(line) if line.is_empty() => self.state = State::Size,
                    Some(_) => return Err(S3Error::incomplete_body()),
                },
                State::Trailers => {
                    let Some(line) = self.line()? else { break };
                    if line.is_empty() {
                        self.state = State::Done;
                    } else if let Some((name, value)) = line.split_once(':') {
                        self.trailers
                            .push((name.trim().to_owned(), value.trim().to_owned()));
                    }
                }
                State::Done => break,
            }
        }
        Ok(data)
    }

    /// Checks that the body came to its end. The empty line after the trailers may be missing: some
    /// clients leave it out.
    pub(crate) fn finish(&mut self) -> Result<(), S3Error> {
        if self.state == State::Trailers && !self.pending.is_empty() {
            self.feed(b"\r\n")?;
        }
        match self.state {
            State::Trailers | State::Done => Ok(()),
            _ => Err(S3Error::incomplete_body()),
        }
    }

    /// The next whole line, without its end.
    fn line(&mut self) -> Result<Option<String>, S3Error> {
        let Some(end) = self.pending.windows(2).position(|pair| pair == b"\r\n") else {
            if self.pending.len() > MAX_LINE {
                return Err(S3Error::incomplete_body());
            }
            return Ok(None);
        };
        let line = self.pending.split_to(end);
        self.pending.advance(2);
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_come_together_however_the_body_is_split() {
        let body = b"5;chunk-signature=ab\r\nhello\r\n7\r\n, world\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n";
        for size in 1..body.len() {
            let mut chunked = Chunked::default();
            let mut data = Vec::new();
            for piece in body.chunks(size) {
                data.extend(chunked.feed(piece).unwrap().concat());
            }
            chunked.finish().unwrap();
            assert_eq!(data, b"hello, world", "pieces of {size}");
            assert_eq!(
                chunked.trailers,
                [("x-amz-checksum-crc32".to_owned(), "AAAA".to_owned())]
            );
        }
    }

    #[test]
    fn a_body_that_ends_early_is_refused() {
        let mut chunked = Chunked::default();
        chunked.feed(b"5\r\nhel").unwrap();
        assert_eq!(chunked.finish().unwrap_err().code, "IncompleteBody");
        assert!(Chunked::default().feed(b"zz\r\n").is_err());
    }
}
