//! S3: REST requests in, XML or bytes out, over the store of buckets and objects.
//!
//! A write's body arrives whole in memory or in a temporary file (`intake`) before the lock is taken;
//! conditions, renames and the index go under the lock (`store`).

mod checksum;
mod chunked;
mod conditions;
mod error;
mod folder;
mod intake;
mod list_objects;
mod listing;
mod multipart;
mod object;
mod objects;
mod request;
mod store;
mod uploads;
mod xml;

use std::io;
use std::path::Path;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode};

pub(crate) use self::error::S3Error;
use self::folder::Folder;
pub(crate) use self::folder::HIDDEN;
pub(crate) use self::request::Request;
use self::store::{Store, bucket};
use self::xml::NAMESPACE;
use crate::http_bodies::{RequestBody, ResponseBody};
use crate::wall_clock::{WallClock, rfc3339};

/// In this region, S3 answers a repeated CreateBucket with success.
const US_EAST_1: &str = "us-east-1";

#[derive(Debug)]
pub(crate) struct S3 {
    store: Store,
    clock: WallClock,
}

impl S3 {
    pub(crate) fn new(clock: WallClock, folder: Option<&Path>) -> io::Result<Self> {
        let store = match folder {
            None => Store::in_memory(),
            Some(path) => Store::open(Folder::open(path)?)?,
        };
        Ok(Self { store, clock })
    }

    pub(crate) async fn handle(
        &self,
        request: &Request,
        body: RequestBody,
    ) -> Response<ResponseBody> {
        self.dispatch(request, body).await.unwrap_or_else(|error| {
            tracing::debug!(
                event = "refused",
                operation = request.operation,
                bucket = request.bucket,
                object.key = request.key,
                code = error.code,
                reason = error.message,
                "refused {}",
                request.operation
            );
            let resource = format!("/{}/{}", request.bucket, request.key);
            error.into_response(&resource, request.head)
        })
    }

    async fn dispatch(
        &self,
        request: &Request,
        body: RequestBody,
    ) -> Result<Response<ResponseBody>, S3Error> {
        match request.operation {
            "PutObject" => self.put_object(request, body).await,
            "GetObject" | "HeadObject" => self.get_object(request),
            "DeleteObject" => self.delete_object(request),
            "DeleteObjects" => self.delete_objects(request, body).await,
            "CopyObject" => self.copy_object(request),
            "ListObjectsV2" => self.list_objects(request),
            "CreateMultipartUpload" => self.create_multipart_upload(request),
            "UploadPart" => self.upload_part(request, body).await,
            "UploadPartCopy" => self.upload_part_copy(request),
            "CompleteMultipartUpload" => self.complete_multipart_upload(request, body).await,
            "AbortMultipartUpload" => self.abort_multipart_upload(request),
            "ListBuckets" => Ok(self.list_buckets(request)),
            "CreateBucket" => self.create_bucket(request, body).await,
            "HeadBucket" => self.head_bucket(request),
            "DeleteBucket" => {
                self.store.delete_bucket(&request.bucket)?;
                Ok(no_content())
            }
            _ => Err(S3Error::not_implemented()),
        }
    }

    fn list_buckets(&self, request: &Request) -> Response<ResponseBody> {
        let prefix = request.parameter("prefix").unwrap_or_default();
        let buckets = self.store.lock();
        let listed = buckets.iter().filter(|(name, _)| name.starts_with(prefix));
        let listed = listed.map(|(name, bucket)| xml::Bucket {
            name: name.clone(),
            creation_date: rfc3339(bucket.record.created),
            bucket_region: bucket.record.region.clone(),
        });
        let body = xml::ListBuckets {
            xmlns: NAMESPACE,
            buckets: xml::Buckets {
                bucket: listed.collect(),
            },
        };
        xml::response(StatusCode::OK, "ListAllMyBucketsResult", &body)
    }

    async fn create_bucket(
        &self,
        request: &Request,
        body: RequestBody,
    ) -> Result<Response<ResponseBody>, S3Error> {
        request::check_bucket_name(&request.bucket)?;
        let text = intake::small(body, &request.headers).await?;
        let region = if text.is_empty() {
            None
        } else {
            intake::parse_xml::<xml::CreateBucket>(&text)?.location_constraint
        };
        let region = region.unwrap_or_else(|| request.region.clone());
        let created = self
            .store
            .create_bucket(&request.bucket, &region, self.clock.now())?;
        if !created && region != US_EAST_1 {
            return Err(S3Error::bucket_owned());
        }
        let mut response = Response::new(ResponseBody::empty());
        set_header(&mut response, "location", &format!("/{}", request.bucket));
        Ok(response)
    }

    fn head_bucket(&self, request: &Request) -> Result<Response<ResponseBody>, S3Error> {
        let buckets = self.store.lock();
        let bucket = bucket(&buckets, &request.bucket)?;
        let mut response = Response::new(ResponseBody::empty());
        set_header(&mut response, "x-amz-bucket-region", &bucket.record.region);
        Ok(response)
    }

    /// All keys of a bucket in order; empty without such a bucket.
    pub(crate) fn keys(&self, name: &str) -> Vec<String> {
        let buckets = self.store.lock();
        bucket(&buckets, name).map_or_else(
            |_| Vec::new(),
            |bucket| bucket.objects.keys().cloned().collect(),
        )
    }

    pub(crate) fn bytes(&self, name: &str, key: &str) -> Option<Bytes> {
        let buckets = self.store.lock();
        let object = bucket(&buckets, name).ok()?.objects.get(key)?;
        object.data.read().ok()
    }
}

fn no_content() -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Sets a header; a value that no header can have is left out.
fn set_header(response: &mut Response<ResponseBody>, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
        response
            .headers_mut()
            .insert(HeaderName::from_static(name), value);
    }
}
