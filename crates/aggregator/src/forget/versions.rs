//! Old versions of objects, where the bucket keeps them.

use anyhow::Context;
use aws::OldVersion;
use contract::{AGGREGATES, CURATED, RAW};
use futures::{StreamExt, TryStreamExt, stream};
use lake::key::{ALERTS, ASIDE, LETTERS, MOMENTS};

use crate::forget::{ForgetReport, Forgetting};

impl Forgetting<'_> {
    /// Deletes the old versions that have something of the entity. Each old version of an object that may have some is
    /// read.
    pub(super) async fn old_versions(&self, report: &mut ForgetReport) -> anyhow::Result<()> {
        let rights = "it takes s3:GetBucketVersioning, s3:ListBucketVersions, s3:GetObjectVersion and \
             s3:DeleteObjectVersion";
        if !self.lake.keeps_versions().await.context(rights)? {
            return Ok(());
        }
        let mut deleted = 0;
        for prefix in [RAW, CURATED, AGGREGATES, ASIDE, MOMENTS, ALERTS, LETTERS] {
            let page = self.lake.each_page_of_old_versions(prefix, async |page| {
                self.go_on()?;
                let looks = page.into_iter().map(async |version| {
                    let has = self.is_in_version(&version).await?;
                    self.looked_at();
                    anyhow::Ok(has.then_some(version))
                });
                let looks: Vec<_> = looks.collect();
                let found = stream::iter(looks).buffer_unordered(self.at_once());
                let found = found.try_filter_map(async |one| Ok(one));
                let found: Vec<OldVersion> = found.try_collect().await?;
                deleted += found.len() as u64;
                if !self.dry_run {
                    self.lake.delete_versions(&found).await?;
                }
                anyhow::Ok(())
            });
            page.await.context(rights)?;
        }
        report.old_versions = Some(deleted);
        Ok(())
    }

    async fn is_in_version(&self, version: &OldVersion) -> anyhow::Result<bool> {
        let key = &version.key;
        let is_asked = if key.starts_with(AGGREGATES) {
            self.aggregates_hour(key).is_some()
        } else {
            lake::key::curated_hour_of(key).is_none_or(|(kind, _)| kind == self.kind.name)
        };
        if !is_asked {
            return Ok(false);
        }
        let _room = self.room(version.size).await;
        let Some(object) = self.lake.get_version(version).await? else {
            return Ok(false);
        };
        if key.starts_with(AGGREGATES) {
            return self.is_counted(key, object.body).await;
        }
        Ok(self.edit(key, object.body).await?.is_some())
    }
}
