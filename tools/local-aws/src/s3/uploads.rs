//! Uploads that are not complete: what is kept of them, and their listing.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::sync::Arc;

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use super::S3;
use super::checksum::{Algorithm, Checksum};
use super::error::S3Error;
use super::folder::{Folder, read_json};
use super::object::{Data, Described};
use super::request::Request;
use super::store::bucket;
use super::xml::{self, NAMESPACE};
use crate::body::ResponseBody;
use crate::clock::{Moment, rfc3339};
use crate::hex::hex;

/// An upload that is neither complete nor aborted.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(super) record: UploadRecord,
    /// Where the parts' bytes are, by number.
    pub(super) data: BTreeMap<u32, Arc<Data>>,
}

/// What is known of an upload; in a folder, its file `upload.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct UploadRecord {
    pub(super) key: String,
    pub(super) initiated: Moment,
    pub(super) described: Described,
    pub(super) algorithm: Option<Algorithm>,
    /// The checksum is one over the whole object, not over its parts' checksums.
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

/// The uploads of a bucket in a folder.
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

impl S3 {
    pub(super) fn list_parts(&self, request: &Request) -> Result<Response<ResponseBody>, S3Error> {
        let id = request.parameter("uploadId").unwrap_or_default();
        let most = request.page_size("max-parts")?;
        let marker = request.number("part-number-marker")?.unwrap_or(0);
        let marker = u32::try_from(marker).unwrap_or(u32::MAX);
        let buckets = self.store.lock();
        let upload = find(
            &bucket(&buckets, &request.bucket)?.uploads,
            id,
            &request.key,
        )?;
        let mut later = upload
            .record
            .parts
            .iter()
            .filter(|(number, _)| **number > marker);
        let page: Vec<_> = later.by_ref().take(most).collect();
        let truncated = later.next().is_some();
        let body = xml::ListParts {
            xmlns: NAMESPACE,
            bucket: request.bucket.clone(),
            key: request.key.clone(),
            upload_id: id.to_owned(),
            part_number_marker: marker,
            next_part_number_marker: page.last().map(|(number, _)| **number),
            max_parts: most,
            is_truncated: truncated,
            part: {
                let parts = page.into_iter().map(|(number, part)| xml::Part {
                    part_number: *number,
                    last_modified: rfc3339(part.modified),
                    etag: part.quoted_etag(),
                    size: part.size,
                });
                parts.collect()
            },
        };
        Ok(xml::response(StatusCode::OK, "ListPartsResult", &body))
    }

    pub(super) fn list_multipart_uploads(
        &self,
        request: &Request,
    ) -> Result<Response<ResponseBody>, S3Error> {
        let most = request.page_size("max-uploads")?;
        let prefix = request.parameter("prefix").unwrap_or_default();
        let key_marker = request.parameter("key-marker").unwrap_or_default();
        let id_marker = request.parameter("upload-id-marker").unwrap_or_default();
        let buckets = self.store.lock();
        let uploads = bucket(&buckets, &request.bucket)?.uploads.iter();
        let uploads = uploads.filter(|(_, upload)| upload.record.key.starts_with(prefix));
        let mut uploads: Vec<_> = uploads.collect();
        uploads.sort_by_key(|(id, upload)| (&upload.record.key, *id));
        let mut later = uploads.into_iter().filter(|(id, upload)| {
            let key = upload.record.key.as_str();
            key > key_marker
                || key == key_marker && !id_marker.is_empty() && id.as_str() > id_marker
        });
        let page: Vec<_> = later.by_ref().take(most).collect();
        let last = page.last().filter(|_| later.next().is_some()).copied();
        let body = xml::ListUploads {
            xmlns: NAMESPACE,
            bucket: request.bucket.clone(),
            prefix: prefix.to_owned(),
            next_key_marker: last.map(|(_, upload)| upload.record.key.clone()),
            next_upload_id_marker: last.map(|(id, _)| id.clone()),
            max_uploads: most,
            is_truncated: last.is_some(),
            upload: {
                let uploads = page.into_iter().map(|(id, upload)| xml::Upload {
                    key: upload.record.key.clone(),
                    upload_id: id.clone(),
                    initiated: rfc3339(upload.record.initiated),
                    storage_class: "STANDARD",
                });
                uploads.collect()
            },
        };
        Ok(xml::response(
            StatusCode::OK,
            "ListMultipartUploadsResult",
            &body,
        ))
    }
}
