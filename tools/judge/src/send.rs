//! Sends events with known ids, and enters in the ledger what was accepted.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use contract::{Kinds, SentReader};
use simulator::{Answer, Class, Client, Generator, PostError};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::ledger::{Certainty, Ledger, LedgerError};

/// Events that are made ahead of the posts.
const AHEAD: usize = 4_096;

/// A post is closed at this many bytes of events: below what ingest takes in one body.
const MAX_POST_BYTES: usize = 900_000;

/// The most reasons of refusals that a report names.
const NAMED_CODES: usize = 4;

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

/// How events are sent.
#[derive(Debug, Clone)]
pub struct SendOptions {
    /// The most events in one post; at least 1.
    pub batch: usize,
    /// The most posts under way at once; at least 1.
    pub connections: usize,
    /// Events a second; none is as fast as they are taken.
    pub rate: Option<f64>,
}

/// Sends events and keeps the ledger.
#[derive(Debug, Clone)]
pub struct Sender {
    /// Posts to ingest.
    pub client: Arc<Client>,
    /// The declared kinds.
    pub kinds: Arc<Kinds>,
    /// Ends the sending early; posts under way are finished.
    pub stop: CancellationToken,
}

/// What came of sending.
#[derive(Debug, Default)]
pub struct Sent {
    /// Events that were posted, by class.
    pub sent: BTreeMap<Class, u64>,
    /// Events that were accepted, repeats included.
    pub accepted: u64,
    /// Refused events by code, with the first message of each.
    pub refused: BTreeMap<String, (u64, String)>,
    /// Sound events that were refused: that is wrong.
    pub sound_refused: u64,
    /// Broken events that were accepted: that is wrong.
    pub broken_accepted: u64,
    /// Events without an answer.
    pub maybe: u64,
    /// From the first post to the last answer.
    pub wall: Duration,
    /// What ended the sending early, if anything did.
    pub failure: Option<PostError>,
}

impl Sent {
    /// Whether each event got the answer that it must get.
    pub fn is_fine(&self) -> bool {
        self.failure.is_none() && self.sound_refused == 0 && self.broken_accepted == 0
    }

    /// Events that were posted.
    pub fn total(&self) -> u64 {
        self.sent.values().sum()
    }

    /// Events that were refused.
    pub fn total_refused(&self) -> u64 {
        self.refused.values().map(|(count, _)| count).sum()
    }

    /// Adds what came of sending more.
    pub fn add(&mut self, other: Sent) {
        for (class, count) in other.sent {
            *self.sent.entry(class).or_default() += count;
        }
        for (code, (count, message)) in other.refused {
            self.refused.entry(code).or_insert((0, message)).0 += count;
        }
        self.accepted += other.accepted;
        self.sound_refused += other.sound_refused;
        self.broken_accepted += other.broken_accepted;
        self.maybe += other.maybe;
        self.wall += other.wall;
        self.failure = self.failure.take().or(other.failure);
    }

    fn refuse(&mut self, class: Class, code: &str, message: &str) {
        self.sound_refused += u64::from(class.is_sound());
        let (count, _) = self
            .refused
            .entry(code.to_owned())
            .or_insert_with(|| (0, message.to_owned()));
        *count += 1;
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let classes: Vec<String> = self
            .sent
            .iter()
            .map(|(class, count)| format!("{} {count}", class.as_str()))
            .collect();
        let seconds = self.wall.as_secs_f64();
        writeln!(
            f,
            "{:<17} {:>9}   {} in {seconds:.1} s, {:.0} events/s",
            "sent",
            self.total(),
            classes.join(", "),
            self.total() as f64 / seconds.max(1e-3)
        )?;
        let mut codes: Vec<_> = self
            .refused
            .iter()
            .map(|(code, (count, _))| (count, code))
            .collect();
        codes.sort_unstable_by(|a, b| b.cmp(a));
        let named: Vec<String> = codes
            .iter()
            .take(NAMED_CODES)
            .map(|(count, code)| format!("{code} {count}"))
            .collect();
        let more = match codes.len() > NAMED_CODES {
            true => format!(" and {} reasons more", codes.len() - NAMED_CODES),
            false => String::new(),
        };
        write!(
            f,
            "{:<17} {:>9}   {}{more}",
            "refused",
            self.total_refused(),
            named.join(", ")
        )?;
        if self.maybe > 0 {
            write!(
                f,
                "\n{:<17} {:>9}   in the lake or not",
                "no answer", self.maybe
            )?;
        }
        if self.sound_refused > 0 {
            let reasons: Vec<&str> = self
                .refused
                .values()
                .map(|(_, message)| message.as_str())
                .collect();
            write!(
                f,
                "\nWRONG: {} sound events were refused; refusals: {}",
                self.sound_refused,
                reasons.join("; ")
            )?;
        }
        if self.broken_accepted > 0 {
            write!(
                f,
                "\nWRONG: {} events that break their contract were accepted",
                self.broken_accepted
            )?;
        }
        Ok(())
    }
}

/// A post that has ended.
struct Posted {
    events: Vec<(String, Class)>,
    result: Result<Answer, PostError>,
    at: DateTime<Utc>,
}

impl Sender {
    /// Sends what `events` yields, until it ends, it is stopped, or a post fails in a way that the next
    /// would too; what was accepted or may have been is in the ledger then. `progress` is told how
    /// many events are done with.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Write`] if the ledger's file cannot be written.
    pub async fn send<I>(
        &self,
        events: I,
        options: &SendOptions,
        ledger: &mut Ledger,
        progress: impl Fn(u64),
    ) -> Result<Sent, LedgerError>
    where
        I: Iterator<Item = (String, Class)> + Send + 'static,
    {
        let start = Instant::now();
        let over = self.stop.child_token();
        let (sender, mut made) = mpsc::channel(AHEAD);
        let maker = tokio::task::spawn_blocking(move || {
            for event in events {
                if sender.blocking_send(event).is_err() {
                    break;
                }
            }
        });
        let permits = Arc::new(Semaphore::new(options.connections.max(1)));
        let mut posts: JoinSet<Posted> = JoinSet::new();
        let mut sent = Sent::default();
        let mut number = 0_u64;
        while let Some(post) = gather(&mut made, options.batch.max(1), &over).await {
            number += post.len() as u64;
            let due = options
                .rate
                .and_then(|rate| Duration::try_from_secs_f64(number as f64 / rate).ok());
            if let Some(due) = due {
                tokio::select! {
                    biased;
                    () = over.cancelled() => break,
                    () = tokio::time::sleep_until(start + due) => {}
                }
            }
            let Ok(permit) = permits.clone().acquire_owned().await else {
                break;
            };
            let client = self.client.clone();
            posts.spawn(async move {
                let bodies: Vec<&str> = post.iter().map(|(body, _)| body.as_str()).collect();
                let result = client.post(&bodies).await;
                let at = Utc::now();
                drop(permit);
                Posted {
                    events: post,
                    result,
                    at,
                }
            });
            while let Some(Ok(posted)) = posts.try_join_next() {
                progress(posted.events.len() as u64);
                self.settle(posted, ledger, &mut sent, &over)?;
            }
        }
        drop(made);
        while let Some(Ok(posted)) = posts.join_next().await {
            progress(posted.events.len() as u64);
            self.settle(posted, ledger, &mut sent, &over)?;
        }
        // It ends by itself once nobody listens.
        let _ = maker.await;
        ledger.flush()?;
        sent.wall = start.elapsed();
        Ok(sent)
    }

    /// Enters a post's events as its answer says.
    fn settle(
        &self,
        posted: Posted,
        ledger: &mut Ledger,
        sent: &mut Sent,
        over: &CancellationToken,
    ) -> Result<(), LedgerError> {
        for (_, class) in &posted.events {
            *sent.sent.entry(*class).or_default() += 1;
        }
        match posted.result {
            Ok(answer) => {
                for index in answer.accepted {
                    let (text, _) = &posted.events[index];
                    sent.accepted += 1;
                    match ledger.record(&self.kinds, text, posted.at, Certainty::Accepted) {
                        Err(LedgerError::Event(rejection)) => {
                            tracing::error!(event = "broken_accepted", %rejection, "ingest accepted what the contract refuses");
                            sent.broken_accepted += 1;
                        }
                        recorded => recorded?,
                    }
                }
                for rejected in answer.rejected {
                    let class = posted.events[rejected.index].1;
                    sent.refuse(class, &rejected.code, &rejected.message);
                }
            }
            // A body that is refused as a whole; the next one may be taken.
            Err(PostError::Refused {
                status: 400 | 413,
                message,
            }) => {
                for (_, class) in &posted.events {
                    sent.refuse(*class, "whole_post", &message);
                }
            }
            Err(error) => {
                let mut reader = SentReader::new(&self.kinds, None);
                for (text, _) in &posted.events {
                    if let PostError::Refused { message, .. } = &error {
                        // Says nothing of the events: the failure below does.
                        let (count, _) = sent
                            .refused
                            .entry("whole_post".to_owned())
                            .or_insert_with(|| (0, message.clone()));
                        *count += 1;
                    } else if reader.read(text, posted.at).is_ok() {
                        sent.maybe += 1;
                        ledger.record(&self.kinds, text, posted.at, Certainty::Maybe)?;
                    }
                }
                if !over.is_cancelled() {
                    tracing::error!(event = "post_failed", %error, events = posted.events.len());
                    sent.failure = Some(error);
                    over.cancel();
                }
            }
        }
        Ok(())
    }
}

/// The events of the next post; none at the end.
async fn gather(
    made: &mut mpsc::Receiver<(String, Class)>,
    batch: usize,
    over: &CancellationToken,
) -> Option<Vec<(String, Class)>> {
    let mut post = Vec::with_capacity(batch.min(1_024));
    let mut bytes = 0;
    while post.len() < batch && bytes < MAX_POST_BYTES {
        let event = tokio::select! {
            biased;
            () = over.cancelled() => return None,
            event = made.recv() => event,
        };
        let Some(event) = event else { break };
        bytes += event.0.len() + 1;
        post.push(event);
    }
    (!post.is_empty()).then_some(post)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

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
