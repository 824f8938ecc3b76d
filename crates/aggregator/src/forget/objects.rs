//! Objects of a folder: those that have something of the entity are found, and replaced by what is left of them.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use anyhow::Context;
use aws::{ByteRange, Condition, Lake, ObjectInfo, PutOutcome};
use bytes::Bytes;
use contract::{CURATED, Hour, RAW};
use futures::{StreamExt, TryStreamExt, stream};
use lake::forget::Edited;
use lake::key::curated_hour_of;
use tokio::sync::OwnedSemaphorePermit;

use crate::forget::{ForgetReport, Forgetting};
use crate::put::put;

/// Objects of a page of a listing.
const PAGE: usize = 1000;

/// Objects that are read ahead, beside one for each thread.
const READ_AHEAD: usize = 6;

/// Parts up to this size are read whole at once. Of a larger one the end may say that it has nothing of the entity.
const WHOLE_BYTES: u64 = 256 * 1024;

/// A part's footer fits here, as a rule.
const FOOTER_BYTES: u64 = 128 * 1024;

/// Gives each page of a listing to `take`.
pub(super) async fn each_page(
    lake: &Lake,
    prefix: &str,
    mut take: impl AsyncFnMut(Vec<ObjectInfo>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut after: Option<String> = None;
    loop {
        let (page, more) = lake.list_some(prefix, after.as_deref(), PAGE).await?;
        after = page.last().map(|object| object.key.clone());
        if after.is_some() {
            take(page).await?;
        }
        if !more {
            return Ok(());
        }
    }
}

impl Forgetting<'_> {
    /// Takes the entity out of all objects under a prefix.
    pub(super) async fn objects(
        &self,
        prefix: &'static str,
        report: &mut ForgetReport,
    ) -> anyhow::Result<()> {
        each_page(self.lake, prefix, async |page| {
            self.go_on()?;
            let page = page.into_iter().filter(|object| self.is_asked(&object.key));
            let found = self.found(page.collect()).await?;
            if !self.dry_run && prefix == CURATED {
                self.parts(&found, report).await?;
            } else if !self.dry_run {
                self.replace(found.keys()).await?;
            }
            report.add(prefix, &found);
            Ok(())
        })
        .await
    }

    fn is_asked(&self, key: &str) -> bool {
        if let Some(name) = key.strip_prefix(RAW) {
            // One that is not committed has landed since.
            let is_committed = || self.log.has(key) || self.older.contains(name);
            return key.ends_with(".jsonl") && (self.dry_run || is_committed());
        }
        curated_hour_of(key).is_none_or(|(kind, hour)| kind == self.kind.name && self.is_hour(hour))
    }

    /// Whether events of the hour are to be forgotten.
    pub(super) fn is_hour(&self, hour: Hour) -> bool {
        self.before.is_none_or(|before| hour.start() < before)
    }

    /// How many events or lines of the entity each object has; those without are left out.
    async fn found(&self, objects: Vec<ObjectInfo>) -> anyhow::Result<BTreeMap<String, u64>> {
        let finds = objects.into_iter().map(async |object| {
            let _room = self.room(object.size).await;
            let body = if self.may_have(&object).await? {
                self.lake.get(&object.key).await?
            } else {
                None
            };
            let edited = match body {
                Some(body) => self.edit(&object.key, body.body).await?,
                None => None,
            };
            self.looked_at();
            anyhow::Ok(edited.map(|edited| (object.key, edited.gone)))
        });
        let finds: Vec<_> = finds.collect();
        let found = stream::iter(finds).buffer_unordered(self.at_once());
        found
            .try_filter_map(async |one| Ok(one))
            .try_collect()
            .await
    }

    /// Whether the object must be read whole.
    async fn may_have(&self, object: &ObjectInfo) -> anyhow::Result<bool> {
        if !object.key.starts_with(CURATED) || object.size <= WHOLE_BYTES {
            return Ok(true);
        }
        let end = ByteRange::Last(FOOTER_BYTES);
        let end = self.lake.get_some(&object.key, end).await?;
        Ok(end.is_some_and(|end| self.who.may_be_in_part(&end.body)))
    }

    /// Memory for an object of so many bytes: its columns and a new one, about four times as many. It is free again
    /// when the permit is dropped.
    pub(super) async fn room(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        self.budget.take(bytes * 8, 12).await
    }

    pub(super) fn at_once(&self) -> usize {
        self.workers.threads() + READ_AHEAD
    }

    pub(super) fn looked_at(&self) {
        let done = 1 + self.looked_at.fetch_add(1, Ordering::Relaxed);
        self.progress.objects(done, done);
    }

    pub(super) async fn edit(&self, key: &str, body: Bytes) -> anyhow::Result<Option<Edited>> {
        let (who, of) = (self.who.clone(), key.to_owned());
        let edited = self.workers.run(move || who.edit(&of, &body)).await;
        edited.with_context(|| format!("cannot read `{key}`"))
    }

    /// Replaces the objects by what is left of them.
    pub(super) async fn replace(&self, keys: impl Iterator<Item = &String>) -> anyhow::Result<()> {
        let replaced: Vec<_> = keys.map(|key| self.replace_one(key)).collect();
        let replaced = stream::iter(replaced).buffer_unordered(self.at_once());
        replaced.try_collect().await
    }

    async fn replace_one(&self, key: &str) -> anyhow::Result<()> {
        loop {
            let Some(object) = self.lake.get(key).await? else {
                return Ok(());
            };
            let _room = self.room(object.body.len() as u64).await;
            let Some(edited) = self.edit(key, object.body).await? else {
                return Ok(());
            };
            // A raw object's metadata tells times of its events: it goes.
            let note = edited.left.map(|left| ("events", left));
            let unchanged = Condition::IfMatch(object.etag);
            let outcome = put(self.lake, key, edited.body, note, unchanged).await?;
            if outcome != PutOutcome::ConditionFailed {
                return Ok(());
            }
        }
    }
}
