//! Bodies of requests and answers, on a socket and in process alike.

use std::fs::File;
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, LengthLimitError, Limited};

/// Any error of a body or transport.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request, from a socket or from an SDK client in process.
pub(crate) type RequestBody = UnsyncBoxBody<Bytes, BoxError>;

/// A body that fails with an error that [`is_too_long`] knows once it is longer than `most` bytes.
pub(crate) fn limited(body: RequestBody, most: usize) -> RequestBody {
    Limited::new(body, most).boxed_unsync()
}

/// Whether a body failed because it is longer than it may be.
pub(crate) fn is_too_long(error: &BoxError) -> bool {
    error.is::<LengthLimitError>()
}

/// Bytes of a file that are read at once.
const FILE_CHUNK: usize = 64 * 1024;

/// The body of an answer: bytes in memory, or part of an open file.
#[derive(Debug)]
pub(crate) enum ResponseBody {
    Bytes(Bytes),
    /// The next `left` bytes of `file`. Replacing the object meanwhile does not change the open file.
    File {
        file: File,
        left: u64,
    },
}

impl ResponseBody {
    pub(crate) fn empty() -> Self {
        Self::Bytes(Bytes::new())
    }
}

impl<T: Into<Bytes>> From<T> for ResponseBody {
    fn from(bytes: T) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let chunk = match self.get_mut() {
            Self::Bytes(bytes) => std::mem::take(bytes),
            Self::File { left: 0, .. } => return Poll::Ready(None),
            Self::File { file, left } => match read_chunk(file, *left) {
                Ok(chunk) => {
                    *left -= chunk.len() as u64;
                    chunk
                }
                Err(error) => return Poll::Ready(Some(Err(error))),
            },
        };
        Poll::Ready((!chunk.is_empty()).then(|| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::File { left, .. } => *left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { left, .. } => *left,
        })
    }
}

/// Reads a chunk, mostly from the page cache: too short a wait for a thread of its own.
fn read_chunk(file: &mut File, left: u64) -> io::Result<Bytes> {
    let wanted = usize::try_from(left).map_or(FILE_CHUNK, |left| left.min(FILE_CHUNK));
    let mut chunk = vec![0; wanted];
    let read = file.read(&mut chunk)?;
    if read == 0 {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the object's file was cut short while it was read",
        ));
    }
    chunk.truncate(read);
    Ok(chunk.into())
}
