//! The parts of each kind and hour, listed when somebody asks and kept until a commit touches the hour.
//!
//! Parts of commits past a snapshot are left out by their names, so what a listing shows is right for each snapshot
//! whose commits were done before the listing began. What must not happen is that a listing serves a later snapshot
//! too, in whose commits the hour got a part: so a list is kept with the commit that was the last one known when its
//! listing began.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws::{Lake, ObjectInfo};
use chrono::{DateTime, TimeDelta, Utc};
use contract::Hour;
use lake::ReadError;
use lake::key::commit_of;
use lake::log::ByHour;
use lake::parts;
use tokio::time::Instant;

use crate::snapshot::hour_data::Part;

/// Most hours and parts whose lists are kept, some 250 bytes each; past it all are forgotten.
const MAX_KEPT: usize = 200_000;

/// First and last hour.
pub(super) type Span = (Hour, Hour);

/// The lists; all snapshots share them.
#[derive(Debug)]
pub(super) struct PartLists {
    lake: Lake,
    list_again: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The last commit that is known to be done.
    commit: u64,
    /// The last commit that may have touched any hour.
    all_touched: u64,
    kinds: HashMap<String, OfKind>,
    kept: usize,
}

#[derive(Debug, Default)]
struct OfKind {
    hours: HashMap<Hour, OfHour>,
    /// First and last hour, as a listing found them, and the commit as of which.
    listed_span: Option<(u64, Option<Span>)>,
    /// First and last hour of those that commits have touched.
    touched_span: Option<Span>,
}

#[derive(Debug, Default)]
struct OfHour {
    /// The last commit that has touched the hour.
    touched: u64,
    listed: Option<Listed>,
}

#[derive(Debug)]
struct Listed {
    as_of: u64,
    at: Instant,
    parts: Arc<[Part]>,
}

impl PartLists {
    pub(super) fn new(lake: Lake, list_again: Duration) -> PartLists {
        PartLists {
            lake,
            list_again,
            state: Mutex::default(),
        }
    }

    /// The commit is done; `hours` are those that it has touched, if its mark names them. To be called before a
    /// snapshot of the commit is given out.
    pub(super) fn advance(&self, commit: u64, hours: Option<&ByHour>) {
        let mut state = self.state();
        state.commit = commit;
        let Some(hours) = hours else {
            state.all_touched = commit;
            return;
        };
        for (kind, hours) in hours {
            let of_kind = state.kinds.entry(kind.clone()).or_default();
            for hour in hours.keys().filter_map(|hour| Hour::parse(hour)) {
                of_kind.hours.entry(hour).or_default().touched = commit;
                let span = of_kind.touched_span;
                of_kind.touched_span = union(span, Some((hour, hour)));
            }
        }
    }

    /// The log was read anew, up to this commit: nothing that is kept counts.
    pub(super) fn restart(&self, commit: u64) {
        *self.state() = State {
            commit,
            all_touched: commit,
            ..State::default()
        };
    }

    /// Lets the hour be listed again: a part of it is gone.
    pub(super) fn forget(&self, kind: &str, hour: Hour) {
        let mut state = self.state();
        let of_kind = state.kinds.get_mut(kind);
        if let Some(of_hour) = of_kind.and_then(|of_kind| of_kind.hours.get_mut(&hour)) {
            let before = of_hour.listed.take();
            state.kept -= before.map_or(0, |before| 1 + before.parts.len());
        }
    }

    /// The parts of the kind's hours from `first` to `last`, this one included, by commits up to `commit`; hours
    /// without one are left out. At most one request for each thousand parts from the first hour that is not kept to
    /// the last.
    pub(super) async fn between(
        &self,
        kind: &str,
        (first, last): Span,
        commit: u64,
    ) -> Result<BTreeMap<Hour, Vec<Part>>, ReadError> {
        let mut found = BTreeMap::new();
        let mut missing: Option<Span> = None;
        let as_of = {
            let state = self.state();
            let of_kind = state.kinds.get(kind);
            let mut hour = first;
            while hour <= last {
                let of_hour = of_kind.and_then(|of_kind| of_kind.hours.get(&hour));
                match of_hour.and_then(|of_hour| self.usable(of_hour, state.all_touched)) {
                    Some(parts) => insert(&mut found, hour, parts, commit),
                    None => missing = union(missing, Some((hour, hour))),
                }
                hour = hour.next();
            }
            state.commit
        };
        let Some((first, last)) = missing else {
            return Ok(found);
        };
        let mut listed = parts::between(&self.lake, kind, first, last).await?;
        let at = Instant::now();
        let mut state = self.state();
        let mut hour = first;
        while hour <= last {
            let parts = listed.remove(&hour).unwrap_or_default();
            let parts: Arc<[Part]> = parts.into_iter().map(part).collect();
            insert(&mut found, hour, &parts, commit);
            state.keep(kind, hour, Listed { as_of, at, parts });
            hour = hour.next();
        }
        Ok(found)
    }

    fn usable<'h>(&self, hour: &'h OfHour, all_touched: u64) -> Option<&'h Arc<[Part]>> {
        let listed = hour.listed.as_ref()?;
        let is_current = listed.as_of >= hour.touched.max(all_touched);
        (is_current && listed.at.elapsed() < self.list_again).then_some(&listed.parts)
    }

    /// The first and last hour of which the kind has a part; the part may be of a commit that is not done. Nothing is
    /// sent unless this is the first time for the kind; then a listing of one key for each doubling of the span.
    pub(super) async fn span(&self, kind: &str) -> Result<Option<Span>, ReadError> {
        let as_of = {
            let state = self.state();
            let of_kind = state.kinds.get(kind);
            let listed = of_kind.and_then(|of_kind| of_kind.listed_span);
            if let Some((as_of, span)) = listed
                && as_of >= state.all_touched
            {
                return Ok(union(
                    span,
                    of_kind.and_then(|of_kind| of_kind.touched_span),
                ));
            }
            state.commit
        };
        let span = find_span(&self.lake, kind).await?;
        let mut state = self.state();
        let of_kind = state.kinds.entry(kind.to_owned()).or_default();
        of_kind.listed_span = Some((as_of, span));
        Ok(union(span, of_kind.touched_span))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn keep(&mut self, kind: &str, hour: Hour, listed: Listed) {
        if self.kept > MAX_KEPT {
            // Without its hours the state does not know which of them the last commits have touched.
            let (commit, all_touched) = (self.commit, self.commit);
            *self = State {
                commit,
                all_touched,
                ..State::default()
            };
        }
        let of_kind = self.kinds.entry(kind.to_owned()).or_default();
        let of_hour = of_kind.hours.entry(hour).or_default();
        self.kept += 1 + listed.parts.len();
        let before = of_hour.listed.replace(listed);
        self.kept -= before.map_or(0, |before| 1 + before.parts.len());
    }
}

/// Hours from the first to the last one, by halves of what is left, so that as many listings are made as the number of
/// hours has binary digits, twice.
async fn find_span(lake: &Lake, kind: &str) -> Result<Option<Span>, ReadError> {
    let Some(first) = parts::first_after(lake, kind, None).await? else {
        return Ok(None);
    };
    let mut last = first;
    let mut step = 24;
    // `last` has a part, and no hour from `past` on has one.
    let mut past = loop {
        let far = later(last, step);
        match parts::first_after(lake, kind, Some(far)).await? {
            Some(hour) => last = hour,
            None => break far.next(),
        }
        step *= 4;
    };
    while last.next() < past {
        let hours = (past.start() - last.start()).num_hours();
        let middle = later(last, hours / 2 - 1);
        match parts::first_after(lake, kind, Some(middle)).await? {
            Some(hour) => last = hour,
            None => past = middle.next(),
        }
    }
    Ok(Some((first, last)))
}

fn later(hour: Hour, hours: i64) -> Hour {
    let time = hour
        .start()
        .checked_add_signed(TimeDelta::hours(hours.max(0)));
    Hour::of(time.unwrap_or(DateTime::<Utc>::MAX_UTC))
}

pub(super) fn union(one: Option<Span>, two: Option<Span>) -> Option<Span> {
    match (one, two) {
        (Some(one), Some(two)) => Some((one.0.min(two.0), one.1.max(two.1))),
        (one, two) => one.or(two),
    }
}

fn part(object: ObjectInfo) -> Part {
    Part {
        key: object.key,
        etag: object.etag,
        size: object.size,
    }
}

fn insert(found: &mut BTreeMap<Hour, Vec<Part>>, hour: Hour, parts: &[Part], commit: u64) {
    let is_done = |part: &&Part| commit_of(&part.key).is_some_and(|number| number <= commit);
    let parts: Vec<Part> = parts.iter().filter(is_done).cloned().collect();
    if !parts.is_empty() {
        found.insert(hour, parts);
    }
}
