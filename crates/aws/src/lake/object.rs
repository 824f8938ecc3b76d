//! What goes into the lake, what comes out of it, and on what condition.

use std::collections::HashMap;

use bytes::Bytes;
use chrono::{DateTime, Utc};

/// When a put may take effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Always: an object that is there is replaced.
    Always,
    /// Only where no object has the key.
    IfAbsent,
    /// Only where the object's ETag is this one.
    IfMatch(String),
}

/// How a put went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutOutcome {
    /// The object is written and has this ETag.
    Written(String),
    /// The condition did not hold. Where the answer to an earlier attempt was lost, that may be because this very put
    /// took effect: read the object to know.
    ConditionFailed,
}

/// An object, read whole.
#[derive(Debug, Clone)]
pub struct Object {
    /// The content.
    pub body: Bytes,
    /// The ETag, with the quotes around it; see [`ObjectInfo::etag`].
    pub etag: String,
    /// The metadata that the writer gave; names are in lower case.
    pub metadata: HashMap<String, String>,
}

/// An object, if it was not too large to be read.
#[derive(Debug, Clone)]
pub enum Fetched {
    /// The object.
    Whole(Object),
    /// The object has more bytes than were asked for.
    TooLarge {
        /// Bytes of the object.
        size: u64,
    },
}

/// Some bytes of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// From the byte `start` on, `length` bytes, or fewer where the object ends.
    From {
        /// The first byte, from 0 on.
        start: u64,
        /// Number of bytes, at least 1.
        length: u64,
    },
    /// The last bytes; the whole object where it is shorter.
    Last(u64),
}

/// What is known of an object without reading its content.
#[derive(Debug, Clone)]
pub struct Head {
    /// The ETag, with the quotes around it; see [`ObjectInfo::etag`].
    pub etag: String,
    /// The metadata that the writer gave; names are in lower case.
    pub metadata: HashMap<String, String>,
}

/// An object as a listing names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// The key, from the start of the bucket.
    pub key: String,
    /// Bytes of the content.
    pub size: u64,
    /// The ETag, with the quotes around it. It stands for the content alone: an object that is written again with the
    /// same bytes may keep its ETag, whatever its metadata, so that an ETag shows that content differs, and not that
    /// nobody has written. It is the MD5 of the content only under some settings (S3 API reference, `Object`, read
    /// 2026-11-26).
    pub etag: String,
    /// When the object was written, by the clock of S3, in whole seconds; None where the listing does not tell it.
    pub last_modified: Option<DateTime<Utc>>,
}

/// A version of an object that is not the current one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldVersion {
    /// The key, from the start of the bucket.
    pub key: String,
    /// The version's id.
    pub id: String,
    /// Bytes of the content.
    pub size: u64,
}

/// What stands directly under a prefix: folders, which end in `/`, and objects. Both are in byte order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folder {
    /// The prefixes of further keys, up to and with the next `/`.
    pub folders: Vec<String>,
    /// The objects.
    pub objects: Vec<ObjectInfo>,
    /// Where the next page goes on, to be given as `after`; None at the end.
    pub next: Option<String>,
}
