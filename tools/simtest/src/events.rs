//! Events as vehicles, cells and hosts send them, sound ones and odd ones.

use chrono::{DateTime, TimeDelta, Utc};

use contract::MAX_SIGNALS;

use crate::attack::{Attack, ODDITIES};
use crate::chance::Chance;

/// Number of recent events that may be sent again.
const REMEMBERED: usize = 16;

/// One event to send.
#[derive(Debug, Clone)]
pub struct SimulatedEvent {
    /// The event's JSON.
    pub text: String,
    /// Whether ingest must accept the event.
    pub sound: bool,
    /// The event's oddity, if it has one.
    pub oddity: Option<Attack>,
}

/// Makes events.
#[derive(Debug)]
pub struct Events {
    chance: Chance,
    odd: f64,
    sender: &'static str,
    made: u64,
    recent: Vec<SimulatedEvent>,
}

impl Events {
    /// A source of events. `odd` is the share of odd ones, 0 to 1; `sender` is part of their ids.
    pub fn new(chance: Chance, odd: f64, sender: &'static str) -> Events {
        Events {
            chance,
            odd,
            sender,
            made: 0,
            recent: Vec::new(),
        }
    }

    /// The next event, sent at `now`.
    pub fn next(&mut self, now: DateTime<Utc>) -> SimulatedEvent {
        self.made += 1;
        let odd = self.chance.hits(self.odd);
        let oddity = odd.then(|| self.chance.one_of(&ODDITIES));
        if matches!(oddity, Some(Attack::RepeatedEvent | Attack::ConflictingId))
            && let Some(before) = self.earlier()
        {
            let text = match oddity {
                // The value of a signal that every sound event has; that of a sample is its only one.
                Some(Attack::ConflictingId) => {
                    let text = before.text.replacen("\"mark\":", "\"mark\":9", 1);
                    text.replacen("\"value\":", "\"value\":9", 1)
                }
                _ => before.text.clone(),
            };
            return SimulatedEvent {
                text,
                sound: true,
                oddity,
            };
        }
        let back = match oddity {
            // Up to about the age that a kind takes.
            Some(Attack::LateEvent) => {
                let hours = self.chance.one_of(&[3, 3, 399 * 24]);
                self.chance.number(3_600_000..hours * 3_600_000)
            }
            Some(Attack::ReorderedEvent) => self.chance.number(5_000..60_000),
            _ => self.chance.number(0..2_000),
        };
        let time = contract::format_millis(now - TimeDelta::milliseconds(back as i64));
        let text = if self.chance.hits(0.6) {
            self.vehicle(&time, oddity)
        } else if self.chance.hits(0.3) {
            self.sample(&time, oddity)
        } else {
            self.cell(&time, oddity)
        };
        let event = SimulatedEvent {
            sound: oddity != Some(Attack::BrokenEvent),
            // There was nothing yet to repeat.
            oddity: oddity
                .filter(|odd| !matches!(odd, Attack::RepeatedEvent | Attack::ConflictingId)),
            text,
        };
        if event.sound {
            if self.recent.len() == REMEMBERED {
                self.recent.remove(0);
            }
            self.recent.push(event.clone());
        }
        event
    }

    /// A vehicle's event, sent at `now`, with as many undeclared signals as an event may have, whose names no other
    /// event has.
    pub fn with_new_names(&mut self, now: DateTime<Utc>) -> SimulatedEvent {
        self.made += 1;
        let names =
            (0..MAX_SIGNALS).map(|name| format!("\"{}_{}_{name}\":{name}", self.sender, self.made));
        let text = format!(
            "{{\"timestamp\":\"{}\",\"vehicle_id\":\"{}\",\"can_id\":\"0x1F0\",\"payload\":{{{}}}}}",
            contract::format_millis(now),
            self.sender,
            names.collect::<Vec<_>>().join(","),
        );
        SimulatedEvent {
            text,
            sound: true,
            oddity: None,
        }
    }

    fn earlier(&mut self) -> Option<&SimulatedEvent> {
        let at = self.chance.number(0..REMEMBERED as u64) as usize;
        self.recent.get(at)
    }

    /// A vehicle's event. Half of them have no id; ingest derives one from the content.
    fn vehicle(&mut self, time: &str, oddity: Option<Attack>) -> String {
        let chance = &mut self.chance;
        let id = if chance.hits(0.5) {
            format!("\"event_id\":\"{}-v-{}\",", self.sender, self.made)
        } else {
            String::new()
        };
        let vehicle = chance.number(1..4);
        let can_id = match oddity {
            Some(Attack::BrokenEvent) => "none",
            _ => chance.one_of(&["0x1F0", "0x2A1"]),
        };
        let strange = self.strange(oddity);
        format!(
            "{{{id}\"timestamp\":\"{time}\",\"vehicle_id\":\"{}-{vehicle}\",\"can_id\":\"{can_id}\",\"payload\":\
             {{\"mark\":{},\"engine_rpm\":{}{strange}}}}}",
            self.sender,
            self.made,
            self.chance.number(0..8_000),
        )
    }

    /// A sample of a metric. It has an id, by which the lake can be held against what was sent.
    fn sample(&mut self, time: &str, oddity: Option<Attack>) -> String {
        let name = match oddity {
            Some(Attack::BrokenEvent) => "no name".to_owned(),
            _ => format!("metric_{}", self.chance.number(0..40)),
        };
        let tags = self
            .chance
            .one_of(&["", ",\"tags\":{\"zone\":\"b\",\"rack\":\"7\"}"]);
        let entity = self.chance.one_of(&["", ",\"entity\":\"host-1\""]);
        format!(
            "{{\"event_id\":\"{}-m-{}\",\"timestamp\":\"{time}\",\"name\":\"{name}\",\"value\":{}{entity}{tags}}}",
            self.sender, self.made, self.made,
        )
    }

    fn cell(&mut self, time: &str, oddity: Option<Attack>) -> String {
        let cell = self.chance.number(1..3);
        let version = match oddity {
            Some(Attack::BrokenEvent) => 7,
            _ => 1,
        };
        let strange = self.strange(oddity);
        format!(
            "{{\"event_id\":\"{}-c-{}\",\"schema_version\":{version},\"source\":\"simtest\",\"event_time\":\"{time}\",\
             \"entity_type\":\"cell\",\"entity_id\":\"CELL-{cell}\",\"metrics\":\
             {{\"mark\":{},\"dl_prb_util_pct\":{}{strange}}}}}",
            self.sender,
            self.made,
            self.made,
            self.chance.number(0..1_000) as f64 / 10.0,
        )
    }

    /// An undeclared signal, or nothing; its type varies for [`Attack::ChangedType`].
    fn strange(&mut self, oddity: Option<Attack>) -> &'static str {
        match oddity {
            Some(Attack::ChangedType) => self.chance.one_of(&[
                ",\"extra\":0.1",
                ",\"extra\":\"high\"",
                ",\"extra\":true",
                ",\"extra\":-7",
            ]),
            _ => self.chance.one_of(&["", "", ",\"extra\":3"]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_events_keep_their_contract_and_broken_ones_do_not() {
        let kinds = contract::Kinds::builtin();
        let now: DateTime<Utc> = "2025-10-04T12:00:00Z".parse().unwrap();
        let mut events = Events::new(Chance::new(1, "events"), 0.5, "test");
        let (mut sound, mut broken) = (0, 0);
        for _ in 0..500 {
            let event = events.next(now);
            let parsed = contract::parse_sent(&kinds, None, &event.text, now);
            assert_eq!(parsed.is_ok(), event.sound, "{}", event.text);
            *(if event.sound { &mut sound } else { &mut broken }) += 1;
        }
        assert!(sound > 300 && broken > 10, "{sound} sound, {broken} broken");
    }
}
