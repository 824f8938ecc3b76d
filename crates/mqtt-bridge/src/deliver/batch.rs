//! Which events make a post. Decided without a clock: the caller says what time it is.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// When a batch is closed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Most events of a batch.
    pub(crate) events: usize,
    /// Most bytes of a batch; one event alone may have more.
    pub(crate) bytes: usize,
    /// Longest time from the first event to the post.
    pub(crate) linger: Duration,
}

impl Bounds {
    /// How long nothing may come before a batch is posted. A broker that has as many messages under way as it may
    /// waits for acknowledgements: the batch gains nothing by waiting too.
    fn quiet(&self) -> Duration {
        self.linger / 10
    }
}

/// Gathers events by the place of their kind.
#[derive(Debug)]
pub(crate) struct Batches<T> {
    bounds: Bounds,
    open: BTreeMap<usize, Open<T>>,
}

#[derive(Debug)]
struct Open<T> {
    events: Vec<T>,
    bytes: usize,
    first: Instant,
    last: Instant,
}

impl<T: AsRef<str>> Batches<T> {
    pub(crate) fn new(bounds: Bounds) -> Batches<T> {
        Batches {
            bounds,
            open: BTreeMap::new(),
        }
    }

    /// Takes an event, and gives the batch that it closes: the one it fills, or the one that it does not fit.
    pub(crate) fn add(&mut self, kind: usize, event: T, now: Instant) -> Option<Vec<T>> {
        let bytes = event.as_ref().len() + 1;
        let is_too_long = |open: &Open<T>| open.bytes + bytes > self.bounds.bytes;
        let before = if self.open.get(&kind).is_some_and(is_too_long) {
            self.take(kind).map(|(_, events)| events)
        } else {
            None
        };
        let open = self.open.entry(kind).or_insert_with(|| Open {
            events: Vec::new(),
            bytes: 0,
            first: now,
            last: now,
        });
        open.events.push(event);
        open.bytes += bytes;
        open.last = now;
        if before.is_none() && open.events.len() >= self.bounds.events {
            return self.take(kind).map(|(_, events)| events);
        }
        before
    }

    /// When the next batch is due; `None` if none is open.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.open.values().map(|open| self.due_of(open)).min()
    }

    /// A batch that is due now.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<(usize, Vec<T>)> {
        let due = self.open.iter().find(|(_, open)| self.due_of(open) <= now);
        let kind = *due?.0;
        self.take(kind)
    }

    /// Any batch, for the end.
    pub(crate) fn take_any(&mut self) -> Option<(usize, Vec<T>)> {
        let kind = *self.open.keys().next()?;
        self.take(kind)
    }

    fn take(&mut self, kind: usize) -> Option<(usize, Vec<T>)> {
        self.open.remove(&kind).map(|open| (kind, open.events))
    }

    fn due_of(&self, open: &Open<T>) -> Instant {
        (open.first + self.bounds.linger).min(open.last + self.bounds.quiet())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn batches() -> Batches<&'static str> {
        Batches::new(Bounds {
            events: 3,
            bytes: 20,
            linger: 50 * MS,
        })
    }

    #[test]
    fn a_batch_is_closed_by_its_events_or_its_bytes() {
        let (mut batches, now) = (batches(), Instant::now());
        assert_eq!(batches.add(0, "a", now), None);
        assert_eq!(batches.add(1, "b", now), None);
        assert_eq!(batches.add(0, "c", now), None);
        assert_eq!(batches.add(0, "d", now), Some(vec!["a", "c", "d"]));
        assert_eq!(batches.add(1, "a text of 18 bytes", now), Some(vec!["b"]));
        assert_eq!(
            batches
                .add(1, "a text of more than 20 bytes", now)
                .map(|batch| batch.len()),
            Some(1)
        );
        assert_eq!(
            batches.take_any(),
            Some((1, vec!["a text of more than 20 bytes"]))
        );
        assert_eq!(batches.take_any(), None);
    }

    #[test]
    fn a_batch_is_due_once_nothing_comes_and_after_its_linger_at_the_latest() {
        let (mut batches, start) = (batches(), Instant::now());
        assert_eq!(batches.due(), None);
        batches.add(0, "a", start);
        assert_eq!(batches.due(), Some(start + 5 * MS));
        batches.add(0, "b", start + 4 * MS);
        assert_eq!(batches.due(), Some(start + 9 * MS));
        assert_eq!(batches.take_due(start + 8 * MS), None);
        assert_eq!(batches.take_due(start + 9 * MS), Some((0, vec!["a", "b"])));
        batches.add(0, "c", start);
        batches.add(0, "d", start + 48 * MS);
        assert_eq!(batches.due(), Some(start + 50 * MS));
    }
}
