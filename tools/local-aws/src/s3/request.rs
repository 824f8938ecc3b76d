//! What a request asks for: operation, bucket, key, parameters.

use std::borrow::Cow;

use http::{HeaderMap, Method, request::Parts};
use percent_encoding::percent_decode_str;

use super::error::S3Error;

/// Longest key in bytes (S3 user guide, "Naming Amazon S3 objects").
const MAX_KEY: usize = 1024;

/// Parameters that name a part of the API that is not emulated.
const NOT_EMULATED: &str = "accelerate acl analytics attributes cors encryption intelligent-tiering inventory \
    legal-hold lifecycle location logging metrics notification object-lock \
    ownershipControls policy policyStatus publicAccessBlock replication requestPayment \
    restore retention select tagging torrent versioning versions website";

/// A request to S3, addressed by path.
#[derive(Debug)]
pub(crate) struct Request {
    /// The operation's name in the API.
    pub(crate) operation: &'static str,
    pub(crate) bucket: String,
    pub(crate) key: String,
    query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) head: bool,
    /// Scheme, host and port as the client wrote them, for the location of a completed upload.
    pub(crate) base_url: String,
    pub(crate) region: String,
}

impl Request {
    pub(crate) fn read(parts: &Parts, base_url: String, region: String) -> Self {
        let path = parts.uri.path().trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let query = parts.uri.query().unwrap_or_default().split('&');
        let query = query.filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // A query may write a space as `+`.
            let value = value.replace('+', " ");
            (decode(name), decode(&value))
        });
        let mut request = Self {
            operation: "Unknown",
            bucket: decode(bucket),
            key: decode(key),
            query: query.collect(),
            headers: parts.headers.clone(),
            head: parts.method == Method::HEAD,
            base_url,
            region,
        };
        request.operation = request.find_operation(&parts.method).unwrap_or("Unknown");
        request
    }

    fn find_operation(&self, method: &Method) -> Option<&'static str> {
        // Parameters such as `response-content-type` would change the headers of an answer.
        let overrides = |(name, _): &(String, String)| name.starts_with("response-");
        if NOT_EMULATED.split(' ').any(|name| self.has(name)) || self.query.iter().any(overrides) {
            return None;
        }
        let in_upload = self.has("uploadId");
        let copies = self.headers.contains_key("x-amz-copy-source");
        let on_object = !self.key.is_empty();
        Some(match (method.as_str(), self.bucket.is_empty(), on_object) {
            ("GET", true, _) => "ListBuckets",
            (_, true, _) => return None,
            ("PUT", _, false) => "CreateBucket",
            ("HEAD", _, false) => "HeadBucket",
            ("DELETE", _, false) => "DeleteBucket",
            ("POST", _, false) if self.has("delete") => "DeleteObjects",
            ("GET", _, false) if self.parameter("list-type") == Some("2") => "ListObjectsV2",
            ("PUT", _, true) if in_upload && copies => "UploadPartCopy",
            ("PUT", _, true) if in_upload => "UploadPart",
            ("PUT", _, true) if copies => "CopyObject",
            ("PUT", _, true) => "PutObject",
            ("GET", _, true) if !in_upload => "GetObject",
            ("HEAD", _, true) => "HeadObject",
            ("DELETE", _, true) if in_upload => "AbortMultipartUpload",
            ("DELETE", _, true) => "DeleteObject",
            ("POST", _, true) if self.has("uploads") => "CreateMultipartUpload",
            ("POST", _, true) if in_upload => "CompleteMultipartUpload",
            _ => return None,
        })
    }

    /// The ARN of the object or the bucket; None if the request names neither.
    pub(crate) fn arn(&self) -> Option<String> {
        let (bucket, key) = (&self.bucket, &self.key);
        match (bucket.is_empty(), key.is_empty()) {
            (true, _) => None,
            (_, true) => Some(format!("arn:aws:s3:::{bucket}")),
            _ => Some(format!("arn:aws:s3:::{bucket}/{key}")),
        }
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let mut named = self.query.iter().filter(|(known, _)| known == name);
        named.next().map(|(_, value)| value.as_str())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.parameter(name).is_some()
    }

    /// A parameter that is a number; None if it is missing.
    pub(crate) fn number(&self, name: &str) -> Result<Option<usize>, S3Error> {
        let Some(text) = self.parameter(name).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let number = text.parse().map(Some);
        number.map_err(|_| S3Error::invalid_argument(format!("cannot read {name} `{text}`")))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether the request writes on a condition.
    pub(crate) fn is_conditional_write(&self) -> bool {
        let writes = matches!(
            self.operation,
            "PutObject" | "CompleteMultipartUpload" | "CopyObject" | "DeleteObject"
        );
        writes
            && (self.headers.contains_key("if-match") || self.headers.contains_key("if-none-match"))
    }

    /// Bucket and key of `x-amz-copy-source`.
    pub(crate) fn copy_source(&self) -> Result<(String, String), S3Error> {
        let text = self.header("x-amz-copy-source").unwrap_or_default();
        let text = text.split('?').next().unwrap_or_default();
        let text = percent_decode_str(text).decode_utf8_lossy();
        let (bucket, key) = text
            .trim_start_matches('/')
            .split_once('/')
            .ok_or_else(|| {
                S3Error::invalid_argument("Copy Source must mention the source bucket and key")
            })?;
        Ok((bucket.to_owned(), key.to_owned()))
    }

    pub(crate) fn check_key(&self) -> Result<(), S3Error> {
        if self.key.len() > MAX_KEY {
            return Err(S3Error::key_too_long());
        }
        if self.key.split('/').any(|segment| segment == "..") {
            return Err(S3Error::invalid_argument(
                "a key may not have a segment `..` here",
            ));
        }
        Ok(())
    }
}

/// Bucket names: 3 to 63 of a-z, 0-9, `-` and `.`, beginning and ending with a letter or digit (S3 user
/// guide, "Bucket naming rules"). No such name is a path or the name of the hidden folder.
pub(crate) fn check_bucket_name(name: &str) -> Result<(), S3Error> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let valid = (3..=63).contains(&name.len())
        && name.chars().all(|c| plain(c) || c == '-' || c == '.')
        && name.starts_with(plain)
        && name.ends_with(plain)
        && !name.contains("..");
    if valid {
        Ok(())
    } else {
        Err(S3Error::invalid_bucket_name())
    }
}

/// The part of an object that a `Range` header names: first byte and length.
///
/// # Errors
///
/// `InvalidRange` if the range begins behind the end. Several ranges, or a unit other than bytes, give
/// None: HTTP allows to answer with the whole object.
pub(crate) fn range(header: &str, size: u64) -> Result<Option<(u64, u64)>, S3Error> {
    let read = || {
        let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
        let number = |text: &str| text.trim().parse::<u64>();
        Some(match (first.trim(), last.trim()) {
            ("", "") => return None,
            ("", last) => (
                size.saturating_sub(number(last).ok()?),
                size,
                number(last).ok()? > 0,
            ),
            (first, "") => (number(first).ok()?, size, true),
            (first, last) => {
                let (first, last) = (number(first).ok()?, number(last).ok()?);
                if last < first {
                    return None;
                }
                (first, last.saturating_add(1).min(size), true)
            }
        })
    };
    match read() {
        None => Ok(None),
        Some((start, end, true)) if start < size => Ok(Some((start, end - start))),
        Some(_) => Err(S3Error::invalid_range()),
    }
}

/// A text as `encoding-type=url` writes it.
pub(crate) fn url_encoded(text: &str) -> Cow<'_, str> {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~')
        .remove(b'*');
    utf8_percent_encode(text, KEPT).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_http_defines_them() {
        let ok = |header, size| range(header, size).unwrap();
        assert_eq!(ok("bytes=0-4", 10), Some((0, 5)));
        assert_eq!(ok("bytes=5-", 10), Some((5, 5)));
        assert_eq!(ok("bytes=-3", 10), Some((7, 3)));
        assert_eq!(ok("bytes=-30", 10), Some((0, 10)));
        assert_eq!(ok("bytes=8-99", 10), Some((8, 2)));
        assert_eq!(ok("bytes=4-2", 10), None);
        assert_eq!(ok("lines=1-2", 10), None);
        assert!(range("bytes=10-", 10).is_err());
        assert!(range("bytes=-0", 10).is_err());
        assert!(range("bytes=0-", 0).is_err());
    }

    #[test]
    fn bucket_names_that_could_be_paths_are_refused() {
        assert!(check_bucket_name("headwater-lake").is_ok());
        for name in [
            ".local-aws",
            "..",
            "a",
            "Upper",
            "a/b",
            "a..b",
            "-ab",
            "ab-",
        ] {
            assert!(check_bucket_name(name).is_err(), "{name}");
        }
    }
}
