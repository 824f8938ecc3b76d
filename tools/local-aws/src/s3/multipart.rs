//! Multipart uploads: create, upload parts, complete, abort.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use md5::{Digest, Md5};

use super::checksum::{Algorithm, Checksum};
use super::error::S3Error;
use super::intake::{self, BodySink, ReceivedBody};
use super::object::{Data, Meta, ObjectHeaders};
use super::request::{self, Request};
use super::store::{bucket, bucket_mut};
use super::uploads::{PartRecord, Upload, UploadRecord, find};
use super::xml::{self, NAMESPACE};
use super::{S3, conditions};
use crate::hex::hex;
use crate::http_bodies::{RequestBody, ResponseBody};
use crate::wall_clock::rfc3339;

/// Least size of any part but the last (S3 user guide, "Multipart upload limits").
const MIN_PART: u64 = 5 * 1024 * 1024;

const MAX_PART_NUMBER: u32 = 10_000;

fn part_number(request: &Request) -> Result<u32, S3Error> {
    let number = request
        .number("partNumber")?
        .and_then(|number| u32::try_from(number).ok());
    number
        .filter(|number| (1..=MAX_PART_NUMBER).contains(number))
        .ok_or_else(|| {
            S3Error::invalid_argument(
                "Part number must be an integer between 1 and 10000, inclusive",
            )
        })
}

impl S3 {
    pub(super) fn create_multipart_upload(
        &self,
        request: &Request,
    ) -> Result<Response<ResponseBody>, S3Error> {
        request.check_key()?;
        let algorithm = request.header("x-amz-checksum-algorithm").map(|name| {
            let unknown =
                || S3Error::invalid_request("Checksum algorithm provided is unsupported.");
            Algorithm::named(name).ok_or_else(unknown)
        });
        let algorithm = algorithm.transpose()?;
        let record = UploadRecord {
            key: request.key.clone(),
            initiated: self.clock.now(),
            described: ObjectHeaders::in_headers(&request.headers)?,
            algorithm,
            whole: request.header("x-amz-checksum-type") == Some("FULL_OBJECT")
                || algorithm == Some(Algorithm::Crc64Nvme),
            parts: BTreeMap::new(),
        };
        let id = uuid::Uuid::new_v4().simple().to_string();
        let mut buckets = self.store.lock();
        let bucket = bucket_mut(&mut buckets, &request.bucket)?;
        if let Some(folder) = &self.store.folder {
            let path = folder.upload(&request.bucket, &id);
            fs::create_dir_all(&path)?;
            folder.write_json(&path.join("upload.json"), &record)?;
        }
        let data = BTreeMap::new();
        bucket.uploads.insert(id.clone(), Upload { record, data });
        drop(buckets);
        let body = xml::UploadCreated {
            xmlns: NAMESPACE,
            bucket: request.bucket.clone(),
            key: request.key.clone(),
            upload_id: id,
        };
        let mut response = xml::response(StatusCode::OK, "InitiateMultipartUploadResult", &body);
        if let Some(algorithm) = algorithm {
            super::set_header(&mut response, "x-amz-checksum-algorithm", algorithm.name());
        }
        Ok(response)
    }

    pub(super) async fn upload_part(
        &self,
        request: &Request,
        body: RequestBody,
    ) -> Result<Response<ResponseBody>, S3Error> {
        let algorithm = self.upload_algorithm(request)?;
        let folder = self.store.folder.as_ref();
        let taken = intake::take_in(body, &request.headers, folder, algorithm).await?;
        let part = self.add_part(request, taken)?;
        let mut response = Response::new(ResponseBody::empty());
        super::set_header(&mut response, "etag", &part.quoted_etag());
        if let Some(checksum) = &part.checksum {
            super::set_header(&mut response, checksum.algorithm.header(), &checksum.value);
        }
        Ok(response)
    }

    pub(super) fn upload_part_copy(
        &self,
        request: &Request,
    ) -> Result<Response<ResponseBody>, S3Error> {
        let algorithm = self.upload_algorithm(request)?;
        let (source_bucket, source_key) = request.copy_source()?;
        let (_, source) = self.store.read(&source_bucket, &source_key, |meta| {
            conditions::check_copy_source(&request.headers, meta)?;
            let header = request.header("x-amz-copy-source-range");
            let range = header
                .map(|header| request::range(header, meta.size))
                .transpose()?;
            Ok(range.flatten().unwrap_or((0, meta.size)))
        })?;
        let mut sink = BodySink::new(self.store.folder.as_ref(), algorithm)?;
        Data::for_each(source, |piece| sink.take(Bytes::copy_from_slice(piece)))?;
        let part = self.add_part(request, sink.finish())?;
        let body = xml::Copied {
            xmlns: NAMESPACE,
            etag: part.quoted_etag(),
            last_modified: rfc3339(part.modified),
        };
        Ok(xml::response(StatusCode::OK, "CopyPartResult", &body))
    }

    fn upload_algorithm(&self, request: &Request) -> Result<Option<Algorithm>, S3Error> {
        part_number(request)?;
        let id = request.parameter("uploadId").unwrap_or_default();
        let buckets = self.store.lock();
        let bucket = bucket(&buckets, &request.bucket)?;
        Ok(find(&bucket.uploads, id, &request.key)?.record.algorithm)
    }

    fn add_part(&self, request: &Request, taken: ReceivedBody) -> Result<PartRecord, S3Error> {
        let number = part_number(request)?;
        let id = request.parameter("uploadId").unwrap_or_default();
        let mut part = PartRecord {
            size: taken.size,
            md5: taken.md5,
            modified: self.clock.now(),
            checksum: taken.checksum,
            file: None,
        };
        let mut buckets = self.store.lock();
        let bucket = bucket_mut(&mut buckets, &request.bucket)?;
        find(&bucket.uploads, id, &request.key)?;
        let Some(upload) = bucket.uploads.get_mut(id) else {
            return Err(S3Error::no_such_upload());
        };
        let data = match &self.store.folder {
            None => taken.data,
            Some(folder) => {
                let name = format!("{number:05}-{}", uuid::Uuid::new_v4().simple());
                let home = folder.upload(&request.bucket, id);
                let path = home.join(&name);
                rename(taken.data, &path)?;
                part.file = Some(name);
                let mut record = upload.record.clone();
                record.parts.insert(number, part.clone());
                folder.write_json(&home.join("upload.json"), &record)?;
                // The file of a replaced part may be open elsewhere, so it stays until the upload's
                // folder is removed.
                Data::File { path, kept: true }
            }
        };
        upload.record.parts.insert(number, part.clone());
        upload.data.insert(number, Arc::new(data));
        Ok(part)
    }

    pub(super) async fn complete_multipart_upload(
        &self,
        request: &Request,
        body: RequestBody,
    ) -> Result<Response<ResponseBody>, S3Error> {
        let id = request.parameter("uploadId").unwrap_or_default();
        let text = intake::small(body, &request.headers).await?;
        let wanted: xml::CompleteUpload = intake::parse_xml(&text)?;
        let (record, data) = {
            let buckets = self.store.lock();
            let bucket = bucket(&buckets, &request.bucket)?;
            let upload = find(&bucket.uploads, id, &request.key)?;
            conditions::check_write(
                &request.headers,
                bucket.objects.get(&request.key).map(|object| &object.meta),
            )?;
            (upload.record.clone(), upload.data.clone())
        };
        let parts = chosen_parts(&record, &wanted.parts)?;
        let (taken, etag, checksum) = self.assemble(&record, &parts, &data)?;
        let given = Checksum::in_headers(&request.headers);
        if let (Some(given), Some(computed)) = (&given, &checksum)
            && given.algorithm == computed.algorithm
            && given.value.split('-').next() != computed.value.split('-').next()
        {
            return Err(S3Error::bad_checksum(given.algorithm.name()));
        }
        let meta = Meta {
            size: taken.size,
            etag,
            modified: self.clock.now(),
            described: record.described,
            checksum,
        };
        let answer = completed(request, &meta);
        let mut buckets = self.store.lock();
        let bucket = bucket_mut(&mut buckets, &request.bucket)?;
        find(&bucket.uploads, id, &request.key)?;
        let place = (request.bucket.as_str(), request.key.as_str());
        self.store
            .put(bucket, place, meta, taken.data, &request.headers)?;
        bucket.uploads.remove(id);
        self.remove_upload_folder(&request.bucket, id)?;
        Ok(xml::response(
            StatusCode::OK,
            "CompleteMultipartUploadResult",
            &answer,
        ))
    }

    /// The parts' bytes together, the object's entity tag and its checksum.
    fn assemble(
        &self,
        record: &UploadRecord,
        parts: &[(u32, &PartRecord)],
        data: &BTreeMap<u32, Arc<Data>>,
    ) -> Result<(ReceivedBody, String, Option<Checksum>), S3Error> {
        let whole = record.algorithm.filter(|_| record.whole);
        let mut sink = BodySink::new(self.store.folder.as_ref(), whole)?;
        let mut md5s = Md5::new();
        for (number, part) in parts {
            md5s.update(part.md5);
            let data = data.get(number).ok_or_else(S3Error::invalid_part)?;
            Data::for_each(data.body(0, part.size)?, |piece| {
                sink.take(Bytes::copy_from_slice(piece))
            })?;
        }
        let taken = sink.finish();
        let checksum = if record.whole {
            taken.checksum.clone()
        } else {
            let values: Option<Vec<_>> = parts
                .iter()
                .map(|(_, part)| {
                    let checksum = part.checksum.as_ref()?;
                    (Some(checksum.algorithm) == record.algorithm)
                        .then_some(checksum.value.as_str())
                })
                .collect();
            record
                .algorithm
                .zip(values)
                .map(|(algorithm, values)| Checksum::of_parts(algorithm, values.into_iter()))
        };
        let etag = format!("{}-{}", hex(md5s.finalize()), parts.len());
        Ok((taken, etag, checksum))
    }

    pub(super) fn abort_multipart_upload(
        &self,
        request: &Request,
    ) -> Result<Response<ResponseBody>, S3Error> {
        let id = request.parameter("uploadId").unwrap_or_default();
        let mut buckets = self.store.lock();
        let bucket = bucket_mut(&mut buckets, &request.bucket)?;
        find(&bucket.uploads, id, &request.key)?;
        bucket.uploads.remove(id);
        self.remove_upload_folder(&request.bucket, id)?;
        Ok(super::no_content())
    }

    fn remove_upload_folder(&self, bucket: &str, id: &str) -> io::Result<()> {
        match &self.store.folder {
            None => Ok(()),
            Some(folder) => fs::remove_dir_all(folder.upload(bucket, id)),
        }
    }
}

/// The parts that `CompleteMultipartUpload` names, checked.
fn chosen_parts<'a>(
    record: &'a UploadRecord,
    wanted: &[xml::CompletePart],
) -> Result<Vec<(u32, &'a PartRecord)>, S3Error> {
    if wanted.is_empty() {
        return Err(S3Error::malformed_xml());
    }
    if !wanted.is_sorted_by(|a, b| a.part_number < b.part_number) {
        return Err(S3Error::invalid_part_order());
    }
    let mut parts = Vec::new();
    for (index, wanted_part) in wanted.iter().enumerate() {
        let part = record
            .parts
            .get(&wanted_part.part_number)
            .ok_or_else(S3Error::invalid_part)?;
        if wanted_part.etag.trim_matches('"') != hex(part.md5) {
            return Err(S3Error::invalid_part());
        }
        if part.size < MIN_PART && index + 1 < wanted.len() {
            return Err(S3Error::entity_too_small());
        }
        parts.push((wanted_part.part_number, part));
    }
    Ok(parts)
}

fn completed(request: &Request, meta: &Meta) -> xml::UploadCompleted {
    let of = |algorithm| {
        let checksum = meta
            .checksum
            .as_ref()
            .filter(|checksum| checksum.algorithm == algorithm);
        checksum.map(|checksum| checksum.value.clone())
    };
    xml::UploadCompleted {
        xmlns: NAMESPACE,
        location: format!(
            "{}/{}/{}",
            request.base_url,
            request.bucket,
            request::url_encoded(&request.key)
        ),
        bucket: request.bucket.clone(),
        key: request.key.clone(),
        etag: meta.quoted_etag(),
        crc32: of(Algorithm::Crc32),
        crc32c: of(Algorithm::Crc32c),
        crc64nvme: of(Algorithm::Crc64Nvme),
        sha1: of(Algorithm::Sha1),
        sha256: of(Algorithm::Sha256),
        checksum_type: meta.checksum.as_ref().map(Checksum::kind),
    }
}

/// Moves a temporary file to its place for good.
fn rename(data: Data, to: &PathBuf) -> io::Result<()> {
    if let Data::File { path, .. } = &data {
        fs::rename(path, to)?;
    }
    data.keep();
    Ok(())
}
