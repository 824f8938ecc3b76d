//! The events that have come, within bounds.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash, Hasher};

use chrono::{DateTime, Utc};
use contract::{Event, Hour, Scalar};
use foldhash::quality::RandomState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

/// 96 bits of hash of kind, hour and id: among four million events two that are not the same have equal ones with a
/// probability of 10^-16.
type EventHash = [u32; 3];

/// What is known of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    /// It has not come before.
    New,
    /// It has come before, with the same content.
    Duplicate,
    /// Another event of its kind, hour and id has come before.
    Conflict,
}

/// Hashes of the events that have come. The keys of the hashes are random: senders choose ids, and must not be able
/// to choose which of them collide.
#[derive(Debug)]
pub(super) struct SeenEvents {
    hashers: [RandomState; 2],
    /// The hash of the content, by the event's hash.
    contents: HashMap<EventHash, u32, RandomState>,
    /// In the order in which they came.
    order: VecDeque<EventHash>,
    /// Arrival of each object, and how many of `order` are its own.
    objects: VecDeque<(DateTime<Utc>, usize)>,
    most: usize,
}

impl SeenEvents {
    pub(super) fn new(most: usize) -> SeenEvents {
        SeenEvents {
            hashers: Default::default(),
            contents: HashMap::default(),
            order: VecDeque::new(),
            objects: VecDeque::new(),
            most: most.max(1),
        }
    }

    /// The events that follow are of an object that arrived at `latest`, or before.
    pub(super) fn begin_object(&mut self, latest: DateTime<Utc>) {
        self.objects.push_back((latest, 0));
    }

    /// Looks the event up, and remembers it if it is new. Adds to `forgotten` the events that it displaces.
    pub(super) fn meet(&mut self, event: &Event<'_>, forgotten: &mut u64) -> Met {
        let hash = self.hash(event);
        let content = self.content(event);
        match self.contents.entry(hash) {
            Entry::Occupied(there) if *there.get() == content => return Met::Duplicate,
            Entry::Occupied(_) => return Met::Conflict,
            Entry::Vacant(free) => free.insert(content),
        };
        self.order.push_back(hash);
        if let Some((_, events)) = self.objects.back_mut() {
            *events += 1;
        }
        if self.order.len() > self.most {
            self.forget_first();
            *forgotten += 1;
        }
        Met::New
    }

    /// Forgets the events of the first objects, as long as these arrived before `time`.
    pub(super) fn forget_before(&mut self, time: DateTime<Utc>) {
        while let Some((latest, events)) = self.objects.front().copied()
            && latest < time
        {
            self.objects.pop_front();
            for hash in self.order.drain(..events) {
                self.contents.remove(&hash);
            }
        }
    }

    fn forget_first(&mut self) {
        while self.objects.front().is_some_and(|(_, events)| *events == 0) {
            self.objects.pop_front();
        }
        if let Some((_, events)) = self.objects.front_mut() {
            *events -= 1;
        }
        if let Some(first) = self.order.pop_front() {
            self.contents.remove(&first);
        }
    }

    fn hash(&self, event: &Event<'_>) -> EventHash {
        let id = event.event_id.as_deref().unwrap_or_default();
        let event = (event.kind.name.as_str(), Hour::of(event.time), id);
        let [one, two] = [0, 1].map(|at| self.hashers[at].hash_one(event));
        [one as u32, (one >> 32) as u32, two as u32]
    }

    /// What the event says, in whatever order its signals stand; without the time of its receipt.
    fn content(&self, event: &Event<'_>) -> u32 {
        let one = |name: &dyn Fn(&mut dyn Hasher), value: &Scalar<'_>| {
            let mut hasher = self.hashers[0].build_hasher();
            name(&mut hasher);
            match value {
                Scalar::Bool(value) => value.hash(&mut hasher),
                // 0 and -0 are equal.
                Scalar::Number(value) => (value + 0.0).to_bits().hash(&mut hasher),
                Scalar::Text(value) => value.hash(&mut hasher),
            }
            hasher.finish()
        };
        let (seconds, nanos) = (event.time.timestamp(), event.time.timestamp_subsec_nanos());
        let mut sum = self.hashers[0].hash_one((&*event.entity, seconds, nanos));
        for (field, value) in &event.fields {
            let value = one(&|hasher| hasher.write_usize(*field), value);
            sum = sum.wrapping_add(value);
        }
        for (name, value) in &event.signals {
            let value = one(&|hasher| write_lower_case(name, hasher), value);
            sum = sum.wrapping_add(value);
        }
        (sum ^ (sum >> 32)) as u32
    }
}

/// Signals' names are the same when case is ignored.
fn write_lower_case(name: &str, hasher: &mut dyn Hasher) {
    for byte in name.bytes() {
        hasher.write_u8(byte.to_ascii_lowercase());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{Kinds, parse_line};

    fn line(id: &str, payload: &str) -> String {
        format!(
            r#"{{"kind":"vehicle","event_id":"{id}","ingest_received_at":"2025-10-04T12:34:57.000Z","timestamp":"2025-10-04T12:34:56Z","vehicle_id":"v","can_id":"0x1","payload":{payload}}}"#
        )
    }

    fn meet(seen: &mut SeenEvents, line: &str) -> (Met, u64) {
        let kinds = Kinds::builtin();
        let mut forgotten = 0;
        let met = seen.meet(&parse_line(&kinds, line).unwrap(), &mut forgotten);
        (met, forgotten)
    }

    #[test]
    fn an_event_is_known_by_its_content_however_its_line_is_spelled() {
        let mut seen = SeenEvents::new(100);
        let first = line("a", r#"{"x":1,"y":-0.0}"#);
        assert_eq!(meet(&mut seen, &first).0, Met::New);
        let again = line("a", r#"{"Y":0,"X":1.0}"#).replace("57.000", "59.000");
        assert_eq!(meet(&mut seen, &again).0, Met::Duplicate);
        for other in [
            line("a", r#"{"x":1}"#),
            line("a", r#"{"x":1,"y":"0"}"#),
            line("a", r#"{"x":0,"y":1}"#),
            first.replace("34:56Z", "34:56.000000001Z"),
            first.replace("\"v\"", "\"w\""),
            first.replace("0x1", "0x2"),
        ] {
            assert_eq!(meet(&mut seen, &other).0, Met::Conflict, "{other}");
        }
        let other_hour = first.replace("T12:34:56Z", "T11:34:56Z");
        assert_eq!(meet(&mut seen, &other_hour).0, Met::New);
    }

    #[test]
    fn the_events_that_came_first_are_forgotten_past_the_bound() {
        let mut seen = SeenEvents::new(2);
        let time = DateTime::UNIX_EPOCH;
        let mut came = |id: &str| {
            seen.begin_object(time);
            meet(&mut seen, &line(id, r#"{"x":1}"#))
        };
        assert_eq!((came("a"), came("b")), ((Met::New, 0), (Met::New, 0)));
        assert_eq!(came("a"), (Met::Duplicate, 0));
        assert_eq!(came("c"), (Met::New, 1));
        assert_eq!(came("b"), (Met::Duplicate, 0));
        assert_eq!(came("a"), (Met::New, 1));
        assert_eq!((seen.contents.len(), seen.order.len()), (2, 2));
    }

    #[test]
    fn the_events_of_old_objects_are_forgotten() {
        let mut seen = SeenEvents::new(100);
        let time = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        for (at, ids) in [(10, ["a", "b"]), (5, ["c", "d"]), (20, ["e", "a"])] {
            seen.begin_object(time(at));
            for id in ids {
                meet(&mut seen, &line(id, r#"{"x":1}"#));
            }
        }
        // The object of second 5 came after that of second 10.
        seen.forget_before(time(10));
        assert_eq!(seen.order.len(), 5);
        seen.forget_before(time(11));
        assert_eq!((seen.order.len(), seen.contents.len()), (1, 1));
        assert_eq!(meet(&mut seen, &line("e", r#"{"x":1}"#)).0, Met::Duplicate);
        assert_eq!(meet(&mut seen, &line("a", r#"{"x":1}"#)).0, Met::New);
    }
}
