//! Forgets an entity: its events, and what was made of them, leave the lake; all else stays as it was.
//!
//! What waits in `raw/` is committed first, so that no unfinished commit names an object that is changed. Then each
//! object that has something of the entity is replaced, under its own key and only as it was read, by one without it,
//! and none is deleted: a run that froze in the middle of a commit and wakes finds its parts there, and keeps them as
//! they are. Last go old versions. A run that dies leaves a lake that is right for all others; the next one finds what
//! is left by looking at everything again (ADR 0035).

mod hours;
mod objects;
mod report;
mod versions;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::{Context, ensure};
use aws::{Aws, Condition, Lake};
use chrono::{DateTime, TimeDelta, Utc};
use contract::{CURATED, Kind, Kinds, RAW};
use lake::forget::Forgotten;
use lake::key::{ALERTS, ASIDE, FORGOTTEN, LETTERS, MOMENTS};
use lake::log::{HashedNames, Log, older_names};
use service::nearest::nearest;
use service::terminal::Progress;
use tokio_util::sync::CancellationToken;

use crate::budget::Budget;
use crate::config::Config;
use crate::log::discover::{Found, discover};
use crate::planted_defects;
use crate::put::put;
use crate::run::{announce, once};
use crate::workers::Workers;

pub use report::ForgetReport;

/// How far ahead the clocks may be that raw objects are named by.
const CLOCKS_APART: TimeDelta = TimeDelta::minutes(1);

/// What is to be forgotten.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Name of the kind.
    pub kind: String,
    /// The entity.
    pub entity: String,
    /// Only events that happened before this time.
    pub before: Option<DateTime<Utc>>,
    /// Whether to count only, and to write nothing.
    pub dry_run: bool,
}

/// Forgets what is wanted. What had landed when it began is gone when it has ended, whatever else runs; what lands
/// later may be of the entity again.
///
/// # Errors
///
/// If the kind is not declared, or the lake cannot be read or written; also if `stop` came before the end. A second
/// call forgets the rest.
pub async fn forget(
    config: &Config,
    aws: &Aws,
    wanted: &Wanted,
    stop: &CancellationToken,
    progress: &dyn Progress,
) -> anyhow::Result<ForgetReport> {
    let kinds = Arc::new(config.kinds()?);
    let kind = declared(&kinds, &wanted.kind)?;
    let lake = aws.lake(&config.lake.lake_bucket);
    if !wanted.dry_run {
        commit_all(config, aws, stop, progress).await?;
    }
    let log = Log::read(&lake).await?;
    let (older, _) = older_names(&lake).await?;
    let (entity, before) = (&wanted.entity, wanted.before);
    let run = Forgetting {
        who: Arc::new(Forgotten::new(kinds.clone(), &kind.name, entity, before)),
        kinds: &kinds,
        kind,
        before,
        dry_run: wanted.dry_run,
        lake: &lake,
        log: &log,
        older: &older,
        budget: config.budget(),
        workers: config.workers(),
        progress,
        looked_at: AtomicU64::new(0),
        stop,
    };
    let started_at = aws.clock().now();
    let mut report = ForgetReport::new(&kind.name, before, wanted.dry_run, started_at);
    run.objects(RAW, &mut report).await?;
    if !wanted.dry_run {
        // Before parts are looked at: a rebuild that has read raw objects as they were, and writes parts of them, sees
        // this commit and begins again.
        announce(config, aws).await?;
    }
    run.objects(CURATED, &mut report).await?;
    if !planted_defects::forget_rows_alone() {
        run.aggregates(&mut report).await?;
    }
    for prefix in [ASIDE, MOMENTS, ALERTS, LETTERS] {
        run.objects(prefix, &mut report).await?;
    }
    if wanted.dry_run {
        run.old_versions(&mut report).await?;
        return Ok(report);
    }
    // A query must not answer of what it has in memory.
    announce(config, aws).await?;
    let versions = run.old_versions(&mut report).await;
    report.ended_at = aws.clock().now();
    if !report.is_empty() {
        let key = format!("{FORGOTTEN}{}.json", contract::format_millis(started_at));
        let body = serde_json::to_vec_pretty(&report)?;
        put(&lake, &key, body, None, Condition::IfAbsent).await?;
    }
    versions.context("all else is forgotten")?;
    Ok(report)
}

/// Commits all that has landed. What a commit puts off waits in new objects of `raw/`, and where another run has
/// finished the commit, this one knows nothing of them: so it looks until nothing is left that is as old as the call,
/// by the arrival of its lines, which the objects' names tell.
async fn commit_all(
    config: &Config,
    aws: &Aws,
    stop: &CancellationToken,
    progress: &dyn Progress,
) -> anyhow::Result<()> {
    let all = Config {
        full: true,
        ..config.clone()
    };
    let lake = aws.lake(&config.lake.lake_bucket);
    let landed = aws.clock().now() + CLOCKS_APART;
    loop {
        once(&all, aws, stop, progress).await?;
        let mut log = Log::read(&lake).await?;
        let mut open = discover(&lake, &mut log, aws.clock().now(), true).await?;
        let begun = log.unfinished.into_iter().flat_map(|intent| intent.inputs);
        open.extend(begun.map(|key| Found { key, size: 0 }));
        if stop.is_cancelled() || open.iter().all(|object| object.arrived() > landed) {
            return Ok(());
        }
    }
}

pub(crate) fn declared<'k>(kinds: &'k Kinds, name: &str) -> anyhow::Result<&'k Kind> {
    kinds.get(name).with_context(|| {
        let names = kinds.iter().map(|kind| kind.name.as_str());
        let meant = match nearest(name, names) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("there are {}", kinds.names()),
        };
        format!("kind `{name}` is not declared: {meant} CONTRACTS names the folder of declarations")
    })
}

/// Forgetting under way.
struct Forgetting<'a> {
    who: Arc<Forgotten>,
    kinds: &'a Arc<Kinds>,
    kind: &'a Kind,
    before: Option<DateTime<Utc>>,
    dry_run: bool,
    lake: &'a Lake,
    /// The log, and the names of old raw objects, once all that waited was committed.
    log: &'a Log,
    older: &'a HashedNames,
    budget: Budget,
    workers: Workers,
    progress: &'a dyn Progress,
    looked_at: AtomicU64,
    stop: &'a CancellationToken,
}

impl Forgetting<'_> {
    fn go_on(&self) -> anyhow::Result<()> {
        ensure!(
            !self.stop.is_cancelled(),
            "stopped before all was forgotten: run it again"
        );
        Ok(())
    }
}
