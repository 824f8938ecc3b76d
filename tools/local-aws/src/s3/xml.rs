//! XML bodies, written and read by serde.

use http::{HeaderValue, Response, StatusCode, header};
use quick_xml::se::Serializer;
use serde::{Deserialize, Serialize};

use crate::http_bodies::ResponseBody;

/// The namespace of every answer's root; some clients need it to read the answer.
pub(crate) const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// An answer with this root element.
pub(crate) fn response<T: Serialize>(
    status: StatusCode,
    root: &str,
    body: &T,
) -> Response<ResponseBody> {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let written = Serializer::with_root(&mut text, Some(root)).map(|to| body.serialize(to));
    let mut response = match written {
        Ok(Ok(_)) => Response::new(ResponseBody::from(text)),
        Ok(Err(error)) | Err(error) => {
            let mut failed = Response::new(ResponseBody::from(error.to_string()));
            *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            return failed;
        }
    };
    *response.status_mut() = status;
    let xml = HeaderValue::from_static("application/xml");
    response.headers_mut().insert(header::CONTENT_TYPE, xml);
    response
}

/// `ListAllMyBucketsResult`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListBuckets {
    #[serde(rename = "@xmlns")]
    pub(crate) xmlns: &'static str,
    pub(crate) buckets: Buckets,
}

#[derive(Serialize)]
pub(crate) struct Buckets {
    #[serde(rename = "Bucket")]
    pub(crate) bucket: Vec<Bucket>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Bucket {
    pub(crate) name: String,
    pub(crate) creation_date: String,
    pub(crate) bucket_region: String,
}

/// `CreateBucketConfiguration`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CreateBucket {
    pub(crate) location_constraint: Option<String>,
}

/// `ListBucketResult` of `ListObjectsV2`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListObjects {
    #[serde(rename = "@xmlns")]
    pub(crate) xmlns: &'static str,
    pub(crate) name: String,
    pub(crate) prefix: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) delimiter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) start_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) continuation_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_continuation_token: Option<String>,
    pub(crate) key_count: usize,
    pub(crate) max_keys: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) encoding_type: Option<&'static str>,
    pub(crate) is_truncated: bool,
    pub(crate) contents: Vec<Object>,
    pub(crate) common_prefixes: Vec<Prefix>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Object {
    pub(crate) key: String,
    pub(crate) last_modified: String,
    #[serde(rename = "ETag")]
    pub(crate) etag: String,
    pub(crate) size: u64,
    pub(crate) storage_class: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Prefix {
    pub(crate) prefix: String,
}

/// `Delete`, the body of `DeleteObjects`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Delete {
    #[serde(default)]
    pub(crate) object: Vec<DeleteObject>,
    #[serde(default)]
    pub(crate) quiet: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DeleteObject {
    pub(crate) key: String,
}

/// `DeleteResult`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Deleted {
    #[serde(rename = "@xmlns")]
    pub(crate) xmlns: &'static str,
    pub(crate) deleted: Vec<DeletedKey>,
    pub(crate) error: Vec<DeleteFailure>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DeletedKey {
    pub(crate) key: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DeleteFailure {
    pub(crate) key: String,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// `CopyObjectResult` and `CopyPartResult`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Copied {
    #[serde(rename = "@xmlns")]
    pub(crate) xmlns: &'static str,
    #[serde(rename = "ETag")]
    pub(crate) etag: String,
    pub(crate) last_modified: String,
}

/// `InitiateMultipartUploadResult`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UploadCreated {
    #[serde(rename = "@xmlns")]
    pub(crate) xmlns: &'static str,
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) upload_id: String,
}

/// `CompleteMultipartUpload`.
#[derive(Deserialize)]
pub(crate) struct CompleteUpload {
    #[serde(default, rename = "Part")]
    pub(crate) parts: Vec<CompletePart>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CompletePart {
    pub(crate) part_number: u32,
    #[serde(rename = "ETag")]
    pub(crate) etag: String,
}

/// `CompleteMultipartUploadResult`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UploadCompleted {
    #[serde(rename = "@xmlns")]
    pub(crate) xmlns: &'static str,
    pub(crate) location: String,
    pub(crate) bucket: String,
    pub(crate) key: String,
    #[serde(rename = "ETag")]
    pub(crate) etag: String,
    #[serde(rename = "ChecksumCRC32", skip_serializing_if = "Option::is_none")]
    pub(crate) crc32: Option<String>,
    #[serde(rename = "ChecksumCRC32C", skip_serializing_if = "Option::is_none")]
    pub(crate) crc32c: Option<String>,
    #[serde(rename = "ChecksumCRC64NVME", skip_serializing_if = "Option::is_none")]
    pub(crate) crc64nvme: Option<String>,
    #[serde(rename = "ChecksumSHA1", skip_serializing_if = "Option::is_none")]
    pub(crate) sha1: Option<String>,
    #[serde(rename = "ChecksumSHA256", skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) checksum_type: Option<&'static str>,
}
