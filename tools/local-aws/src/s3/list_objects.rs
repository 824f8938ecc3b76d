//! `ListObjectsV2`: a page of a bucket's keys as the API writes it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Response, StatusCode};

use super::S3;
use super::error::S3Error;
use super::listing::Listing;
use super::request::{Request, url_encoded};
use super::store::bucket;
use super::xml::{self, NAMESPACE};
use crate::http_bodies::ResponseBody;
use crate::wall_clock::rfc3339;

/// Most keys on a page, and the number when the client names none (S3 API reference, `ListObjectsV2`).
const MAX_KEYS: usize = 1_000;

impl S3 {
    pub(super) fn list_objects(
        &self,
        request: &Request,
    ) -> Result<Response<ResponseBody>, S3Error> {
        let most = request.number("max-keys")?.unwrap_or(MAX_KEYS);
        let prefix = request.parameter("prefix").unwrap_or_default();
        let delimiter = request.parameter("delimiter");
        let start = request.parameter("start-after");
        let token = request.parameter("continuation-token");
        let continued = token.map(read_token).transpose()?;
        let listing = Listing {
            prefix,
            delimiter: delimiter.filter(|text| !text.is_empty()),
            after: continued.as_deref().or(start).unwrap_or_default(),
            most: most.min(MAX_KEYS),
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
        let body = xml::ListObjects {
            xmlns: NAMESPACE,
            name: request.bucket.clone(),
            prefix: text(prefix),
            delimiter: listing.delimiter.map(text),
            start_after: start.map(text),
            continuation_token: token.map(str::to_owned),
            next_continuation_token: page.next.as_ref().map(|next| URL_SAFE_NO_PAD.encode(next)),
            key_count: page.entries.len() + page.common_prefixes.len(),
            max_keys: listing.most,
            encoding_type: encode.then_some("url"),
            is_truncated: page.next.is_some(),
            contents: objects.collect(),
            common_prefixes: prefixes.collect(),
        };
        drop(buckets);
        Ok(xml::response(StatusCode::OK, "ListBucketResult", &body))
    }
}

/// The key or common prefix after which a continued listing goes on.
fn read_token(token: &str) -> Result<String, S3Error> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| S3Error::invalid_argument("The continuation token provided is incorrect"))
}
