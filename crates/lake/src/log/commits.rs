//! The log's objects, and the state that they add up to.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use aws::{CallError, Lake, ObjectInfo};
use chrono::{DateTime, Utc};
use contract::{CURATED, Hour, RAW, raw_arrival_of};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::ReadError;
use crate::key::{CHECKPOINT, COMMITS, OLDER, done_key, intent_key, plan_key};
use crate::log::names::{HashedNames, Names};
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
    /// Bytes of all inputs; 0 in intents of older releases, which did not tell.
    #[serde(default)]
    pub bytes: u64,
    /// Keys of raw objects, in byte order. A commit without any says that parts of earlier ones were changed.
    pub inputs: Vec<String>,
}

/// A number for each kind and event hour; hours are written `year=…/month=…/day=…/hour=…`.
pub type ByHour = BTreeMap<String, BTreeMap<String, u64>>;

/// The number in `by_hour` for a kind and event hour.
pub fn of_hour(by_hour: &ByHour, kind: &str, hour: Hour) -> Option<u64> {
    by_hour.get(kind)?.get(&hour.to_string()).copied()
}

/// Into how many parts a commit writes each hour: the object [`plan_key`]. It is written once, before the first part,
/// so that whoever takes the commit over writes the same parts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Number of parts of each hour that has events in the commit's inputs and is not put off.
    pub parts: ByHour,
    /// Whether the commit puts off the hours that are not in `parts`: it writes their lines to raw objects, which later
    /// commits take in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub puts_off: bool,
    /// Most of these hours that one later commit is given, so that whoever takes the commit over divides them into the
    /// same objects. None where it puts off none, and in plans of older releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_hours: Option<usize>,
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
    /// Events that were added to each hour that has events in the commit's inputs: 0 where all were there before. Hours
    /// that were put off are not among them. None in marks of older releases, and of commits without inputs: then any hour
    /// may have changed.
    #[serde(default)]
    pub hours: Option<ByHour>,
    /// Raw objects that have the lines of hours which the commit put off: their bytes by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub put_off: BTreeMap<String, u64>,
}

/// A commit that is done, as [`Log::done_since`] finds it.
#[derive(Debug)]
pub struct DoneCommit {
    /// What it took in.
    pub intent: Intent,
    /// See [`Done::hours`].
    pub hours: Option<ByHour>,
    /// See [`Done::put_off`].
    pub put_off: BTreeMap<String, u64>,
}

/// The log up to a commit: the object [`CHECKPOINT`].
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Checkpoint<'l> {
    /// The last commit that the checkpoint counts.
    pub through: u64,
    /// See [`Log::swept_at`].
    pub swept_at: Option<DateTime<Utc>>,
    /// See [`Log::looked_back_at`].
    #[serde(default)]
    pub looked_back_at: Option<DateTime<Utc>>,
    /// Names of committed raw objects: hundreds of thousands, so that a checkpoint that is written borrows them.
    pub committed: Cow<'l, Names>,
}

/// What the log says.
#[derive(Debug, Default)]
pub struct Log {
    /// The last commit that is done; 0 before the first one.
    pub done: u64,
    /// The commit after it, if it is begun.
    pub unfinished: Option<Intent>,
    /// Raw objects that are committed and may still exist, except for those in [`OLDER`], which has the partitions
    /// that were days old when all of `raw/` was last listed.
    pub committed: Names,
    /// Latest arrival that the name of a committed raw object tells, if any does.
    pub newest: Option<DateTime<Utc>>,
    /// When all of `raw/` was last listed; none before the first time.
    pub swept_at: Option<DateTime<Utc>>,
    /// When the last two days of `raw/` were last listed; none before the first time.
    pub looked_back_at: Option<DateTime<Utc>>,
    /// ETag of the checkpoint that was read; none if there was none.
    pub checkpoint_etag: Option<String>,
    /// What that checkpoint says of [`done`](Log::done), [`swept_at`](Log::swept_at) and
    /// [`looked_back_at`](Log::looked_back_at).
    pub checkpoint: (u64, Option<DateTime<Utc>>, Option<DateTime<Utc>>),
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

    fn load(&mut self, checkpoint: Checkpoint<'_>) {
        self.done = checkpoint.through;
        self.swept_at = checkpoint.swept_at;
        self.looked_back_at = checkpoint.looked_back_at;
        self.checkpoint = self.state();
        self.committed = checkpoint.committed.into_owned();
        self.newest = self.committed.newest_arrival();
    }

    fn state(&self) -> (u64, Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
        (self.done, self.swept_at, self.looked_back_at)
    }

    /// Whether the log says more than the checkpoint that was read.
    pub fn is_ahead(&self) -> bool {
        self.state() != self.checkpoint
    }

    /// The checkpoint of this state.
    pub fn to_checkpoint(&self) -> Checkpoint<'_> {
        Checkpoint {
            through: self.done,
            swept_at: self.swept_at,
            looked_back_at: self.looked_back_at,
            committed: Cow::Borrowed(&self.committed),
        }
    }

    /// Whether the raw object of that key is among [`committed`](Log::committed).
    pub fn has(&self, key: &str) -> bool {
        key.strip_prefix(RAW)
            .is_some_and(|name| self.committed.contains(name))
    }

    /// The commits that were done after [`done`](Log::done), in order; one listing if there is none. They are not
    /// counted yet: whoever has taken notice of one gives its intent to [`advance`](Log::advance).
    ///
    /// # Errors
    ///
    /// [`ReadError::Missing`] if an object of a commit was deleted: the log must then be read from its start.
    pub async fn done_since(&self, lake: &Lake) -> Result<Vec<DoneCommit>, ReadError> {
        let after = format!("{COMMITS}{:010}.~", self.done);
        let mut commits = Vec::new();
        for object in lake.list(COMMITS, Some(&after)).await? {
            let name = object.key.strip_prefix(COMMITS).unwrap_or_default();
            let number = name.strip_suffix(".done.json");
            commits.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        let reads = (self.done + 1..).zip(commits).map(async |(next, commit)| {
            let missing = || {
                ReadError::Missing(format!(
                    "commit {next} is missing from `{COMMITS}`: {RESTORE}"
                ))
            };
            if commit != next {
                return Err(missing());
            }
            let intent = read_intent(lake, commit).await?.ok_or_else(missing)?;
            let done = read_done(lake, commit).await?.ok_or_else(missing)?;
            Ok(DoneCommit {
                intent,
                hours: done.hours,
                put_off: done.put_off,
            })
        });
        stream::iter(reads).buffered(8).try_collect().await
    }

    /// Counts the commit, which is the one after [`done`](Log::done), as done.
    pub fn advance(&mut self, intent: &Intent) {
        self.done = intent.commit;
        self.unfinished = None;
        let names = intent.inputs.iter().filter_map(|key| key.strip_prefix(RAW));
        self.committed.extend(names);
        let arrivals = intent.inputs.iter().filter_map(|key| raw_arrival_of(key));
        self.newest = arrivals.chain(self.newest).max();
    }
}

/// The committed raw objects that the checkpoint no longer names, and the ETag of the object that holds them, if
/// there is one.
pub async fn older_names(lake: &Lake) -> Result<(HashedNames, Option<String>), ReadError> {
    let Some(object) = lake.get(OLDER).await? else {
        return Ok((HashedNames::default(), None));
    };
    let names = HashedNames::from_bytes(&object.body);
    let names = names.ok_or_else(|| {
        let what = format!("`{OLDER}`; restore an earlier version of it");
        ReadError::Content(what, "the hashes are not sorted".into())
    })?;
    Ok((names, Some(object.etag)))
}

async fn has_parts(lake: &Lake) -> Result<bool, ReadError> {
    let mut found = false;
    let is_part = |object: ObjectInfo| found |= object.key.ends_with(".parquet");
    lake.list_each(CURATED, None, is_part).await?;
    Ok(found)
}

/// The plan of that commit; none if there is none, as before the first part of the commit is written.
pub async fn read_plan(lake: &Lake, commit: u64) -> Result<Option<Plan>, ReadError> {
    read_json(lake, &plan_key(commit)).await
}

/// The mark that the commit is done; none if it is not.
pub async fn read_done(lake: &Lake, commit: u64) -> Result<Option<Done>, ReadError> {
    read_json(lake, &done_key(commit)).await
}

/// Whether the commit is done.
pub async fn is_done(lake: &Lake, commit: u64) -> Result<bool, CallError> {
    Ok(lake.head(&done_key(commit)).await?.is_some())
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
    read_json(lake, &intent_key(commit)).await
}

async fn read_json<T: for<'a> Deserialize<'a>>(
    lake: &Lake,
    key: &str,
) -> Result<Option<T>, ReadError> {
    let object = lake.get(key).await?;
    let read = object.map(|object| from_json(key, &object.body, ""));
    read.transpose()
}

fn from_json<T: for<'a> Deserialize<'a>>(
    key: &str,
    body: &[u8],
    advice: &'static str,
) -> Result<T, ReadError> {
    serde_json::from_slice(body)
        .map_err(|error| ReadError::Content(format!("`{key}`{advice}"), error.into()))
}
