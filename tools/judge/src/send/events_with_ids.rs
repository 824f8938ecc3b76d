//! Simulated events, each with an id of its own.

use std::sync::Arc;

use chrono::Utc;
use contract::Kinds;
use simulator::{Class, Generator};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// A generator's events, each with an id of its own: sound events that have none get one in the
/// form of a UUID v4, drawn from the seed and the event's text, so that a repeated event has the
/// same id each time.
#[derive(Debug)]
pub struct EventsWithIds {
    generator: Generator,
    kinds: Arc<Kinds>,
    seed: u64,
}

impl EventsWithIds {
    /// The events of that generator.
    pub fn new(generator: Generator, kinds: Arc<Kinds>, seed: u64) -> EventsWithIds {
        EventsWithIds {
            generator,
            kinds,
            seed,
        }
    }
}

impl Iterator for EventsWithIds {
    type Item = (String, Class);

    fn next(&mut self) -> Option<(String, Class)> {
        let sent = self.generator.next()?;
        let event = contract::parse_sent(&self.kinds, None, &sent.body, Utc::now());
        let lacks_id = event.is_ok_and(|event| event.event_id.is_none());
        let body = match sent.body.strip_prefix('{').filter(|_| lacks_id) {
            Some(rest) => {
                let random = xxh3_128_with_seed(sent.body.as_bytes(), self.seed);
                let id = uuid::Builder::from_random_bytes(random.to_le_bytes()).into_uuid();
                with_id(rest, id)
            }
            None => sent.body,
        };
        Some((body, sent.class))
    }
}

fn with_id(rest: &str, id: Uuid) -> String {
    format!("{{\"event_id\":\"{id}\",{rest}")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use simulator::Plan;

    use super::*;

    #[test]
    fn every_sound_event_has_an_id_and_repeats_have_the_same_one() {
        let kinds = Arc::new(Kinds::builtin());
        let plan = Plan {
            count: Some(3_000),
            seed: 5,
            duplicates: 0.1,
            late: 0.05,
            broken: 0.1,
            ..Plan::default()
        }
        .spread_before(Utc::now(), Duration::from_secs(3_600));
        let events = || {
            EventsWithIds::new(Generator::new(&plan).unwrap(), kinds.clone(), 5).collect::<Vec<_>>()
        };
        let mut ids: HashMap<String, String> = HashMap::new();
        let mut repeats = 0;
        for (body, class) in events() {
            let event = contract::parse_sent(&kinds, None, &body, Utc::now());
            if !class.is_sound() {
                assert!(event.is_err(), "{body}");
                continue;
            }
            let id = event.unwrap().event_id.unwrap().into_owned();
            if let Some(before) = ids.insert(id, body.clone()) {
                assert_eq!((class, before), (Class::Duplicate, body));
                repeats += 1;
            } else {
                assert_ne!(class, Class::Duplicate);
            }
        }
        assert!(repeats > 200, "{repeats}");
        assert_eq!(events(), events());
    }
}
