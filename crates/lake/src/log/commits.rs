//! The log's objects, and the state that they add up to.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use aws::Lake;
use chrono::{DateTime, Utc};
use contract::{CURATED, RAW};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::ReadError;
use crate::key::{CHECKPOINT, COMMITS, intent_key};
use crate::log::summary::Summary;

/// Advice for a log with a gap. Commit numbers must not be used again: parts are named by them.
const RESTORE: &str = "restore it (the bucket keeps deleted versions), or begin the log after the last commit \
    (docs/runbook.md, `Objects deleted`)";

/// What a commit takes in: the object [`intent_key`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// Number of the commit, from 1 on.
    pub commit: u64,
    /// The run that wrote the intent; a run whose answer was lost recognises its own intent by it.
    pub writer: Uuid,
    /// When the intent was written.
    pub started_at: DateTime<Utc>,
    /// Keys of raw objects, in byte order.
    pub inputs: Vec<String>,
}

/// Says that a commit is finished: the object [`done_key`](crate::key::done_key).
#[derive(Debug, Serialize, Deserialize)]
pub struct Done {
    /// Number of the commit.
    pub commit: u64,
    /// When a run first finished the commit.
    pub finished_at: DateTime<Utc>,
    /// What that run did.
    pub summary: Summary,
}

/// The log up to a commit: the object [`CHECKPOINT`].
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The last commit that the checkpoint counts.
    pub through: u64,
    /// See [`Log::swept_at`].
    pub swept_at: Option<DateTime<Utc>>,
    /// Names of committed raw objects, by the partition `year=…/month=…/day=…/hour=…`.
    pub committed: BTreeMap<String, Vec<String>>,
}

/// What the log says.
#[derive(Debug, Default)]
pub struct Log {
    /// The last commit that is done; 0 before the first one.
    pub done: u64,
    /// The commit after it, if it is begun.
    pub unfinished: Option<Intent>,
    /// Keys, without `raw/`, of raw objects that are committed and may still exist.
    pub committed: BTreeSet<String>,
    /// When all of `raw/` was last listed; none before the first time.
    pub swept_at: Option<DateTime<Utc>>,
    /// ETag of the checkpoint that was read; none if there was none.
    pub checkpoint_etag: Option<String>,
    /// What that checkpoint says of [`done`](Log::done) and [`swept_at`](Log::swept_at).
    pub checkpoint: (u64, Option<DateTime<Utc>>),
}

impl Log {
    /// Reads the checkpoint and the commits after it; [`ReadError::Missing`] if an intent was deleted, or the whole
    /// log while there are parts.
    pub async fn read(lake: &Lake) -> Result<Log, ReadError> {
        let mut log = Log::default();
        if let Some(object) = lake.get(CHECKPOINT).await? {
            let advice = "; delete it to have the whole log read again";
            log.load(from_json(CHECKPOINT, &object.body, advice)?);
            log.checkpoint_etag = Some(object.etag);
        }
        // Before the intents are listed: another run may begin the log meanwhile.
        let has_parts = log.checkpoint_etag.is_none() && has_parts(lake).await?;
        // `~` sorts after both names of a commit.
        let after = format!("{COMMITS}{:010}.~", log.done);
        let (mut begun, mut done) = (Vec::new(), BTreeSet::new());
        for object in lake.list(COMMITS, Some(&after)).await? {
            let name = object.key.strip_prefix(COMMITS).unwrap_or_default();
            if let Some(number) = name.strip_suffix(".done.json") {
                done.extend(number.parse::<u64>());
            } else if let Some(number) = name.strip_suffix(".json") {
                begun.extend(number.parse::<u64>());
            }
        }
        for commit in begun {
            let intent = read_intent(lake, commit).await?.ok_or_else(|| {
                ReadError::Missing(format!("commit {commit} was listed and is gone"))
            })?;
            let next = log.done + 1;
            if commit != next {
                return Err(ReadError::Missing(format!(
                    "commit {next} is missing from `{COMMITS}`: it was deleted; {RESTORE}"
                )));
            }
            if !done.contains(&commit) {
                log.unfinished = Some(intent);
                break;
            }
            log.advance(&intent);
        }
        if has_parts && log.done == 0 && log.unfinished.is_none() {
            return Err(ReadError::Missing(format!(
                "`{CURATED}` holds parts and `{COMMITS}` no commit: taking `raw/` in anew would write events a second time; {RESTORE}"
            )));
        }
        Ok(log)
    }

    fn load(&mut self, checkpoint: Checkpoint) {
        self.checkpoint = (checkpoint.through, checkpoint.swept_at);
        (self.done, self.swept_at) = self.checkpoint;
        for (partition, names) in checkpoint.committed {
            let keys = names.into_iter().map(|name| format!("{partition}/{name}"));
            self.committed.extend(keys);
        }
    }

    /// The checkpoint of this state.
    pub fn to_checkpoint(&self) -> Checkpoint {
        let mut committed: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for key in &self.committed {
            let (partition, name) = key.rsplit_once('/').unwrap_or(("", key));
            let names = committed.entry(partition.to_owned()).or_default();
            names.push(name.to_owned());
        }
        Checkpoint {
            through: self.done,
            swept_at: self.swept_at,
            committed,
        }
    }

    /// Whether the raw object of that key is committed; false also for one that no longer exists.
    pub fn has(&self, key: &str) -> bool {
        key.strip_prefix(RAW)
            .is_some_and(|name| self.committed.contains(name))
    }

    /// Counts the commit, which is the one after [`done`](Log::done), as done.
    pub fn advance(&mut self, intent: &Intent) {
        self.done = intent.commit;
        self.unfinished = None;
        let names = intent.inputs.iter().filter_map(|key| key.strip_prefix(RAW));
        self.committed.extend(names.map(str::to_owned));
    }
}

async fn has_parts(lake: &Lake) -> Result<bool, ReadError> {
    let listed = lake.list(CURATED, None).await?;
    Ok(listed.iter().any(|object| object.key.ends_with(".parquet")))
}

/// The intents of these commits, in order; an intent that is not there is left out, for a log may begin later.
pub async fn intents(lake: &Lake, commits: RangeInclusive<u64>) -> Result<Vec<Intent>, ReadError> {
    let reads: Vec<_> = commits.map(|commit| read_intent(lake, commit)).collect();
    stream::iter(reads)
        .buffered(8)
        .try_filter_map(async |intent| Ok(intent))
        .try_collect()
        .await
}

/// The intent of that commit; none if there is none.
pub async fn read_intent(lake: &Lake, commit: u64) -> Result<Option<Intent>, ReadError> {
    let key = intent_key(commit);
    let object = lake.get(&key).await?;
    let intent = object.map(|object| from_json(&key, &object.body, ""));
    intent.transpose()
}

fn from_json<T: for<'a> Deserialize<'a>>(
    key: &str,
    body: &[u8],
    advice: &'static str,
) -> Result<T, ReadError> {
    serde_json::from_slice(body)
        .map_err(|error| ReadError::Content(format!("`{key}`{advice}"), error.into()))
}
