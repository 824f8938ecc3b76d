//! Conditions of reads and writes: `If-Match`, `If-None-Match`, `If-Modified-Since`, `If-Unmodified-Since`.

use http::HeaderMap;

use super::error::S3Error;
use super::object::Meta;
use crate::wall_clock::system_time;

/// Whether a list of entity tags, or `*`, names this one.
fn names(list: &str, etag: &str) -> bool {
    let plain = |tag: &str| {
        tag.trim()
            .trim_start_matches("W/")
            .trim_matches('"')
            .to_owned()
    };
    list.split(',')
        .any(|tag| tag.trim() == "*" || plain(tag) == etag)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Whether the object was modified after the date in a header; None without a date that can be read.
fn modified_since(headers: &HeaderMap, name: &str, meta: &Meta) -> Option<bool> {
    let since = httpdate::parse_http_date(text(headers, name)?).ok()?;
    // Clients know Last-Modified in whole seconds.
    let told = httpdate::fmt_http_date(system_time(meta.modified));
    Some(httpdate::parse_http_date(&told).ok()? > since)
}

/// Conditions of GetObject and HeadObject (RFC 9110, section 13.2.2).
///
/// # Errors
///
/// `PreconditionFailed` (412) or `NotModified` (304).
pub(crate) fn check_read(headers: &HeaderMap, meta: &Meta) -> Result<(), S3Error> {
    let kept = match text(headers, "if-match") {
        Some(list) => names(list, &meta.etag),
        None => modified_since(headers, "if-unmodified-since", meta) != Some(true),
    };
    if !kept {
        return Err(S3Error::precondition_failed());
    }
    let changed = match text(headers, "if-none-match") {
        Some(list) => !names(list, &meta.etag),
        None => modified_since(headers, "if-modified-since", meta) != Some(false),
    };
    if changed {
        Ok(())
    } else {
        Err(S3Error::not_modified())
    }
}

/// Conditions on the source of a copy.
pub(crate) fn check_copy_source(headers: &HeaderMap, meta: &Meta) -> Result<(), S3Error> {
    let matches =
        text(headers, "x-amz-copy-source-if-match").is_none_or(|list| names(list, &meta.etag));
    let differs = text(headers, "x-amz-copy-source-if-none-match")
        .is_none_or(|list| !names(list, &meta.etag));
    if matches && differs {
        Ok(())
    } else {
        Err(S3Error::precondition_failed())
    }
}

/// Conditions of a write; call it under the lock that the write is made under.
///
/// # Errors
///
/// `PreconditionFailed`; `NoSuchKey` for `If-Match` on an object that is not there; `NotImplemented` for
/// `If-None-Match` with anything but `*`.
pub(crate) fn check_write(headers: &HeaderMap, present: Option<&Meta>) -> Result<(), S3Error> {
    if let Some(list) = text(headers, "if-none-match") {
        if list.trim() != "*" {
            return Err(S3Error::not_implemented());
        }
        if present.is_some() {
            return Err(S3Error::precondition_failed());
        }
    }
    match (text(headers, "if-match"), present) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(S3Error::no_such_key()),
        (Some(list), Some(meta)) if names(list, &meta.etag) => Ok(()),
        (Some(_), Some(_)) => Err(S3Error::precondition_failed()),
    }
}
