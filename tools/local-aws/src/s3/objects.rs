//! Operations on single objects, and their listing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};

use super::checksum::Checksum;
use super::error::S3Error;
use super::intake::{self, Sink};
use super::listing::Listing;
use super::object::{Data, Described, Meta};
use super::request::{self, Request, url_encoded};
use super::store::{bucket, bucket_mut};
use super::xml::{self, NAMESPACE};
use super::{S3, conditions};
use crate::body::{RequestBody, ResponseBody};
use crate::clock::rfc3339;

/// Keys in one `DeleteObjects` (API reference).
const MAX_DELETES: usize = 1_000;

/// Parameters of a GET that set a header of its answer.
const OVERRIDES: [(&str, header::HeaderName); 6] = [
    ("response-cache-control", header::CACHE_CONTROL),
    ("response-content-disposition", header::CONTENT_DISPOSITION),
    ("response-content-encoding", header::CONTENT_ENCODING),
    ("response-content-language", header::CONTENT_LANGUAGE),
    ("response-content-type", header::CONTENT_TYPE),
    ("response-expires", header::EXPIRES),
];

impl S3 {
    pub(super) async fn put_object(
        &self,
        request: &Request,
        body: RequestBody,
    ) -> Result<Response<ResponseBody>, S3Error> {
        request.check_key()?;
        let described = Described::in_headers(&request.headers)?;
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
        for (parameter, name) in &OVERRIDES {
            if let Some(value) = request
                .parameter(parameter)
                .and_then(|value| value.parse().ok())
            {
                response.headers_mut().insert(name, value);
            }
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
        let wanted: xml::Delete = xml::parse(&text)?;
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
        let mut sink = Sink::new(self.store.folder.as_ref(), algorithm)?;
        Data::for_each(bytes, |piece| sink.take(Bytes::copy_from_slice(piece)))?;
        let taken = sink.finish();
        let meta = Meta {
            size: taken.size,
            etag: taken.etag(),
            modified: self.clock.now(),
            described: if replaces {
                Described::in_headers(&request.headers)?
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

    /// ListObjects and ListObjectsV2.
    pub(super) fn list_objects(
        &self,
        request: &Request,
    ) -> Result<Response<ResponseBody>, S3Error> {
        let second = request.operation == "ListObjectsV2";
        let most = request.page_size("max-keys")?;
        let prefix = request.parameter("prefix").unwrap_or_default();
        let delimiter = request
            .parameter("delimiter")
            .filter(|text| !text.is_empty());
        let start = request.parameter(if second { "start-after" } else { "marker" });
        let token = request.parameter("continuation-token").filter(|_| second);
        let continued = token.map(read_token).transpose()?;
        let listing = Listing {
            prefix,
            delimiter,
            after: continued.as_deref().or(start).unwrap_or_default(),
            most,
        };
        let encode = match request.parameter("encoding-type") {
            None => false,
            Some("url") => true,
            Some(_) => {
                return Err(S3Error::invalid_argument(
                    "Invalid Encoding Method specified in Request",
                ));
            }
        };
        let text = |text: &str| {
            if encode {
                url_encoded(text).into_owned()
            } else {
                text.to_owned()
            }
        };
        let buckets = self.store.lock();
        let page = listing.page(&bucket(&buckets, &request.bucket)?.objects);
        let next = page.next.as_deref();
        let objects = page.entries.iter().map(|(key, object)| xml::Object {
            key: text(key),
            last_modified: rfc3339(object.meta.modified),
            etag: object.meta.quoted_etag(),
            size: object.meta.size,
            storage_class: "STANDARD",
        });
        let prefixes = page.common_prefixes.iter().map(|prefix| xml::Prefix {
            prefix: text(prefix),
        });
        let first = !second;
        let body = xml::ListObjects {
            xmlns: NAMESPACE,
            name: request.bucket.clone(),
            prefix: text(prefix),
            delimiter: delimiter.map(text),
            marker: first.then(|| text(start.unwrap_or_default())),
            // The first version tells the next marker only with a delimiter:
            // without one it is the last key.
            next_marker: next.filter(|_| first && delimiter.is_some()).map(text),
            start_after: start.filter(|_| second).map(text),
            continuation_token: token.map(str::to_owned),
            next_continuation_token: next
                .filter(|_| second)
                .map(|next| URL_SAFE_NO_PAD.encode(next)),
            key_count: second.then(|| page.entries.len() + page.common_prefixes.len()),
            max_keys: most,
            encoding_type: encode.then_some("url"),
            is_truncated: next.is_some(),
            contents: objects.collect(),
            common_prefixes: prefixes.collect(),
        };
        drop(buckets);
        Ok(xml::response(StatusCode::OK, "ListBucketResult", &body))
    }
}

fn read_token(token: &str) -> Result<String, S3Error> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| S3Error::invalid_argument("The continuation token provided is incorrect"))
}
