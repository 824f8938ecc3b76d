//! Follows `raw/`: what to list, what is new, and what can be forgotten.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws::{CallError, Clock, Fetched, Lake, ObjectInfo};
use chrono::{DateTime, TimeDelta, Utc};
use contract::{Hour, Kinds, RAW};
use futures::{StreamExt, stream};

use crate::tail::events::{NewEvents, NewObject};
use crate::tail::position::{Arrival, before, before_hour};
use crate::tail::seen::SeenEvents;
use crate::tail::settings::{TailCounts, TailSettings};

/// Keys that are listed at a time.
const PAGE: usize = 1_000;

/// Follows the objects of `raw/` that arrive from a given time on.
///
/// Each object is given once. Objects of one poll come in the order of their keys, which is the order of arrival for
/// parts that are named by it; an object that landed late comes in a later poll than younger ones. Of events with the
/// same kind, event hour and id the first one that comes is given. This holds as far back as [`TailSettings`] let the
/// tail look and remember, and in memory alone: after a restart a new tail gives again what lies after its `from`.
///
/// Keys without an hour, and those that do not end in `.jsonl`, are no objects of events.
#[derive(Debug)]
pub struct Tail {
    lake: Lake,
    kinds: Arc<Kinds>,
    clock: Clock,
    settings: TailSettings,
    from: DateTime<Utc>,
    /// Objects that landed at this time or later are given as well, whatever their names; None: no others.
    landed_from: Option<DateTime<Utc>>,
    /// Where the next poll goes on if the last one did not reach the end; at first the hour of `from`.
    resume: Option<String>,
    /// The tail lists nothing up to this place, and has forgotten the keys before it.
    floor: String,
    /// The latest arrival of the objects given so far, as their names tell.
    newest: Option<DateTime<Utc>>,
    /// When the last poll began that was a sweep and came to the end; None before the first one.
    swept: Option<DateTime<Utc>>,
    /// When the tail was made.
    made: DateTime<Utc>,
    /// Keys, without `raw/`, of objects that were given, from `floor` on.
    given: BTreeSet<Box<str>>,
    seen: SeenEvents,
    counts: TailCounts,
}

/// How far a tail has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TailProgress {
    /// Objects that this poll gave.
    pub objects: usize,
    /// Whether the poll listed to the end of `raw/`. If not, there is more, and the next poll should follow at once.
    pub reached_end: bool,
    /// The latest arrival that a name of an object given so far tells; None before the first one.
    pub newest: Option<DateTime<Utc>>,
    /// When the poll began.
    pub now: DateTime<Utc>,
}

impl TailProgress {
    /// Age of the newest name, 0 at least. While nothing arrives it grows, also where the tail has reached the end.
    pub fn lag(&self) -> Option<TimeDelta> {
        Some((self.now - self.newest?).max(TimeDelta::zero()))
    }
}

impl Tail {
    /// A tail that gives the objects that arrived at `from` or later. Sends nothing.
    ///
    /// A part is named by the *earliest* receipt of its events: who wants all events received since a time asks for
    /// parts from some seconds before it, the longest that a consumer lets a batch wait. A part whose name tells only
    /// the hour is given if it lies in the hour of `from` or later.
    pub fn new(
        lake: Lake,
        kinds: Arc<Kinds>,
        clock: Clock,
        settings: TailSettings,
        from: DateTime<Utc>,
    ) -> Tail {
        Tail {
            lake,
            kinds,
            made: clock.now(),
            clock,
            from,
            landed_from: None,
            resume: Some(before_hour(from)),
            floor: before_hour(from),
            newest: None,
            swept: None,
            given: BTreeSet::new(),
            seen: SeenEvents::new(settings.max_ids),
            counts: TailCounts::default(),
            settings,
        }
    }

    /// The same tail, which also gives the objects that landed at `time` or later, whatever the times in their names: a
    /// part with an event that waited for an hour has a name of an hour ago, and may hold events of now. The first
    /// listing then begins as far before `time` as [`TailSettings::sweep`] says.
    pub fn and_landed_from(mut self, time: DateTime<Utc>) -> Tail {
        let start = before_hour(earlier(time, self.settings.sweep).min(self.from));
        (self.resume, self.floor) = (Some(start.clone()), start);
        self.landed_from = Some(time);
        self
    }

    /// Lists once, reads the objects that are new, and gives each to `take`. A backlog comes in steps, the oldest
    /// objects first: see [`TailSettings::max_bytes`].
    ///
    /// An object that was given counts as given, also if the poll then fails or is dropped; what it did not come to is
    /// given by the next one.
    ///
    /// # Errors
    ///
    /// [`CallError`] of a listing or read.
    pub async fn poll(
        &mut self,
        mut take: impl FnMut(NewObject<'_>),
    ) -> Result<TailProgress, CallError> {
        let now = self.clock.now();
        let sweeps = self.resume.is_none() && self.is_sweep_due(now);
        let start = match &self.resume {
            Some(place) => place.clone(),
            None if sweeps => self.sweep_start(now),
            None => self.usual_start(now),
        };
        let (new, rest) = self.list(start.max(self.floor.clone())).await?;
        let mut objects = 0;
        let reads = new.into_iter().map(|(info, arrival)| {
            let (lake, most) = (self.lake.clone(), self.settings.max_object_bytes);
            async move {
                let read = lake.get_within(&info.key, most).await;
                (info, arrival, read)
            }
        });
        let reads: Vec<_> = reads.collect();
        let mut reads = stream::iter(reads).buffered(self.settings.in_flight.max(1));
        while let Some((info, arrival, read)) = reads.next().await {
            match read? {
                Some(Fetched::Whole(object)) => {
                    self.seen.begin_object(arrival.latest());
                    self.counts.objects += 1;
                    objects += 1;
                    take(NewObject {
                        info: &info,
                        arrival: match arrival {
                            Arrival::At(time) => Some(time),
                            Arrival::In(_) => None,
                        },
                        body: &object.body,
                        events: NewEvents::new(
                            &object.body,
                            &self.kinds,
                            &mut self.seen,
                            &mut self.counts,
                        ),
                    });
                }
                Some(Fetched::TooLarge { size }) => {
                    self.counts.too_large += 1;
                    tracing::warn!(
                        event = "object_too_large",
                        object.key = %info.key,
                        size,
                        "the tail passes over `{}`, which has {size} bytes: it reads {} at most",
                        info.key,
                        self.settings.max_object_bytes
                    );
                }
                None => self.counts.vanished += 1,
            }
            let name = info.key.strip_prefix(RAW).unwrap_or(&info.key);
            self.given.insert(name.into());
            self.newest = self.newest.max(Some(arrival.earliest()));
        }
        self.resume = rest;
        if sweeps && self.resume.is_none() {
            self.swept = Some(now);
        }
        self.forget(now);
        Ok(TailProgress {
            objects,
            reached_end: self.resume.is_none(),
            newest: self.newest,
            now,
        })
    }

    /// What the tail has met since it was made.
    pub fn counts(&self) -> TailCounts {
        self.counts
    }

    /// The new objects after `start` until the bounds of a poll are reached, and the place to go on from if they were
    /// reached before the end.
    async fn list(
        &self,
        mut start: String,
    ) -> Result<(Vec<(ObjectInfo, Arrival)>, Option<String>), CallError> {
        let (mut new, mut bytes) = (Vec::new(), 0);
        loop {
            let (page, more) = self.lake.list_some(RAW, Some(&start), PAGE).await?;
            for object in page {
                let key = object.key.clone();
                if let Some(arrival) = self.arrival_if_new(&object) {
                    let size = object.size;
                    let full = new.len() >= self.settings.max_objects.max(1);
                    if !new.is_empty() && (full || bytes + size > self.settings.max_bytes) {
                        return Ok((new, Some(start)));
                    }
                    bytes += size;
                    new.push((object, arrival));
                }
                start = key;
            }
            if !more {
                return Ok((new, None));
            }
        }
    }

    fn arrival_if_new(&self, object: &ObjectInfo) -> Option<Arrival> {
        let key = object.key.as_str();
        let arrival = Arrival::of(key)?;
        let has_landed_since = || {
            let landed = object.last_modified.zip(self.landed_from);
            landed.is_some_and(|(landed, from)| landed >= from)
        };
        let is_asked_for = match arrival {
            Arrival::At(time) => time >= self.from || has_landed_since(),
            Arrival::In(hour) => hour >= Hour::of(self.from) || has_landed_since(),
        };
        let is_new = || !self.given.contains(key.strip_prefix(RAW).unwrap_or(key));
        (is_asked_for && is_new()).then_some(arrival)
    }

    fn is_sweep_due(&self, now: DateTime<Utc>) -> bool {
        // A clock that was set back must not put the next sweep off.
        let is_recent = |at| now >= at && now - at < self.settings.sweep_every;
        !self.swept.is_some_and(is_recent)
    }

    /// A name from the future, by a clock that is wrong, does not move the start past now.
    fn usual_start(&self, now: DateTime<Utc>) -> String {
        let newest = self.newest.unwrap_or(self.from).min(now);
        before(earlier(newest, self.settings.overlap))
    }

    /// Counted back from the last sweep rather than from now: parts that have landed since, and that would have been
    /// found by sweeps in time, are found also if the tail could not list for hours.
    fn sweep_start(&self, now: DateTime<Utc>) -> String {
        let last = self.swept.unwrap_or(self.made).min(now);
        before_hour(earlier(last, self.settings.sweep)).min(self.usual_start(now))
    }

    /// Forgets what no listing will show again, and what is past the bounds.
    fn forget(&mut self, now: DateTime<Utc>) {
        let floor = self.sweep_start(now);
        if floor > self.floor {
            self.floor = floor;
            let name = self.floor.strip_prefix(RAW).unwrap_or_default();
            self.given = self.given.split_off(name);
        }
        while self.given.len() > self.settings.max_keys.max(1)
            && let Some(first) = self.given.pop_first()
        {
            self.floor = format!("{RAW}{first}");
            self.counts.forgotten_keys += 1;
        }
        let newest = self.newest.unwrap_or(self.from).min(now);
        self.seen
            .forget_before(earlier(newest, self.settings.remember));
    }
}

/// The time before `time` by `span`, as far back as times go.
fn earlier(time: DateTime<Utc>, span: TimeDelta) -> DateTime<Utc> {
    time.checked_sub_signed(span)
        .unwrap_or(DateTime::<Utc>::MIN_UTC)
}
