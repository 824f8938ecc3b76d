//! The events of one new object.

use std::ops::Range;

use aws::ObjectInfo;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use contract::{Event, Kinds};

use crate::rows::MAX_LINE_BYTES;
use crate::rows::lines::{lines, read_line};
use crate::tail::seen::{Met, SeenEvents};
use crate::tail::settings::TailCounts;

/// An object of `raw/` that has not been given before.
pub struct NewObject<'o> {
    /// Its key, size and ETag, as listed.
    pub info: &'o ObjectInfo,
    /// The earliest receipt of its events; None if the name does not tell it, as before parts were named by arrival.
    pub arrival: Option<DateTime<Utc>>,
    /// Its lines, to be kept by whoever wants to read them again.
    pub body: &'o Bytes,
    /// Its events that have not come before, in the order of its lines. What is not taken counts as taken.
    pub events: NewEvents<'o>,
}

/// Gives the events of an object that have not come before, each with the range of its line in the body. Lines that
/// are no events are counted, and left out.
pub struct NewEvents<'o> {
    lines: Box<dyn Iterator<Item = Range<usize>> + Send + 'o>,
    body: &'o [u8],
    kinds: &'o Kinds,
    seen: &'o mut SeenEvents,
    counts: &'o mut TailCounts,
}

impl<'o> NewEvents<'o> {
    pub(super) fn new(
        body: &'o [u8],
        kinds: &'o Kinds,
        seen: &'o mut SeenEvents,
        counts: &'o mut TailCounts,
    ) -> NewEvents<'o> {
        NewEvents {
            lines: Box::new(lines(body)),
            body,
            kinds,
            seen,
            counts,
        }
    }
}

impl<'o> Iterator for NewEvents<'o> {
    type Item = (Range<usize>, Event<'o>);

    fn next(&mut self) -> Option<Self::Item> {
        for line in self.lines.by_ref() {
            let text = &self.body[line.clone()];
            let read = (text.len() <= MAX_LINE_BYTES).then(|| read_line(self.kinds, text));
            let Some(Ok(event)) = read else {
                self.counts.refused += 1;
                continue;
            };
            match self.seen.meet(&event, &mut self.counts.forgotten_ids) {
                Met::New => {
                    self.counts.events += 1;
                    return Some((line, event));
                }
                Met::Duplicate => self.counts.duplicates += 1,
                Met::Conflict => self.counts.conflicts += 1,
            }
        }
        None
    }
}

impl Drop for NewEvents<'_> {
    /// Takes the rest, so that it does not come again as new.
    fn drop(&mut self) {
        self.for_each(drop);
    }
}
