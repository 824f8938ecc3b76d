//! The lake: one S3 bucket. Whole objects go in and come out; a put may depend on what is there. Since December 2020
//! S3 reads after writes: whoever gets or lists after a put has succeeded sees it.

pub(crate) mod object;
mod versions;

use std::collections::HashMap;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use aws_smithy_runtime_api::client::result::SdkError;
use bytes::Bytes;
use chrono::DateTime;

use crate::error::{CallError, sort, status, unbuilt};
use crate::lake::object::{
    ByteRange, Condition, Fetched, Folder, Head, Object, ObjectInfo, PutOutcome,
};
use crate::meter::Meter;
use crate::timeouts::longer_timeouts;

const PUT: &str = "s3:PutObject";
const GET: &str = "s3:GetObject";
const HEAD: &str = "s3:HeadObject";
const LIST: &str = "s3:ListObjectsV2";
const DELETE: &str = "s3:DeleteObjects";

/// Most keys of a `DeleteObjects` call (S3 API reference, read 2026-11-26).
const MAX_DELETE: usize = 1000;

/// Most keys of a `ListObjectsV2` answer (S3 API reference, read 2026-11-26).
const MAX_LIST: usize = 1000;

/// Most bytes of memory that are set aside for an object's content before it arrives.
const MAX_RESERVED: usize = 64 * 1024 * 1024;

/// A bucket, which need not be there; clones share client and meter.
#[derive(Debug, Clone)]
pub struct Lake {
    s3: aws_sdk_s3::Client,
    meter: Meter,
    bucket: String,
    private: bool,
}

impl Lake {
    /// `private` says that nobody can change a request on its way.
    pub(crate) fn new(s3: aws_sdk_s3::Client, meter: Meter, bucket: &str, private: bool) -> Lake {
        Lake {
            s3,
            meter,
            bucket: bucket.to_owned(),
            private,
        }
    }

    /// The name of the bucket.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Asks whether the bucket answers, by listing a prefix without objects. The prefix lies in `raw/`, because
    /// permissions to list may end there.
    ///
    /// # Errors
    ///
    /// [`CallError::NotFound`] where the bucket is missing; [`CallError::Permanent`] also where writing is allowed and
    /// listing is not.
    pub async fn probe(&self) -> Result<(), CallError> {
        self.list("raw/year=0000/", None).await.map(|_| ())
    }

    /// Writes an object whole, in one request; readers see the old one or the new one. `content_type` and `metadata`
    /// stay with the object until it is written again. An attempt may take 30 s, or a second for each MiB of the body
    /// if that is longer.
    ///
    /// # Errors
    ///
    /// [`CallError::Transient`] leaves open whether the put took effect. [`CallError::NotFound`] where the bucket is
    /// missing, or the object under [`Condition::IfMatch`].
    ///
    /// Limits: 5 GB of body, 2 KB of metadata, 1,024 bytes of key (S3 API reference, `PutObject`, and user guide,
    /// "Naming Amazon S3 objects", read 2026-11-26).
    pub async fn put(
        &self,
        key: &str,
        body: Bytes,
        content_type: &str,
        metadata: HashMap<String, String>,
        condition: Condition,
    ) -> Result<PutOutcome, CallError> {
        let timeouts = longer_timeouts(body.len());
        let put = self
            .s3
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .content_type(content_type)
            .set_metadata((!metadata.is_empty()).then_some(metadata))
            .body(ByteStream::from(body));
        let put = match condition {
            Condition::Always => put,
            Condition::IfAbsent => put.if_none_match("*"),
            Condition::IfMatch(etag) => put.if_match(etag),
        };
        let mut put = put.customize().interceptor(self.meter.attempts(PUT, 0));
        if let Some(timeouts) = timeouts {
            put = put.config_override(aws_sdk_s3::Config::builder().timeout_config(timeouts));
        }
        if self.private {
            // The signature holds the body's CRC32 all the same. The body's SHA-256 costs more CPU than anything else
            // of a put, and says nothing more where nobody is in between.
            put = put.disable_payload_signing();
        }
        match put.send().await {
            Ok(written) => Ok(PutOutcome::Written(written.e_tag.unwrap_or_default())),
            Err(error) if status(&error) == Some(412) => Ok(PutOutcome::ConditionFailed),
            Err(error) => Err(self.named(sort(PUT, error), key)),
        }
    }

    /// Reads an object whole into memory; `None` where no object has the key.
    ///
    /// # Errors
    ///
    /// [`CallError::NotFound`] where the bucket itself is missing; [`CallError::Transient`] also where the content
    /// breaks off.
    pub async fn get(&self, key: &str) -> Result<Option<Object>, CallError> {
        match self.get_within(key, u64::MAX).await? {
            Some(Fetched::Whole(object)) => Ok(Some(object)),
            Some(Fetched::TooLarge { .. }) | None => Ok(None),
        }
    }

    /// [`get`](Lake::get), unless the object has more than `most` bytes: then only its size comes back.
    ///
    /// # Errors
    ///
    /// As for [`get`](Lake::get).
    pub async fn get_within(&self, key: &str, most: u64) -> Result<Option<Fetched>, CallError> {
        let Some(got) = self.got(key, None).await? else {
            return Ok(None);
        };
        let size = got.content_length.unwrap_or_default().max(0) as u64;
        if size > most {
            return Ok(Some(Fetched::TooLarge { size }));
        }
        self.content(key, got).await.map(Fetched::Whole).map(Some)
    }

    /// Reads some bytes of an object, which must have at least one of them; `None` where no object has the key. The
    /// bytes come with the object's ETag and metadata.
    ///
    /// # Errors
    ///
    /// As for [`get`](Lake::get); [`CallError::Permanent`] where the object has none of the bytes.
    pub async fn get_some(&self, key: &str, bytes: ByteRange) -> Result<Option<Object>, CallError> {
        let range = match bytes {
            ByteRange::From { start, length } => {
                format!("bytes={start}-{}", start + length.max(1) - 1)
            }
            ByteRange::Last(length) => format!("bytes=-{}", length.max(1)),
        };
        match self.got(key, Some(range)).await? {
            Some(got) => self.content(key, got).await.map(Some),
            None => Ok(None),
        }
    }

    async fn got(
        &self,
        key: &str,
        range: Option<String>,
    ) -> Result<Option<GetObjectOutput>, CallError> {
        let got = self
            .s3
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .set_range(range)
            .customize()
            .interceptor(self.meter.attempts(GET, 0))
            .send()
            .await;
        match got {
            Ok(got) => Ok(Some(got)),
            Err(SdkError::ServiceError(error)) if error.err().is_no_such_key() => Ok(None),
            Err(error) => Err(self.named(sort(GET, error), key)),
        }
    }

    async fn content(&self, key: &str, got: GetObjectOutput) -> Result<Object, CallError> {
        // One copy, and each piece is freed as soon as it is in its place.
        let length = got.content_length.unwrap_or_default().max(0) as usize;
        let mut body = Vec::with_capacity(length.min(MAX_RESERVED));
        let mut pieces = got.body;
        while let Some(piece) = pieces
            .try_next()
            .await
            .map_err(|error| CallError::Transient {
                operation: GET,
                reason: format!("`{key}` broke off: {error}"),
            })?
        {
            body.extend_from_slice(&piece);
        }
        Ok(Object {
            body: body.into(),
            etag: got.e_tag.unwrap_or_default(),
            metadata: got.metadata.unwrap_or_default(),
        })
    }

    /// Reads ETag and metadata of an object, without its content; `None` where no object has the key, and where the
    /// bucket is missing: S3 answers both alike.
    ///
    /// # Errors
    ///
    /// [`CallError::Transient`] or [`CallError::Permanent`].
    pub async fn head(&self, key: &str) -> Result<Option<Head>, CallError> {
        let head = self
            .s3
            .head_object()
            .bucket(&self.bucket)
            .key(key)
            .customize()
            .interceptor(self.meter.attempts(HEAD, 0))
            .send()
            .await;
        match head {
            Ok(head) => Ok(Some(Head {
                etag: head.e_tag.unwrap_or_default(),
                metadata: head.metadata.unwrap_or_default(),
            })),
            Err(SdkError::ServiceError(error)) if error.err().is_not_found() => Ok(None),
            Err(error) => Err(self.named(sort(HEAD, error), key)),
        }
    }

    /// Lists the objects whose keys begin with `prefix` and stand after `start_after` in byte order, in that order.
    /// One request for each 1,000 objects, one after the other, and all are held in memory. An object that is written
    /// or deleted meanwhile may be in the list or not.
    ///
    /// # Errors
    ///
    /// [`CallError::NotFound`] where the bucket is missing, else any other [`CallError`].
    pub async fn list(
        &self,
        prefix: &str,
        start_after: Option<&str>,
    ) -> Result<Vec<ObjectInfo>, CallError> {
        let mut objects = Vec::new();
        self.list_each(prefix, start_after, |object| objects.push(object))
            .await?;
        Ok(objects)
    }

    /// [`list`](Lake::list), and gives each object to `found` as it comes rather than holding all.
    ///
    /// # Errors
    ///
    /// As for [`list`](Lake::list); `found` may have been given some objects by then.
    pub async fn list_each(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        mut found: impl FnMut(ObjectInfo),
    ) -> Result<(), CallError> {
        let mut token = None;
        loop {
            let page = self
                .page(prefix, start_after, MAX_LIST, token.take())
                .await?;
            page.0.into_iter().for_each(&mut found);
            token = page.1;
            if token.is_none() {
                return Ok(());
            }
        }
    }

    /// The first `most` objects, at most 1,000, of what [`list`](Lake::list) would give, in one request; and whether
    /// more objects follow.
    ///
    /// # Errors
    ///
    /// As for [`list`](Lake::list).
    pub async fn list_some(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        most: usize,
    ) -> Result<(Vec<ObjectInfo>, bool), CallError> {
        let most = most.clamp(1, MAX_LIST);
        let (objects, token) = self.page(prefix, start_after, most, None).await?;
        Ok((objects, token.is_some()))
    }

    /// The first `most` folders and objects, at most 1,000 together, that stand directly under `prefix` and after
    /// `after` in byte order, in one request. `after` is the [`Folder::next`] of the page before.
    ///
    /// # Errors
    ///
    /// As for [`list`](Lake::list).
    pub async fn list_folder(
        &self,
        prefix: &str,
        after: Option<&str>,
        most: usize,
    ) -> Result<Folder, CallError> {
        // A folder is listed as long as a key in it follows: so all of them are passed over.
        let start_after = after.map(|after| match after.strip_prefix(prefix) {
            Some(rest) if rest.ends_with('/') => format!("{after}{}", char::MAX),
            _ => after.to_owned(),
        });
        let page = self
            .s3
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(prefix)
            .delimiter("/")
            .max_keys(most.clamp(1, MAX_LIST) as i32)
            .set_start_after(start_after)
            .customize()
            .interceptor(self.meter.attempts(LIST, 0))
            .send()
            .await
            .map_err(|error| self.named(sort(LIST, error), prefix))?;
        let folders = page.common_prefixes.unwrap_or_default().into_iter();
        let mut folder = Folder {
            folders: folders.filter_map(|common| common.prefix).collect(),
            objects: page
                .contents
                .unwrap_or_default()
                .into_iter()
                .filter_map(info)
                .collect(),
            next: None,
        };
        if page.is_truncated.unwrap_or_default() {
            let last_object = folder.objects.last().map(|object| &object.key);
            folder.next = last_object.max(folder.folders.last()).cloned();
        }
        Ok(folder)
    }

    async fn page(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        most: usize,
        token: Option<String>,
    ) -> Result<(Vec<ObjectInfo>, Option<String>), CallError> {
        let page = self
            .s3
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(prefix)
            .set_max_keys((most < MAX_LIST).then_some(most as i32))
            .set_start_after(start_after.map(str::to_owned))
            .set_continuation_token(token)
            .customize()
            .interceptor(self.meter.attempts(LIST, 0))
            .send()
            .await
            .map_err(|error| self.named(sort(LIST, error), prefix))?;
        let objects = page.contents.unwrap_or_default().into_iter();
        let objects = objects.filter_map(info).collect();
        Ok((objects, page.next_continuation_token))
    }

    /// Deletes the objects of the keys; a key without an object is no error. One request for each 1,000 keys.
    ///
    /// # Errors
    ///
    /// [`CallError`] of the first call that fails, or [`CallError::Transient`] for the first object that could not be
    /// deleted; others may be deleted all the same.
    pub async fn delete(&self, keys: &[String]) -> Result<(), CallError> {
        for chunk in keys.chunks(MAX_DELETE) {
            let objects = chunk
                .iter()
                .map(|key| ObjectIdentifier::builder().key(key).build())
                .collect::<Result<_, _>>()
                .map_err(unbuilt(DELETE))?;
            let delete = Delete::builder()
                .set_objects(Some(objects))
                .quiet(true)
                .build()
                .map_err(unbuilt(DELETE))?;
            self.delete_all(delete).await?;
        }
        Ok(())
    }

    async fn delete_all(&self, delete: Delete) -> Result<(), CallError> {
        let answer = self
            .s3
            .delete_objects()
            .bucket(&self.bucket)
            .delete(delete)
            .customize()
            .interceptor(self.meter.attempts(DELETE, 0))
            .send()
            .await
            .map_err(|error| sort(DELETE, error))?;
        if let Some(error) = answer.errors.unwrap_or_default().first() {
            let reason = format!(
                "`{}`: {}",
                error.key().unwrap_or_default(),
                error.message().unwrap_or_default()
            );
            return Err(CallError::transient(DELETE, reason));
        }
        Ok(())
    }

    /// Adds bucket and key to the reason: S3's own words do not name them.
    fn named(&self, error: CallError, key: &str) -> CallError {
        let at = format!("s3://{}/{key}", self.bucket);
        let hint = match error {
            CallError::NotFound { .. } => {
                format!(": is bucket `{}` there? `--create` makes it", self.bucket)
            }
            _ => String::new(),
        };
        error.reworded(|reason| format!("{at}: {reason}{hint}"))
    }
}

/// An object of a listing; none where S3 names no key.
fn info(object: aws_sdk_s3::types::Object) -> Option<ObjectInfo> {
    Some(ObjectInfo {
        key: object.key?,
        size: object.size.unwrap_or_default().max(0) as u64,
        etag: object.e_tag.unwrap_or_default(),
        last_modified: object
            .last_modified
            .and_then(|time| DateTime::from_timestamp_millis(time.to_millis().ok()?)),
    })
}
