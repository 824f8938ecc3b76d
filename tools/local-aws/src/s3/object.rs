//! What is known of an object, and where its bytes are.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::{Deserialize, Serialize};

use super::checksum::Checksum;
use super::error::S3Error;
use crate::http_bodies::ResponseBody;
use crate::wall_clock::{self, Moment};

/// Headers that are kept with an object and handed back.
const KEPT: [HeaderName; 6] = [
    header::CACHE_CONTROL,
    header::CONTENT_DISPOSITION,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_TYPE,
    header::EXPIRES,
];

const USER_METADATA: &str = "x-amz-meta-";

/// Bytes of user metadata, names and values (S3 user guide, "Working with object metadata").
const MAX_USER_METADATA: usize = 2 * 1024;

/// Headers that the sender gave the object, user metadata among them, by lower-case name.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct ObjectHeaders {
    #[serde(default)]
    headers: Headers,
}

/// Names and values. A map of its own would take half a kilobyte of each object, and a test may make a million.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
struct Headers(Box<[(Box<str>, Box<str>)]>);

impl From<BTreeMap<String, String>> for Headers {
    fn from(headers: BTreeMap<String, String>) -> Headers {
        let boxed = |(name, value): (String, String)| (name.into(), value.into());
        Headers(headers.into_iter().map(boxed).collect())
    }
}

impl From<Headers> for BTreeMap<String, String> {
    fn from(headers: Headers) -> Self {
        let owned = |(name, value): (Box<str>, Box<str>)| (name.into(), value.into());
        headers.0.into_iter().map(owned).collect()
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub(crate) size: u64,
    /// MD5 in hex; of a multipart object, the MD5 of the parts' MD5s, `-` and their number. Without quotes.
    pub(crate) etag: String,
    pub(crate) modified: Moment,
    pub(crate) described: ObjectHeaders,
    pub(crate) checksum: Option<Checksum>,
}

/// Bytes in memory or in a file. A file that is not `kept` is temporary, and is removed when this value
/// is dropped.
#[derive(Debug)]
pub(crate) enum Data {
    Memory(Bytes),
    File { path: PathBuf, kept: bool },
}

#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) meta: Meta,
    pub(crate) data: Data,
}

impl ObjectHeaders {
    pub(crate) fn in_headers(headers: &HeaderMap) -> Result<Self, S3Error> {
        let mut described = BTreeMap::new();
        let mut user_metadata = 0;
        for (name, value) in headers {
            let is_user = name.as_str().starts_with(USER_METADATA);
            if !is_user && !KEPT.contains(name) {
                continue;
            }
            let mut value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            if is_user {
                user_metadata += name.as_str().len() - USER_METADATA.len() + value.len();
            }
            if name == header::CONTENT_ENCODING {
                // The transfer's own encoding is not the object's.
                let parts = value.split(',').map(str::trim);
                let own: Vec<_> = parts.filter(|part| *part != "aws-chunked").collect();
                value = own.join(",");
                if value.is_empty() {
                    continue;
                }
            }
            described.insert(name.as_str().to_owned(), value);
        }
        if user_metadata > MAX_USER_METADATA {
            return Err(S3Error::metadata_too_large());
        }
        let content_type = described.entry(header::CONTENT_TYPE.to_string());
        content_type.or_insert_with(|| "binary/octet-stream".to_owned());
        Ok(Self {
            headers: described.into(),
        })
    }
}

impl Meta {
    pub(crate) fn quoted_etag(&self) -> String {
        format!("\"{}\"", self.etag)
    }

    /// The headers of an answer about the object.
    pub(crate) fn headers(&self, with_checksum: bool) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut set = |name: &str, value: &str| {
            // These values came in as headers, so they are valid ones.
            let name = HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
                headers.insert(name, value);
            }
        };
        for (name, value) in &self.described.headers.0 {
            set(name, value);
        }
        set("etag", &self.quoted_etag());
        set(
            "last-modified",
            &httpdate::fmt_http_date(wall_clock::system_time(self.modified)),
        );
        set("accept-ranges", "bytes");
        if let Some(checksum) = self.checksum.as_ref().filter(|_| with_checksum) {
            set(checksum.algorithm.header(), &checksum.value);
            set("x-amz-checksum-type", checksum.kind());
        }
        headers
    }
}

impl Data {
    /// `length` bytes from `start` on, as the body of an answer.
    pub(crate) fn body(&self, start: u64, length: u64) -> io::Result<ResponseBody> {
        match self {
            Self::Memory(bytes) => {
                let at = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(bytes.len());
                Ok(ResponseBody::Bytes(
                    bytes.slice(at(start)..at(start + length)),
                ))
            }
            Self::File { path, .. } => {
                let mut file = File::open(path)?;
                file.seek(SeekFrom::Start(start))?;
                Ok(ResponseBody::File { file, left: length })
            }
        }
    }

    pub(crate) fn read(&self) -> io::Result<Bytes> {
        match self {
            Self::Memory(bytes) => Ok(bytes.clone()),
            Self::File { path, .. } => Ok(std::fs::read(path)?.into()),
        }
    }

    pub(crate) fn for_each(
        source: ResponseBody,
        mut take: impl FnMut(&[u8]) -> Result<(), S3Error>,
    ) -> Result<(), S3Error> {
        match source {
            ResponseBody::Bytes(bytes) => take(&bytes),
            ResponseBody::File { file, left } => {
                let mut file = file.take(left);
                let mut buffer = vec![0; 256 * 1024];
                loop {
                    let read = file.read(&mut buffer)?;
                    if read == 0 {
                        return Ok(());
                    }
                    take(&buffer[..read])?;
                }
            }
        }
    }

    /// The path of a temporary file, which belongs to the caller from now on.
    pub(crate) fn keep(mut self) -> Option<PathBuf> {
        match &mut self {
            Self::Memory(_) => None,
            Self::File { path, kept } => {
                *kept = true;
                Some(path.clone())
            }
        }
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        if let Self::File { path, kept: false } = self {
            // A file that cannot be removed now is removed at the next start.
            let _ = std::fs::remove_file(path);
        }
    }
}
