//! Operations on single objects.

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};

use super::checksum::Checksum;
use super::error::S3Error;
use super::intake::{self, BodySink};
use super::object::{Data, Meta, ObjectHeaders};
use super::request::{self, Request};
use super::store::{bucket, bucket_mut};
use super::xml::{self, NAMESPACE};
use super::{S3, conditions};
use crate::http_bodies::{RequestBody, ResponseBody};
use crate::wall_clock::rfc3339;

/// Keys in one `DeleteObjects` (API reference).
const MAX_DELETES: usize = 1_000;

impl S3 {
    pub(super) async fn put_object(
        &self,
        request: &Request,
        body: RequestBody,
    ) -> Result<Response<ResponseBody>, S3Error> {
        request.check_key()?;
        let described = ObjectHeaders::in_headers(&request.headers)?;
        bucket(&self.store.lock(), &request.bucket)?;
        let folder = self.store.folder.as_ref();
        let taken = intake::take_in(body, &request.headers, folder, None).await?;
        let meta = Meta {
            size: taken.size,
            etag: taken.etag(),
            modified: self.clock.now(),
            described,
            checksum: taken.checksum,
        };
        let mut response = Response::new(ResponseBody::empty());
        super::set_header(&mut response, "etag", &meta.quoted_etag());
        if let Some(Checksum { algorithm, value }) = &meta.checksum {
            super::set_header(&mut response, algorithm.header(), value);
            super::set_header(&mut response, "x-amz-checksum-type", "FULL_OBJECT");
        }
        let mut buckets = self.store.lock();
        let bucket = bucket_mut(&mut buckets, &request.bucket)?;
        let place = (request.bucket.as_str(), request.key.as_str());
        self.store
            .put(bucket, place, meta, taken.data, &request.headers)?;
        Ok(response)
    }

    /// GetObject and HeadObject.
    pub(super) fn get_object(&self, request: &Request) -> Result<Response<ResponseBody>, S3Error> {
        let mut part = None;
        let (meta, body) = self.store.read(&request.bucket, &request.key, |meta| {
            conditions::check_read(&request.headers, meta)?;
            let header = request.header("range");
            part = header
                .map(|header| request::range(header, meta.size))
                .transpose()?
                .flatten();
            Ok(part.unwrap_or((0, meta.size)))
        })?;
        let wants_checksum = request.header("x-amz-checksum-mode").is_some();
        let mut response = Response::new(body);
        *response.headers_mut() = meta.headers(wants_checksum && part.is_none());
        let mut length = meta.size;
        if let Some((start, part_length)) = part {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            length = part_length;
            let content_range = format!("bytes {start}-{}/{}", start + length - 1, meta.size);
            super::set_header(&mut response, "content-range", &content_range);
        }
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, length.into());
        if request.head {
            *response.body_mut() = ResponseBody::empty();
        }
        Ok(response)
    }

    pub(super) fn delete_object(
        &self,
        request: &Request,
    ) -> Result<Response<ResponseBody>, S3Error> {
        let mut buckets = self.store.lock();
        let place = (request.bucket.as_str(), request.key.as_str());
        self.store.delete(&mut buckets, place, &request.headers)?;
        Ok(super::no_content())
    }

    pub(super) async fn delete_objects(
        &self,
        request: &Request,
        body: RequestBody,
    ) -> Result<Response<ResponseBody>, S3Error> {
        let text = intake::small(body, &request.headers).await?;
        let wanted: xml::Delete = intake::parse_xml(&text)?;
        if wanted.object.is_empty() || wanted.object.len() > MAX_DELETES {
            return Err(S3Error::malformed_xml());
        }
        let mut answer = xml::Deleted {
            xmlns: NAMESPACE,
            deleted: Vec::new(),
            error: Vec::new(),
        };
        let mut buckets = self.store.lock();
        bucket(&buckets, &request.bucket)?;
        for xml::DeleteObject { key } in wanted.object {
            let place = (request.bucket.as_str(), key.as_str());
            match self.store.delete(&mut buckets, place, &HeaderMap::new()) {
                Ok(()) if wanted.quiet => {}
                Ok(()) => answer.deleted.push(xml::DeletedKey { key }),
                Err(error) => answer.error.push(xml::DeleteFailure {
                    key,
                    code: error.code,
                    message: error.message,
                }),
            }
        }
        Ok(xml::response(StatusCode::OK, "DeleteResult", &answer))
    }

    pub(super) fn copy_object(&self, request: &Request) -> Result<Response<ResponseBody>, S3Error> {
        request.check_key()?;
        let source_place = request.copy_source()?;
        let replaces = request.header("x-amz-metadata-directive") == Some("REPLACE");
        let same = source_place.0 == request.bucket && source_place.1 == request.key;
        if same && !replaces {
            return Err(S3Error::invalid_request(
                "This copy request is illegal because it is trying to copy an object to itself \
                 without changing the object's metadata.",
            ));
        }
        let (source, bytes) = self.store.read(&source_place.0, &source_place.1, |meta| {
            conditions::check_copy_source(&request.headers, meta)?;
            Ok((0, meta.size))
        })?;
        let algorithm = source.checksum.as_ref().map(|checksum| checksum.algorithm);
        let mut sink = BodySink::new(self.store.folder.as_ref(), algorithm)?;
        Data::for_each(bytes, |piece| sink.take(Bytes::copy_from_slice(piece)))?;
        let taken = sink.finish();
        let meta = Meta {
            size: taken.size,
            etag: taken.etag(),
            modified: self.clock.now(),
            described: if replaces {
                ObjectHeaders::in_headers(&request.headers)?
            } else {
                source.described
            },
            checksum: taken.checksum,
        };
        let answer = xml::Copied {
            xmlns: NAMESPACE,
            etag: meta.quoted_etag(),
            last_modified: rfc3339(meta.modified),
        };
        let mut buckets = self.store.lock();
        let bucket = bucket_mut(&mut buckets, &request.bucket)?;
        let place = (request.bucket.as_str(), request.key.as_str());
        self.store
            .put(bucket, place, meta, taken.data, &request.headers)?;
        Ok(xml::response(StatusCode::OK, "CopyObjectResult", &answer))
    }
}
