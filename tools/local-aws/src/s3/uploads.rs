//! Multipart uploads in progress, as they are kept in memory and in a folder.
//!
//! They stay although no service of ours uploads in parts: `aws s3 cp`, `mv` and `sync` and boto3's
//! `upload_file` do so for every file over 8 MB.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::checksum::{Algorithm, Checksum};
use super::error::S3Error;
use super::folder::{Folder, read_json};
use super::object::{Data, ObjectHeaders};
use crate::hex::hex;
use crate::wall_clock::Moment;

#[derive(Debug)]
pub(crate) struct Upload {
    pub(super) record: UploadRecord,
    /// The parts' bytes by part number.
    pub(super) data: BTreeMap<u32, Arc<Data>>,
}

/// An upload but for its bytes; in a folder, the file `upload.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct UploadRecord {
    pub(super) key: String,
    pub(super) initiated: Moment,
    pub(super) described: ObjectHeaders,
    pub(super) algorithm: Option<Algorithm>,
    /// Whether the checksum is over the whole object rather than over the parts' checksums.
    pub(super) whole: bool,
    pub(super) parts: BTreeMap<u32, PartRecord>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PartRecord {
    pub(super) size: u64,
    pub(super) md5: [u8; 16],
    pub(super) modified: Moment,
    pub(super) checksum: Option<Checksum>,
    /// The part's file in the upload's folder.
    pub(super) file: Option<String>,
}

impl PartRecord {
    pub(super) fn quoted_etag(&self) -> String {
        format!("\"{}\"", hex(self.md5))
    }
}

pub(crate) fn load(folder: &Folder, bucket: &str) -> io::Result<BTreeMap<String, Upload>> {
    let mut uploads = BTreeMap::new();
    for (id, path) in folder.uploads(bucket)? {
        let Some(record) = read_json::<UploadRecord>(&path.join("upload.json"))? else {
            fs::remove_dir_all(path)?;
            continue;
        };
        let parts = record.parts.iter().map(|(number, part)| {
            let path = path.join(part.file.clone().unwrap_or_default());
            (*number, Arc::new(Data::File { path, kept: true }))
        });
        let data = parts.collect();
        uploads.insert(id, Upload { record, data });
    }
    Ok(uploads)
}

pub(super) fn find<'a>(
    uploads: &'a BTreeMap<String, Upload>,
    id: &str,
    key: &str,
) -> Result<&'a Upload, S3Error> {
    let upload = uploads.get(id).filter(|upload| upload.record.key == key);
    upload.ok_or_else(S3Error::no_such_upload)
}
