//! Keeps the newest snapshot.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::error::ArrowError;
use aws::{Clock, Lake};
use chrono::{DateTime, TimeDelta, Utc};
use contract::{Hour, Kinds};
use futures::{StreamExt, TryStreamExt, stream};
use lake::ReadError;
use lake::key::commit_of;
use lake::log::{DoneCommit, Log};
use lake::parts::IdHashes;
use lake::rows::{KindHour, SignalTypes};
use lake::schema::signal_types;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::metrics::Sizes;
use crate::snapshot::arrivals::{Arrival, Arrivals};
use crate::snapshot::compute::compute;
use crate::snapshot::hot::{Hot, HotRows, ObjectRows, ids_of};
use crate::snapshot::hour_data::Part;
use crate::snapshot::part_ids::{PartHashes, PartIds};
use crate::snapshot::part_lists::{PartLists, Span};
use crate::snapshot::put_off::{Left, PutOff, has_written};
use crate::snapshot::raw_objects::RawObjects;
use crate::snapshot::read_objects::rows_of;
use crate::snapshot::settings::SnapshotSettings;
use crate::snapshot::snapshot::Snapshot;

/// Age of an arrival hour from which on the names of its committed objects are forgotten, beyond what the wide sweep
/// lists.
const NAMED: TimeDelta = TimeDelta::hours(24);

/// Parts whose ids are read at a time.
const PARTS_AT_ONCE: usize = 4;

/// Parts that may hold ids that were asked for, by kind and hour.
type Met = BTreeMap<KindHour, Vec<PartHashes>>;

/// Keeps the newest [`Snapshot`] of a lake: [`refresh`](Snapshots::refresh) looks at what is new.
///
/// An event is in the snapshot once at any moment. Its row is hot from when its object has landed until the commit
/// that takes the object in is done; in the same step its part counts. Of events that come in several objects one row
/// is visible, and none once the event stands in a part. So ids are compared when an object comes, with the parts of
/// its hours and the other hot rows; and when a commit is done, the hot rows that are left with the parts that are
/// new.
pub struct Snapshots {
    sources: Sources,
    /// None until the log has been read.
    state: Option<State>,
    newest: watch::Sender<Snapshot>,
    arrivals: Arrivals,
}

/// Where it is read from, and how.
struct Sources {
    lake: Lake,
    kinds: Arc<Kinds>,
    clock: Clock,
    settings: SnapshotSettings,
    lists: Arc<PartLists>,
    ids: PartIds,
}

/// What was read. Each step changes it at its end, without an await: it is whole if a step fails or is dropped.
struct State {
    log: Log,
    log_read: Instant,
    /// Types of the undeclared signals of each kind: the stored ones, and those that the next commit would add for the
    /// hot rows.
    types: Vec<SignalTypes>,
    hot: Hot,
    /// Commits that have put off hours which no later commit has written yet.
    put_off: Vec<PutOff>,
    /// What readers get of `hot`.
    view: Arc<HotRows>,
    raw: RawObjects,
    fresh_until: Option<DateTime<Utc>>,
    /// Bytes of the hot rows when there was no room for the next object.
    full_at: Option<u64>,
}

/// What a refresh has come to.
#[derive(Debug, Clone)]
pub struct Refreshed {
    /// Whether all that the refresh listed is in the newest snapshot. If not, there is more to read, and the next
    /// refresh should follow at once, unless [`is_full`](Refreshed::is_full).
    pub is_complete: bool,
    /// Whether objects wait because [`SnapshotSettings::hot_limit`] is reached.
    pub is_full: bool,
    /// The refresh listed the keys of `raw/` that sort after this text; all of them if there is none.
    pub listed_after: Option<String>,
}

impl Snapshots {
    /// A keeper whose snapshot is empty, with commit 0, until the first [`refresh`](Snapshots::refresh) has succeeded.
    /// Sends nothing.
    pub fn new(
        lake: Lake,
        kinds: Arc<Kinds>,
        clock: Clock,
        settings: SnapshotSettings,
    ) -> Snapshots {
        let lists = Arc::new(PartLists::new(lake.clone(), settings.list_again));
        let (hot, first) = (Arc::default(), lists.clone());
        let empty = Snapshot::new(0, None, kinds.clone(), hot, first);
        Snapshots {
            sources: Sources {
                ids: PartIds::new(lake.clone()),
                lake,
                kinds,
                clock,
                settings,
                lists,
            },
            state: None,
            newest: watch::Sender::new(empty),
            arrivals: Arrivals::default(),
        }
    }

    /// The newest snapshot.
    pub fn newest(&self) -> Snapshot {
        self.newest.borrow().clone()
    }

    /// Gives the newest snapshot to other tasks, at once and whenever there is a newer one.
    pub fn watch(&self) -> watch::Receiver<Snapshot> {
        self.newest.subscribe()
    }

    /// Gives what arrives to other tasks, each object after the snapshot that has it.
    pub fn arrivals(&self) -> Arrivals {
        self.arrivals.clone()
    }

    pub(super) fn settings(&self) -> &SnapshotSettings {
        &self.sources.settings
    }

    /// Looks at the log, if that is due, and then at `raw/`, and gives out a snapshot of what it found. It may be
    /// dropped at any point: the next one goes on from there.
    ///
    /// # Errors
    ///
    /// If the lake cannot be read. The newest snapshot stays, or has the commits that were done and no newer object.
    pub async fn refresh(&mut self) -> Result<Refreshed, ReadError> {
        let sources = &self.sources;
        let state = match &mut self.state {
            Some(state) => {
                if state.log_read.elapsed() >= sources.settings.log_every {
                    let read = Instant::now();
                    let taken = sources.take_commits(state).await;
                    if let Err(Taken::LogBroken(error)) = taken {
                        // Begins anew, with the log that there is then.
                        self.state = None;
                        return Err(error);
                    }
                    if taken.map_err(Taken::into_error)? {
                        self.newest.send_replace(sources.snapshot(state));
                    }
                    state.log_read = read;
                }
                state
            }
            None => self.state.insert(sources.begin().await?),
        };
        let follows = self.arrivals.has_followers();
        let (refreshed, arrived) = sources.take_objects(state, follows).await?;
        self.newest.send_replace(sources.snapshot(state));
        for arrival in arrived {
            self.arrivals.give(arrival);
        }
        state.sizes(refreshed.is_full).show();
        Ok(refreshed)
    }
}

/// Why commits were not taken.
enum Taken {
    /// The log lacks an object that it must have.
    LogBroken(ReadError),
    /// The same may succeed later.
    Failed(ReadError),
}

impl Taken {
    fn into_error(self) -> ReadError {
        let (Taken::LogBroken(error) | Taken::Failed(error)) = self;
        error
    }
}

impl From<ReadError> for Taken {
    fn from(error: ReadError) -> Taken {
        Taken::Failed(error)
    }
}

impl Sources {
    async fn begin(&self) -> Result<State, ReadError> {
        let log_read = Instant::now();
        let log = Log::read(&self.lake).await?;
        let types = signal_types(&self.lake, &self.kinds).await?;
        self.lists.restart(log.done);
        Ok(State {
            log,
            log_read,
            types,
            hot: Hot::default(),
            put_off: Vec::new(),
            view: Arc::default(),
            raw: RawObjects::default(),
            fresh_until: None,
            full_at: None,
        })
    }

    fn snapshot(&self, state: &State) -> Snapshot {
        let (kinds, lists) = (self.kinds.clone(), self.lists.clone());
        Snapshot::new(
            state.log.done,
            state.fresh_until,
            kinds,
            state.view.clone(),
            lists,
        )
    }

    /// Takes the commits that were done since: their objects are hot no more, and their parts count. Whether there was
    /// one.
    async fn take_commits(&self, state: &mut State) -> Result<bool, Taken> {
        let done = match state.log.done_since(&self.lake).await {
            Err(error @ ReadError::Missing(_)) => return Err(Taken::LogBroken(error)),
            done => done?,
        };
        let Some(last) = done.last().map(|commit| commit.intent.commit) else {
            return Ok(false);
        };
        let mut types = signal_types(&self.lake, &self.kinds).await?;
        for commit in &done {
            self.lists
                .advance(commit.intent.commit, commit.hours.as_ref());
        }
        let left = Left::of(&state.put_off, &done);
        let touched = state.hot.hours().filter(|at| self.touch(&done, *at));
        let asked = touched.filter_map(|at| {
            let ids = state.hot.ids(at, |key| left.is_gone(&self.kinds, key, at));
            (!ids.is_empty()).then(|| (at, IdHashes::of(ids.into_iter())))
        });
        let asked: BTreeMap<KindHour, IdHashes> = compute(|| asked.collect());
        let met = self.meet(&asked, state.log.done + 1..=last).await?;
        compute(|| {
            for key in left.inputs() {
                let gone = |at| left.is_gone(&self.kinds, key, at);
                state.hot.remove(key, gone);
                state.raw.remove(key);
            }
            for (at, parts) in &met {
                state
                    .hot
                    .hide(*at, |hash| parts.iter().any(|part| part.has(hash)));
            }
            for (kind, types) in types.iter_mut().enumerate() {
                state.hot.rename(&self.kinds, kind, types)?;
            }
            state.view = Arc::new(state.hot.view()?);
            Ok(())
        })
        .map_err(|error| not_rows("hot rows", error))?;
        state.types = types;
        for (key, bytes) in left.waiting() {
            if !state.hot.has(key) {
                state.raw.expect(key, bytes);
            }
        }
        state.put_off = left.into_put_off();
        for commit in &done {
            state.log.advance(&commit.intent);
        }
        let named = self.clock.now() - self.settings.look_back - NAMED;
        state
            .log
            .committed
            .take_before(&Hour::of(named).to_string());
        Ok(true)
    }

    fn touch(&self, commits: &[DoneCommit], at: KindHour) -> bool {
        let mut commits = commits.iter();
        commits.any(|commit| has_written(&self.kinds, commit.hours.as_ref(), at))
    }

    /// Lists `raw/`, and takes in the objects that are new, as many as there is room for. Gives them as arrivals where
    /// somebody `follows`.
    async fn take_objects(
        &self,
        state: &mut State,
        follows: bool,
    ) -> Result<(Refreshed, Vec<Arrival>), ReadError> {
        let settings = &self.settings;
        let known = (&state.log, &state.hot);
        let now = self.clock.now();
        let looked = state.raw.look(&self.lake, known, settings, now).await?;
        let held = state.hot.bytes();
        let room = if state.full_at == Some(held) {
            0
        } else {
            settings.hot_limit.saturating_sub(held)
        };
        let mut next = state.raw.next(room, settings.max_bytes);
        let reads = next
            .iter()
            .map(async |object| self.lake.get(&object.key).await);
        let reads: Vec<_> = reads.collect();
        let mut reads = stream::iter(reads)
            .buffered(settings.in_flight.max(1))
            .enumerate();
        let (mut objects, mut bytes, mut taken) = (Vec::new(), 0, 0);
        while let Some((at, read)) = reads.next().await {
            let key = &next[at].key;
            // One that was deleted since it was listed has no rows.
            if let Some(object) = read? {
                let rows = || rows_of(&self.kinds, &mut state.types, key, &object.body);
                let rows: ObjectRows = compute(rows).map_err(|error| not_rows(key, error))?;
                bytes += rows.bytes() as u64;
                if bytes > room {
                    break;
                }
                objects.push(rows);
            }
            taken = at + 1;
        }
        drop(reads);
        next.truncate(taken);
        let is_full = next.is_empty() && state.raw.len() > 0;
        state.full_at = is_full.then_some(held);
        let asked = compute(|| ids_of(&objects));
        let met = self.meet(&asked, 0..=state.log.done).await?;
        let arrived = if follows {
            let seen = |object| Arrival::of(object, &self.kinds, now);
            objects.iter().map(seen).collect()
        } else {
            Vec::new()
        };
        compute(|| {
            for object in objects {
                state.hot.add(object, |at, hash| {
                    let parts = met.get(&at).into_iter().flatten();
                    parts.into_iter().any(|part| part.has(hash))
                });
            }
            for object in &next {
                state.raw.remove(&object.key);
            }
            if !next.is_empty() {
                state.view = Arc::new(state.hot.view()?);
            }
            Ok(())
        })
        .map_err(|error| not_rows("hot rows", error))?;
        let is_complete = state.raw.len() == 0 && looked.is_some();
        if is_complete {
            state.fresh_until = state.fresh_until.max(Some(now));
        }
        let refreshed = Refreshed {
            is_complete,
            is_full,
            listed_after: looked.and_then(|looked| looked.after),
        };
        Ok((refreshed, arrived))
    }

    /// The parts of these commits that may hold some of the ids of their hours.
    async fn meet(
        &self,
        asked: &BTreeMap<KindHour, IdHashes>,
        commits: RangeInclusive<u64>,
    ) -> Result<Met, ReadError> {
        let mut reads = Vec::new();
        for (kind, declared) in self.kinds.iter().enumerate() {
            let hours = asked.keys().filter(|(of, _)| *of == kind);
            for run in runs(hours.map(|(_, hour)| *hour)) {
                let listed = self.lists.between(&declared.name, run, *commits.end());
                for (hour, parts) in listed.await? {
                    let Some(ids) = asked.get(&(kind, hour)) else {
                        continue;
                    };
                    let number = |part: &Part| commit_of(&part.key);
                    let is_asked = |part: &Part| number(part).is_some_and(|n| commits.contains(&n));
                    let parts = parts.into_iter().filter(is_asked);
                    reads.extend(parts.map(|part| (kind, &declared.name, hour, part, ids)));
                }
            }
        }
        let reads = reads
            .into_iter()
            .map(async |(kind, name, hour, part, ids)| {
                let met = self.ids.meet(&part, ids).await;
                if let Err(ReadError::Missing(_)) = met {
                    // A rebuild has replaced the part.
                    self.lists.forget(name, hour);
                }
                Ok::<_, ReadError>(((kind, hour), met?))
            });
        let reads: Vec<_> = reads.collect();
        let mut reads = stream::iter(reads).buffered(PARTS_AT_ONCE);
        let mut met = Met::new();
        while let Some((at, hashes)) = reads.try_next().await? {
            met.entry(at).or_default().extend(hashes);
        }
        Ok(met)
    }
}

impl State {
    fn sizes(&self, is_full: bool) -> Sizes {
        Sizes {
            commit: self.log.done,
            hot_bytes: self.hot.bytes(),
            hot_rows: self.hot.rows(),
            hot_objects: self.hot.objects(),
            waiting: self.raw.len(),
            is_full,
        }
    }
}

/// Ascending hours as runs without a gap of a day: an event that is a year late must not list a year.
fn runs(hours: impl Iterator<Item = Hour>) -> Vec<Span> {
    let mut runs: Vec<Span> = Vec::new();
    for hour in hours {
        match runs.last_mut() {
            Some(run) if hour.start() - run.1.start() <= TimeDelta::days(1) => run.1 = hour,
            _ => runs.push((hour, hour)),
        }
    }
    runs
}

fn not_rows(what: &str, error: ArrowError) -> ReadError {
    ReadError::Content(format!("`{what}` as rows"), error.into())
}
