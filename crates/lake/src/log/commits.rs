//! The commit log: `_commits/<n>.json` is an intent, `_commits/<n>.done.json` says that it is
//! finished, and `_commits/checkpoint.json` sums up what came before, so that a run reads only
//! what is new.
//!
//! The numbers follow each other, and an intent is written only when the one before it is done:
//! whoever writes number `n` has read all up to `n − 1`, for S3 lets only one writer have it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeInclusive;

use anyhow::{Context, bail};
use aws::{Condition, Lake, Outcome};
use chrono::{DateTime, Utc};
use contract::{CURATED, RAW};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::log::summary::Summary;

const COMMITS: &str = "_commits/";
const CHECKPOINT: &str = "_commits/checkpoint.json";

/// What to do where the log has a hole. Its numbers must not come again: parts are named by them.
const RESTORE: &str = "restore it (the bucket keeps deleted versions), or begin the log after the last commit \
    (docs/runbook.md, `Objects deleted`)";

/// What a commit is to take in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    pub commit: u64,
    /// Who wrote it: tells a writer whose answer was lost that the intent is its own.
    pub writer: Uuid,
    pub started_at: DateTime<Utc>,
    /// Keys of raw objects, in byte order.
    pub inputs: Vec<String>,
}

/// A finished commit, with what it did.
#[derive(Debug, Serialize, Deserialize)]
struct Done {
    commit: u64,
    finished_at: DateTime<Utc>,
    summary: Summary,
}

/// What the log says.
#[derive(Debug, Default)]
pub struct Log {
    /// The last commit that is done; 0 before the first.
    pub done: u64,
    /// The one after it, begun and not done.
    pub unfinished: Option<Intent>,
    /// Raw keys (without the prefix) that are committed and may still be listed.
    committed: BTreeSet<String>,
    /// When all of `raw/` was last listed.
    pub swept_at: Option<DateTime<Utc>>,
    checkpoint_etag: Option<String>,
    /// What the checkpoint in the lake says of `done` and `swept_at`.
    saved: (u64, Option<DateTime<Utc>>),
}

/// The log up to a commit, in one object.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Checkpoint {
    through: u64,
    swept_at: Option<DateTime<Utc>>,
    /// Committed names of raw parts, by partition.
    committed: BTreeMap<String, Vec<String>>,
}

impl Log {
    /// Reads the log: the checkpoint and what came after it.
    pub async fn read(lake: &Lake) -> anyhow::Result<Log> {
        let mut log = Log::default();
        if let Some(object) = lake.get(CHECKPOINT).await? {
            let checkpoint: Checkpoint =
                serde_json::from_slice(&object.body).with_context(|| {
                    format!(
                        "cannot read `{CHECKPOINT}`; delete it to have the whole log read again"
                    )
                })?;
            log.done = checkpoint.through;
            log.swept_at = checkpoint.swept_at;
            log.saved = (log.done, log.swept_at);
            log.checkpoint_etag = Some(object.etag);
            for (partition, names) in checkpoint.committed {
                log.committed
                    .extend(names.into_iter().map(|name| format!("{partition}/{name}")));
            }
        }
        // Listed before the intents, for another run may begin the log meanwhile.
        let has_parts = log.checkpoint_etag.is_none() && has_parts(lake).await?;
        // `~` sorts after the rest of both names of a commit.
        let after = format!("{COMMITS}{:010}.~", log.done);
        let mut intents = BTreeSet::new();
        let mut done = BTreeSet::new();
        for object in lake.list(COMMITS, Some(&after)).await? {
            let name = object.key.trim_start_matches(COMMITS);
            if let Some(commit) = name
                .strip_suffix(".done.json")
                .and_then(|number| number.parse::<u64>().ok())
            {
                done.insert(commit);
            } else if let Some(commit) = name
                .strip_suffix(".json")
                .and_then(|number| number.parse::<u64>().ok())
            {
                intents.insert(commit);
            }
        }
        for commit in intents {
            let intent = read_intent(lake, commit)
                .await?
                .with_context(|| format!("commit {commit} was listed and is gone"))?;
            if commit != log.done + 1 {
                bail!(
                    "commit {} is missing from `{COMMITS}`: it was deleted; {RESTORE}",
                    log.done + 1
                );
            }
            if !done.contains(&commit) {
                log.unfinished = Some(intent);
                break;
            }
            log.take(&intent);
        }
        if has_parts && log.done == 0 && log.unfinished.is_none() {
            bail!(
                "`{CURATED}` holds parts and `{COMMITS}` no commit: taking `raw/` in anew would write events a second time; {RESTORE}"
            );
        }
        Ok(log)
    }

    /// Whether the raw object of that key is committed.
    pub fn has(&self, key: &str) -> bool {
        key.strip_prefix(RAW)
            .is_some_and(|name| self.committed.contains(name))
    }

    /// Writes the next intent; none if another process was first, and the log must be read again.
    pub async fn begin(
        &self,
        lake: &Lake,
        writer: Uuid,
        inputs: Vec<String>,
        now: DateTime<Utc>,
    ) -> anyhow::Result<Option<Intent>> {
        let intent = Intent {
            commit: self.done + 1,
            writer,
            started_at: now,
            inputs,
        };
        let key = intent_key(intent.commit);
        let body = serde_json::to_vec(&intent)?;
        let put = lake
            .put(
                &key,
                body.into(),
                "application/json",
                HashMap::new(),
                Condition::IfAbsent,
            )
            .await?;
        if put == Outcome::ConditionFailed {
            // Perhaps it is ours, and the answer to the first attempt was lost.
            return Ok(read_intent(lake, intent.commit)
                .await?
                .filter(|there| *there == intent));
        }
        Ok(Some(intent))
    }

    /// Marks the intent as done, here and in the lake.
    pub async fn finish(
        &mut self,
        lake: &Lake,
        intent: &Intent,
        summary: &Summary,
        now: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        let done = Done {
            commit: intent.commit,
            finished_at: now,
            summary: summary.clone(),
        };
        let key = format!("{COMMITS}{:010}.done.json", intent.commit);
        // Where the mark is there already, the first to finish has said it.
        lake.put(
            &key,
            serde_json::to_vec(&done)?.into(),
            "application/json",
            HashMap::new(),
            Condition::IfAbsent,
        )
        .await?;
        self.take(intent);
        self.unfinished = None;
        Ok(())
    }

    fn take(&mut self, intent: &Intent) {
        self.done = intent.commit;
        self.committed.extend(
            intent
                .inputs
                .iter()
                .filter_map(|key| key.strip_prefix(RAW))
                .map(str::to_owned),
        );
    }

    /// Forgets committed keys that a listing of all of `raw/` did not show: they have expired.
    pub fn swept(&mut self, listed: &BTreeSet<&str>, now: DateTime<Utc>) {
        self.committed.retain(|name| listed.contains(name.as_str()));
        self.swept_at = Some(now);
    }

    /// Sums the log up for the next run, unless nothing is new. If another process was first, its
    /// checkpoint is as good.
    pub async fn save(&self, lake: &Lake) -> anyhow::Result<()> {
        if self.saved == (self.done, self.swept_at) {
            return Ok(());
        }
        let mut committed: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for name in &self.committed {
            let (partition, name) = name.rsplit_once('/').unwrap_or(("", name));
            committed
                .entry(partition.to_owned())
                .or_default()
                .push(name.to_owned());
        }
        let checkpoint = Checkpoint {
            through: self.done,
            swept_at: self.swept_at,
            committed,
        };
        let condition = match &self.checkpoint_etag {
            Some(etag) => Condition::IfMatch(etag.clone()),
            None => Condition::IfAbsent,
        };
        let body = serde_json::to_vec(&checkpoint)?;
        lake.put(
            CHECKPOINT,
            body.into(),
            "application/json",
            HashMap::new(),
            condition,
        )
        .await?;
        Ok(())
    }
}

/// Whether any commit has left a part.
async fn has_parts(lake: &Lake) -> anyhow::Result<bool> {
    let listed = lake.list(CURATED, None).await?;
    Ok(listed.iter().any(|object| object.key.ends_with(".parquet")))
}

/// The intents of those commits, in order: what a rebuild goes by.
pub async fn finished_intents(
    lake: &Lake,
    commits: RangeInclusive<u64>,
) -> anyhow::Result<Vec<Intent>> {
    let reads: Vec<_> = commits.map(|commit| read_intent(lake, commit)).collect();
    // A log cut short at its beginning has nothing to say of the hours before.
    stream::iter(reads)
        .buffered(8)
        .try_filter_map(async |intent| Ok(intent))
        .try_collect()
        .await
}

fn intent_key(commit: u64) -> String {
    format!("{COMMITS}{commit:010}.json")
}

async fn read_intent(lake: &Lake, commit: u64) -> anyhow::Result<Option<Intent>> {
    let key = intent_key(commit);
    match lake.get(&key).await? {
        Some(object) => Ok(Some(
            serde_json::from_slice(&object.body).with_context(|| format!("cannot read `{key}`"))?,
        )),
        None => Ok(None),
    }
}
