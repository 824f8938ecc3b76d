//! One live stream: who watches, what they write and what they pay, calm at most times and in bursts.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use contract::format_millis;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use super::fleet::FleetEvent;
use super::stream_texts as texts;

/// Mean time between two bursts of one stream, two raids and two changes of what it is about, in seconds.
const BURST_EVERY_S: f64 = 180.0;
const RAID_EVERY_S: f64 = 900.0;
const CHANGE_EVERY_S: f64 = 5_400.0;

/// How long a burst lasts, in seconds.
const BURST_S: f64 = 25.0;

/// Viewers go back to their usual number within about this time, in seconds.
const VIEWERS_MEMORY_S: f64 = 600.0;

/// Turns from one count of viewers to the next, and from one reminder of the channel's bot to the next.
const COUNT_EVERY: u64 = 3;
const REMIND_EVERY: u64 = 40;

/// A stream at one moment; [`Stream::advance`] moves it on and plans what is sent next.
#[derive(Debug)]
pub(super) struct Stream {
    id: String,
    rng: StdRng,
    /// Viewers at a usual time.
    usual: f64,
    viewers: f64,
    followers: u64,
    /// Seconds that the burst goes on; 0 if there is none.
    burst_s: f64,
    show: usize,
    language: &'static str,
    turn: u64,
    /// What is to be sent in this turn, at most some dozens.
    planned: VecDeque<Planned>,
}

#[derive(Debug, Clone, Copy)]
enum Planned {
    Meta,
    Count {
        raiders: u64,
    },
    Message,
    RaidMessage,
    Reminder,
    Spam(&'static str),
    /// A message with bits, and then the payment for them.
    Cheer {
        bits: u64,
    },
    Payment(&'static str, f64),
}

impl Stream {
    /// A stream that has just begun; the same seed behaves the same way.
    pub(super) fn new(id: String, seed: u64) -> Stream {
        let mut rng = StdRng::seed_from_u64(seed);
        // Few streams are large.
        let usual = 40.0 * 100.0_f64.powf(rng.random_range(0.0..1.0));
        Stream {
            id,
            usual,
            viewers: usual,
            followers: (usual * rng.random_range(15.0..40.0)) as u64,
            burst_s: 0.0,
            show: rng.random_range(0..texts::SHOWS.len()),
            language: texts::LANGUAGES[rng.random_range(0..texts::LANGUAGES.len())],
            turn: 0,
            planned: VecDeque::new(),
            rng,
        }
    }

    /// Moves on by `seconds`, and plans at least one event.
    pub(super) fn advance(&mut self, seconds: f64) {
        let seconds = seconds.max(0.0);
        let kept = (-seconds / VIEWERS_MEMORY_S).exp();
        let noise =
            self.usual * 0.1 * (1.0 - kept * kept).sqrt() * self.rng.random_range(-1.7..1.7);
        self.viewers = (self.usual + (self.viewers - self.usual) * kept + noise).max(1.0);
        self.burst_s = (self.burst_s - seconds).max(0.0);
        self.followers += u64::from(self.happens(seconds, 30.0));
        if self.turn == 0 {
            self.planned.push_back(Planned::Meta);
        } else if self.happens(seconds, CHANGE_EVERY_S) {
            self.show = (self.show + 1) % texts::SHOWS.len();
            self.planned.push_back(Planned::Meta);
        }
        if self.happens(seconds, BURST_EVERY_S) {
            self.burst_s = BURST_S;
        }
        if self.happens(seconds, RAID_EVERY_S) {
            self.raid();
        } else if self.turn.is_multiple_of(COUNT_EVERY) {
            self.planned.push_back(Planned::Count { raiders: 0 });
        }
        let messages = if self.burst_s > 0.0 {
            self.rng.random_range(8..15)
        } else {
            self.rng.random_range(1..4)
        };
        for _ in 0..messages {
            self.planned.push_back(Planned::Message);
        }
        if self.turn % REMIND_EVERY == REMIND_EVERY - 1 {
            self.planned.push_back(Planned::Reminder);
        }
        if self.rng.random_bool(0.01) {
            let text = self.one_of(&texts::SPAM);
            self.planned.extend([Planned::Spam(text); 3]);
        }
        self.pay();
        self.turn += 1;
    }

    /// Whether more is to be sent in this turn.
    pub(super) fn has_more(&self) -> bool {
        !self.planned.is_empty()
    }

    /// The next event of this turn; `ids` gives the ids of messages and payments.
    pub(super) fn next_event(&mut self, now: DateTime<Utc>, ids: &mut StdRng) -> FleetEvent {
        let time = format_millis(now);
        let front = format!(r#"{{"timestamp":"{time}","stream_id":"{}""#, self.id);
        match self.planned.pop_front().unwrap_or(Planned::Message) {
            Planned::Meta => {
                let (title, category) = texts::SHOWS[self.show];
                let (language, id) = (self.language, &self.id);
                let status = format!(
                    r#"{{"live":true,"bitrate_kbps":{},"fps":60}}"#,
                    self.rng.random_range(4_500..6_500)
                );
                FleetEvent {
                    kind: "stream_meta",
                    body: format!(
                        r#"{front},"title":"{title}","category":"{category}","language":"{language}","channel":"channel of {id}","status":{status}}}"#
                    ),
                }
            }
            Planned::Count { raiders } => {
                let viewers = self.viewers as u64;
                let raided = match raiders {
                    0 => String::new(),
                    _ => format!(r#","raiders":{raiders}"#),
                };
                FleetEvent {
                    kind: "viewer",
                    body: format!(
                        r#"{front},"audience":{{"viewers":{viewers},"chatters":{},"followers":{}{raided}}}}}"#,
                        self.pool().min(viewers),
                        self.followers
                    ),
                }
            }
            Planned::Message => {
                let (text, emotes) = self.message();
                chat(&front, ids, &self.chatter(), &text, &emotes, 0)
            }
            Planned::RaidMessage => {
                let emote = self.one_of(&texts::RAIDING);
                let text = format!("{} {emote}", self.one_of(&texts::RAID));
                chat(&front, ids, &self.chatter(), &text, emote, 0)
            }
            Planned::Reminder => chat(&front, ids, "channelbot", self.one_of(&texts::BOT), "", 0),
            Planned::Spam(text) => {
                let user = format!("promo{:04}", self.rng.random_range(0..10_000));
                chat(&front, ids, &user, text, "", 0)
            }
            Planned::Cheer { bits } => {
                self.planned
                    .push_front(Planned::Payment("bits", bits as f64 / 100.0));
                let text = format!("Cheer{bits} {}", self.one_of(&texts::PRAISE));
                chat(&front, ids, &self.chatter(), &text, "", bits)
            }
            Planned::Payment(r#type, amount) => {
                let (id, user) = (uuid(ids), self.chatter());
                FleetEvent {
                    kind: "transaction",
                    body: format!(
                        r#"{front},"transaction_id":"{id}","type":"{type}","currency":"USD","user":"{user}","payment":{{"amount":{amount:.2}}}}}"#
                    ),
                }
            }
        }
    }

    /// Whether something that happens every so many seconds in the mean happens within these.
    fn happens(&mut self, seconds: f64, every: f64) -> bool {
        let chance = 1.0 - (-seconds / every).exp();
        self.rng.random_bool(chance.clamp(0.0, 1.0))
    }

    /// Another channel sends its viewers, who say so.
    fn raid(&mut self) {
        let raiders = (self.usual * self.rng.random_range(0.2..1.5)) as u64 + 5;
        self.viewers += raiders as f64;
        self.followers += raiders / 20;
        self.burst_s = 2.0 * BURST_S;
        self.planned.push_back(Planned::Count { raiders });
        let messages = self.rng.random_range(6..14);
        self.planned
            .extend(std::iter::repeat_n(Planned::RaidMessage, messages));
    }

    /// Some pay, and more do in a burst.
    fn pay(&mut self) {
        let chance = if self.burst_s > 0.0 { 0.3 } else { 0.05 };
        if !self.rng.random_bool(chance) {
            return;
        }
        let planned = match self.rng.random_range(0..10) {
            0..=3 => Planned::Payment("subscription", 4.99),
            4 => Planned::Payment("gift", 4.99 * f64::from(self.rng.random_range(1..=10_u32))),
            5 | 6 => Planned::Payment("donation", f64::from(self.rng.random_range(1..=50_u32))),
            7 => Planned::Payment("purchase", 24.95),
            _ => Planned::Cheer {
                bits: 100 * self.rng.random_range(1..=20),
            },
        };
        self.planned.push_back(planned);
    }

    /// A text and its emotes.
    fn message(&mut self) -> (String, String) {
        let in_burst = self.burst_s > 0.0;
        let (good, bad) = if in_burst { (0.7, 0.1) } else { (0.3, 0.15) };
        let mood: f64 = self.rng.random();
        let (text, emotes) = if mood < good {
            (self.one_of(&texts::PRAISE), &texts::HAPPY[..])
        } else if mood < good + bad {
            (self.one_of(&texts::COMPLAINTS), &texts::UNHAPPY[..])
        } else {
            (self.one_of(&texts::TALK), &[][..])
        };
        let mut text = text.to_owned();
        if in_burst && self.rng.random_bool(0.3) {
            text = text.to_uppercase();
        }
        if in_burst && self.rng.random_bool(0.5) {
            text.push_str("!!!");
        }
        if emotes.is_empty() || !self.rng.random_bool(if in_burst { 0.8 } else { 0.4 }) {
            return (text, String::new());
        }
        let emote = self.one_of(emotes);
        let times = if in_burst {
            self.rng.random_range(1..=3)
        } else {
            1
        };
        let emotes = vec![emote; times].join(" ");
        if in_burst && self.rng.random_bool(0.3) {
            return (emotes.clone(), emotes);
        }
        (format!("{text} {emotes}"), emotes)
    }

    /// How many are in the chat.
    fn pool(&self) -> u64 {
        (self.viewers * 0.3) as u64 + 3
    }

    /// One of the chat; some write far more often than others.
    fn chatter(&mut self) -> String {
        let share: f64 = self.rng.random();
        let number = (share * share * self.pool() as f64) as usize;
        format!("{}{number:04}", texts::NAMES[number % texts::NAMES.len()])
    }

    fn one_of(&mut self, all: &[&'static str]) -> &'static str {
        all[self.rng.random_range(0..all.len())]
    }
}

fn chat(
    front: &str,
    ids: &mut StdRng,
    user: &str,
    text: &str,
    emotes: &str,
    bits: u64,
) -> FleetEvent {
    let id = uuid(ids);
    let emotes = match emotes {
        "" => String::new(),
        _ => format!(r#","emotes":"{emotes}""#),
    };
    let bits = match bits {
        0 => String::new(),
        _ => format!(r#","bits":{bits}"#),
    };
    FleetEvent {
        kind: "chat",
        body: format!(
            r#"{front},"message_id":"{id}","user":"{user}","message":{{"text":"{text}"{emotes}{bits}}}}}"#
        ),
    }
}

fn uuid(ids: &mut StdRng) -> uuid::Uuid {
    let mut random = [0; 16];
    ids.fill_bytes(&mut random);
    uuid::Builder::from_random_bytes(random).into_uuid()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use chrono::{TimeDelta, TimeZone};
    use contract::{Kinds, Scalar, parse_sent};

    use super::*;
    use crate::simulate::Fleet;

    /// Six hours of one stream, a turn each two seconds.
    fn events(seed: u64) -> Vec<(DateTime<Utc>, FleetEvent)> {
        let mut stream = Stream::new("stream-001".into(), seed);
        let mut ids = StdRng::seed_from_u64(seed);
        let start = Utc.with_ymd_and_hms(2025, 10, 4, 12, 0, 0).unwrap();
        let mut events = Vec::new();
        for turn in 0..10_800 {
            let now = start + TimeDelta::seconds(2 * turn);
            stream.advance(if turn == 0 { 0.0 } else { 2.0 });
            while stream.has_more() {
                events.push((now, stream.next_event(now, &mut ids)));
            }
        }
        events
    }

    #[test]
    fn every_event_keeps_its_contract_and_every_kind_comes() {
        let kinds = Kinds::builtin();
        let mut counts = BTreeMap::new();
        let (mut types, mut raids, mut users) = (HashSet::new(), 0, HashSet::new());
        for (now, event) in events(7) {
            let read = parse_sent(&kinds, None, &event.body, now).expect(&event.body);
            assert_eq!(read.kind.name, event.kind);
            *counts.entry(event.kind).or_insert(0_u32) += 1;
            let field = |name: &str| {
                let of = |(at, value): &(usize, Scalar<'_>)| {
                    let is_it = read.kind.fields[*at].name == name;
                    is_it.then(|| format!("{value:?}"))
                };
                read.fields.iter().find_map(of)
            };
            types.extend(field("type"));
            users.extend(field("user"));
            raids += u32::from(read.signals.iter().any(|(name, _)| name == "raiders"));
        }
        let names: Vec<_> = counts.keys().copied().collect();
        assert_eq!(names, ["chat", "stream_meta", "transaction", "viewer"]);
        assert_eq!(types.len(), 5, "{types:?}");
        assert!(
            raids > 5 && users.len() > 10,
            "{raids} raids, {} users",
            users.len()
        );
        assert!(counts["chat"] > 10 * counts["transaction"], "{counts:?}");
    }

    #[test]
    fn a_chat_has_bursts() {
        let mut by_minute: BTreeMap<i64, u32> = BTreeMap::new();
        for (now, event) in events(11) {
            let count = by_minute.entry(now.timestamp() / 60).or_default();
            *count += u32::from(event.kind == "chat");
        }
        let mut counts: Vec<u32> = by_minute.into_values().collect();
        counts.sort_unstable();
        let (median, most) = (counts[counts.len() / 2], counts[counts.len() - 1]);
        assert!(
            most > 2 * median,
            "{median} in the median minute, {most} at most"
        );
    }

    #[test]
    fn streams_come_after_the_cells_in_each_round_and_repeat_by_their_seed() {
        let sent = |seed: u64| {
            let mut fleet = Fleet::new(1, 1, 2, seed, 9);
            let now = Utc.with_ymd_and_hms(2025, 10, 4, 12, 0, 0).unwrap();
            let events =
                (0..300).map(|at| fleet.next_event(now + TimeDelta::milliseconds(40 * at)));
            events.collect::<Option<Vec<_>>>().unwrap()
        };
        assert_eq!(sent(3), sent(3));
        assert_ne!(sent(3), sent(4));
        let cell = sent(3)
            .iter()
            .position(|event| event.kind == "cell")
            .unwrap();
        assert_eq!(sent(3)[cell + 1].kind, "stream_meta");
        let ids = |stream: &str| {
            let events = sent(3).into_iter();
            events.filter(|event| event.body.contains(stream)).count()
        };
        assert!(ids("stream-001") > 20 && ids("stream-002") > 20 && ids("stream-003") == 0);
    }
}
