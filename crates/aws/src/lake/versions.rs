//! Old versions of objects, where the bucket keeps them.

use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use aws_smithy_runtime_api::client::result::SdkError;

use crate::error::{CallError, sort, status, unbuilt};
use crate::lake::object::{Object, OldVersion};
use crate::lake::{DELETE, GET, Lake, MAX_DELETE};

const VERSIONING: &str = "s3:GetBucketVersioning";
const VERSIONS: &str = "s3:ListObjectVersions";

impl Lake {
    /// Whether the bucket keeps old versions, or has kept some: versioning is on, or is suspended. A service that does
    /// not know of versions keeps none.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn keeps_versions(&self) -> Result<bool, CallError> {
        let asked = self.s3.get_bucket_versioning().bucket(&self.bucket);
        let asked = asked
            .customize()
            .interceptor(self.meter.attempts(VERSIONING, 0));
        match asked.send().await {
            Ok(answer) => Ok(answer.status.is_some()),
            // Not implemented: there are none.
            Err(error) if status(&error) == Some(501) => Ok(false),
            Err(error) => Err(self.named(sort(VERSIONING, error), "")),
        }
    }

    /// Gives the old versions of objects whose keys begin with `prefix` to `found`, a page at a time: up to 1,000 in one
    /// request. Versions that are the current ones, and marks of deletions, are left out.
    ///
    /// # Errors
    ///
    /// [`CallError`] of the listing, or the error of `found`.
    pub async fn each_page_of_old_versions<E: From<CallError>>(
        &self,
        prefix: &str,
        mut found: impl AsyncFnMut(Vec<OldVersion>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut next = (None, None);
        loop {
            let page = self
                .s3
                .list_object_versions()
                .bucket(&self.bucket)
                .prefix(prefix)
                .set_key_marker(next.0.take())
                .set_version_id_marker(next.1.take())
                .customize()
                .interceptor(self.meter.attempts(VERSIONS, 0))
                .send()
                .await
                .map_err(|error| self.named(sort(VERSIONS, error), prefix))?;
            let versions = page.versions.unwrap_or_default().into_iter();
            let old = versions.filter(|version| !version.is_latest.unwrap_or_default());
            let old = old.filter_map(|version| {
                Some(OldVersion {
                    key: version.key?,
                    id: version.version_id?,
                    size: version.size.unwrap_or_default().max(0) as u64,
                })
            });
            found(old.collect()).await?;
            if !page.is_truncated.unwrap_or_default() {
                return Ok(());
            }
            next = (page.next_key_marker, page.next_version_id_marker);
        }
    }

    /// Reads an old version whole; `None` if it is gone.
    ///
    /// # Errors
    ///
    /// As for [`get`](Lake::get).
    pub async fn get_version(&self, version: &OldVersion) -> Result<Option<Object>, CallError> {
        let got = self
            .s3
            .get_object()
            .bucket(&self.bucket)
            .key(&version.key)
            .version_id(&version.id)
            .customize()
            .interceptor(self.meter.attempts(GET, 0))
            .send()
            .await;
        match got {
            Ok(got) => self.content(&version.key, got).await.map(Some),
            Err(SdkError::ServiceError(error))
                if error.err().is_no_such_key()
                    || error.err().meta().code() == Some("NoSuchVersion") =>
            {
                Ok(None)
            }
            Err(error) => Err(self.named(sort(GET, error), &version.key)),
        }
    }

    /// Deletes old versions for good.
    ///
    /// # Errors
    ///
    /// As for [`delete`](Lake::delete).
    pub async fn delete_versions(&self, versions: &[OldVersion]) -> Result<(), CallError> {
        for chunk in versions.chunks(MAX_DELETE) {
            let identify = |version: &OldVersion| {
                let object = ObjectIdentifier::builder().key(&version.key);
                object.version_id(&version.id).build()
            };
            let objects: Result<_, _> = chunk.iter().map(identify).collect();
            let objects = Some(objects.map_err(unbuilt(DELETE))?);
            let delete = Delete::builder().set_objects(objects).quiet(true).build();
            self.delete_all(delete.map_err(unbuilt(DELETE))?).await?;
        }
        Ok(())
    }
}
