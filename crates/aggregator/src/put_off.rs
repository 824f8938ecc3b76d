//! Hours that a commit puts off. Their lines go to raw objects, which later commits take in as any others: `raw/` has
//! events at least once, and each event is counted once by its id, wherever it stands.
//!
//! One post can have events of 190,000 hours, each of which costs a commit as much as an hour of a whole fleet. The
//! commit writes the newest of them, and all hours that have many events.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Context;
use aws::{Condition, Lake};
use chrono::{DateTime, Utc};
use contract::{Hour, RAW, raw_arrival_of, raw_key, raw_part_name};
use lake::log::{Intent, is_done};
use lake::rows::KindHour;
use uuid::Uuid;

use crate::log::discover::Found;
use crate::planted_defects;
use crate::put::put;
use crate::spill::{HourBlocks, PUT_OFF_BYTES};
use crate::workers::Workers;

/// Bytes of lines that a later commit is given, about.
const COMMIT_BYTES: u64 = 8 * 1024 * 1024;

/// The hours to put off: those that have few lines, without the newest `most` of them.
pub(crate) fn hours_to_put_off(
    hours: &BTreeMap<KindHour, HourBlocks>,
    most: usize,
) -> BTreeSet<KindHour> {
    let few = hours
        .iter()
        .filter(|(_, blocks)| blocks.has_few_lines(PUT_OFF_BYTES));
    let mut few: Vec<KindHour> = few.map(|(at, _)| *at).collect();
    few.sort_unstable_by_key(newest_first);
    few.into_iter().skip(most).collect()
}

fn newest_first((kind, hour): &KindHour) -> Reverse<(Hour, usize)> {
    Reverse((*hour, *kind))
}

/// The hours that one commit puts off.
pub(crate) struct PutOff<'a> {
    pub(crate) lake: &'a Lake,
    pub(crate) workers: &'a Workers,
    /// The commit that puts them off.
    pub(crate) intent: &'a Intent,
    /// Most hours that a later commit is given.
    pub(crate) most: usize,
}

impl PutOff<'_> {
    /// Writes the lines of the hours to raw objects, the newest first. Each list of objects is for one later commit.
    ///
    /// Doing so again, or in another process at the same time, gives the same objects; under other declarations it may
    /// give others, which have the lines once more.
    pub(crate) async fn write(
        &self,
        hours: BTreeMap<KindHour, HourBlocks>,
    ) -> anyhow::Result<Vec<Vec<Found>>> {
        let started = self.intent.started_at;
        let arrivals = self.intent.inputs.iter();
        let arrivals: Arc<[Arrival]> = arrivals.map(|key| arrival(key, started)).collect();
        let mut newest: Vec<_> = hours.into_iter().collect();
        newest.sort_unstable_by_key(|(at, _)| newest_first(at));
        let mut newest = newest.into_iter().map(|(_, blocks)| blocks).peekable();
        let mut commits = Vec::new();
        while newest.peek().is_some() {
            let (mut some, mut bytes) = (Vec::new(), 0);
            while some.len() < self.most
                && bytes < COMMIT_BYTES
                && let Some(blocks) = newest.next()
            {
                bytes += blocks.bytes_of_lines();
                some.push(blocks);
            }
            let (commit, arrivals) = (self.intent.commit, arrivals.clone());
            let objects = move || objects(commit, &some, &arrivals);
            let mut found = Vec::new();
            for (key, body) in self.workers.run(objects).await? {
                // Since another run has written what the commit puts off, an entity may have been forgotten: this run
                // may have read some raw objects before that, and others after it.
                if is_done(self.lake, commit).await? {
                    return Ok(Vec::new());
                }
                let size = body.len() as u64;
                if !planted_defects::lose_put_off() {
                    // One that is there has these lines, or, if an entity was forgotten since, fewer.
                    put(self.lake, &key, body, None, Condition::IfAbsent).await?;
                }
                found.push(Found { key, size });
            }
            commits.push(found);
        }
        Ok(commits)
    }
}

/// Arrival hour and time that the name of a raw object tells.
type Arrival = (Hour, DateTime<Utc>);

/// Keys of other forms tell their hour alone, or nothing.
fn arrival(key: &str, otherwise: DateTime<Utc>) -> Arrival {
    let hour = key.strip_prefix(RAW).and_then(Hour::parse);
    let hour = hour.unwrap_or(Hour::of(otherwise));
    let named = raw_arrival_of(key).filter(|at| Hour::of(*at) == hour);
    (hour, named.unwrap_or(hour.start()))
}

/// Key and lines of an object for each arrival hour of the lines. It is named as if its lines had come a second time in
/// a batch of their own.
fn objects(
    commit: u64,
    hours: &[HourBlocks],
    arrivals: &[Arrival],
) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut by_hour: BTreeMap<Hour, (DateTime<Utc>, Vec<u8>)> = BTreeMap::new();
    for blocks in hours {
        for (span, line) in blocks.lines()? {
            let of_input = arrivals.get(span.input as usize).copied();
            let (hour, at) = of_input.context("a line is of no object of the commit")?;
            let (earliest, body) = by_hour.entry(hour).or_insert((at, Vec::new()));
            *earliest = at.min(*earliest);
            body.extend_from_slice(&line);
            if !line.ends_with(b"\n") {
                body.push(b'\n');
            }
        }
    }
    let objects = by_hour.into_iter().map(|(hour, (earliest, body))| {
        // With the commit: what is put off once more must not get the name of an object that is committed by then.
        let of_commit = Uuid::new_v5(&Uuid::NAMESPACE_OID, &commit.to_be_bytes());
        let hash = Uuid::new_v5(&of_commit, &body).as_u128();
        (raw_key(hour, raw_part_name(earliest, hash)), body)
    });
    Ok(objects.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_arrived_when_its_name_says_or_in_its_hour() {
        let time = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let (at, otherwise) = (
            time("2026-11-20T12:34:56.789Z"),
            time("2026-11-21T01:02:03Z"),
        );
        let hour = Hour::of(at);
        let named = raw_key(hour, raw_part_name(at, 7));
        assert_eq!(arrival(&named, otherwise), (hour, at));
        let elsewhere = raw_key(hour.next(), raw_part_name(at, 7));
        let next = hour.next();
        assert_eq!(arrival(&elsewhere, otherwise), (next, next.start()));
        let by_hand = format!("{RAW}{hour}/by-hand.jsonl");
        assert_eq!(arrival(&by_hand, otherwise), (hour, hour.start()));
        let at_night = Hour::of(otherwise);
        assert_eq!(
            arrival("raw/x.jsonl", otherwise),
            (at_night, at_night.start())
        );
    }
}
