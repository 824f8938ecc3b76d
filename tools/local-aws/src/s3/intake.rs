//! The body of a write on its way in: unpacked from chunks, hashed, held against its checksums, and put
//! into memory or a temporary file. No lock is held.

use std::fs::File;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt;
use md5::{Digest, Md5};
use serde::de::DeserializeOwned;

use super::checksum::{Algorithm, Checksum, Hasher};
use super::chunked::Chunked;
use super::error::S3Error;
use super::folder::Folder;
use super::object::Data;
use crate::hex::hex;
use crate::http_bodies::{RequestBody, is_too_long, limited};

/// Most bytes of XML in a request. The longest that a client has to send completes an upload of 10,000 parts with a
/// checksum for each: some 3 MB.
const MOST_XML: usize = 8 << 20;

/// A body that has arrived whole, and whose checksums are those that its sender gave.
#[derive(Debug)]
pub(crate) struct ReceivedBody {
    pub(crate) data: Data,
    pub(crate) size: u64,
    pub(crate) md5: [u8; 16],
    pub(crate) checksum: Option<Checksum>,
}

impl ReceivedBody {
    /// The MD5 in hex.
    pub(crate) fn etag(&self) -> String {
        hex(self.md5)
    }
}

/// Writes bytes to memory or a file, and hashes them.
pub(crate) struct BodySink {
    md5: Md5,
    hasher: Option<(Algorithm, Hasher)>,
    size: u64,
    pieces: Vec<Bytes>,
    file: Option<(File, Data)>,
}

impl BodySink {
    pub(crate) fn new(
        folder: Option<&Folder>,
        algorithm: Option<Algorithm>,
    ) -> Result<Self, S3Error> {
        Ok(Self {
            md5: Md5::new(),
            hasher: algorithm.map(|algorithm| (algorithm, algorithm.hasher())),
            size: 0,
            pieces: Vec::new(),
            file: folder.map(Folder::temporary).transpose()?,
        })
    }

    pub(crate) fn take(&mut self, piece: Bytes) -> Result<(), S3Error> {
        self.size += piece.len() as u64;
        self.md5.update(&piece);
        if let Some((_, hasher)) = &mut self.hasher {
            hasher.update(&piece);
        }
        match &mut self.file {
            Some((file, _)) => file.write_all(&piece)?,
            None => self.pieces.push(piece),
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> ReceivedBody {
        let checksum = self.hasher.map(|(algorithm, hasher)| Checksum {
            algorithm,
            value: hasher.finish_base64(),
        });
        let data = match (self.file, self.pieces.as_slice()) {
            (Some((_, data)), _) => data,
            (None, [single]) => Data::Memory(single.clone()),
            (None, pieces) => {
                let mut whole = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
                pieces
                    .iter()
                    .for_each(|piece| whole.extend_from_slice(piece));
                Data::Memory(whole.freeze())
            }
        };
        ReceivedBody {
            data,
            size: self.size,
            md5: self.md5.finalize().into(),
            checksum,
        }
    }
}

/// Takes a body in. The checksum `fallback` is computed if the sender gives none.
///
/// # Errors
///
/// `BadDigest` if a given checksum differs, `IncompleteBody` if the body ends early, `MaxMessageLengthExceeded` if it is
/// [`limited`] and longer.
pub(crate) async fn take_in(
    mut body: RequestBody,
    headers: &HeaderMap,
    folder: Option<&Folder>,
    fallback: Option<Algorithm>,
) -> Result<ReceivedBody, S3Error> {
    let given_md5 = content_md5(headers)?;
    let given = Checksum::in_headers(headers);
    let trailer = headers
        .get("x-amz-trailer")
        .and_then(|value| value.to_str().ok());
    let in_trailer = trailer.and_then(|names| {
        names
            .split(',')
            .find_map(|name| Algorithm::of_header(name.trim()))
    });
    let algorithm = given
        .as_ref()
        .map(|given| given.algorithm)
        .or(in_trailer)
        .or(fallback);
    let mut sink = BodySink::new(folder, algorithm)?;
    let mut chunked = Chunked::applies(headers).then(Chunked::default);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if is_too_long(&error) {
                return S3Error::too_large();
            }
            tracing::debug!(event = "body_failed", error = %error, "a request's body broke off");
            S3Error::incomplete_body()
        })?;
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        match &mut chunked {
            None => sink.take(piece)?,
            Some(chunked) => chunked
                .feed(&piece)?
                .into_iter()
                .try_for_each(|piece| sink.take(piece))?,
        }
    }
    let mut expected = given;
    if let Some(chunked) = &mut chunked {
        chunked.finish()?;
        let found = chunked.trailers.iter().find_map(|(name, value)| {
            let algorithm = Algorithm::of_header(name)?;
            let value = value.clone();
            Some(Checksum { algorithm, value })
        });
        expected = expected.or(found);
    }
    let taken = sink.finish();
    check_length(headers, chunked.is_some(), taken.size)?;
    if given_md5.is_some_and(|given| given != taken.md5) {
        return Err(S3Error::bad_content_md5());
    }
    if let (Some(expected), Some(computed)) = (expected, &taken.checksum)
        && expected.algorithm == computed.algorithm
        && expected != *computed
    {
        return Err(S3Error::bad_checksum(computed.algorithm.name()));
    }
    Ok(taken)
}

/// A whole small body, such as XML.
pub(crate) async fn small(body: RequestBody, headers: &HeaderMap) -> Result<Bytes, S3Error> {
    match take_in(limited(body, MOST_XML), headers, None, None)
        .await?
        .data
        .read()
    {
        Ok(bytes) => Ok(bytes),
        Err(error) => Err(error.into()),
    }
}

/// Reads a request's XML.
pub(crate) fn parse_xml<T: DeserializeOwned>(body: &[u8]) -> Result<T, S3Error> {
    let text = std::str::from_utf8(body).map_err(|_| S3Error::malformed_xml())?;
    quick_xml::de::from_str(text).map_err(|error| {
        let refused = S3Error::malformed_xml();
        let message = format!("{} ({error})", refused.message);
        S3Error { message, ..refused }
    })
}

fn content_md5(headers: &HeaderMap) -> Result<Option<[u8; 16]>, S3Error> {
    let Some(value) = headers.get("content-md5") else {
        return Ok(None);
    };
    let decoded = STANDARD.decode(value.as_bytes()).ok();
    let bytes = decoded.and_then(|bytes| bytes.try_into().ok());
    bytes.map(Some).ok_or_else(S3Error::invalid_digest)
}

fn check_length(headers: &HeaderMap, chunked: bool, size: u64) -> Result<(), S3Error> {
    let name = if chunked {
        "x-amz-decoded-content-length"
    } else {
        "content-length"
    };
    let given = headers
        .get(name)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if given.is_some_and(|given| given != size) {
        return Err(S3Error::incomplete_body());
    }
    Ok(())
}
