//! The load during all rounds, and the ledger of the events that were accepted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::Utc;
use contract::Kinds;
use judge::{EventsWithIds, Ledger, SendOptions, Sender, Sent};
use secrecy::SecretString;
use simulator::{Class, Client, ClientConfig, Generator, Plan, Trust};
use tokio_util::sync::CancellationToken;

/// How long a post is tried again: longer than any process stays away and any outage lasts, so that
/// every event ends up accepted or refused.
const RETRY_FOR: Duration = Duration::from_secs(180);

/// Longest time of one attempt at a post. Ingest answers within its `SEND_TIMEOUT` of 10 s.
const ATTEMPT: Duration = Duration::from_secs(15);

/// Posts under way at once.
const CONNECTIONS: usize = 16;

/// How long one way of posting is used before the next.
const SLICE: Duration = Duration::from_secs(2);

/// The ways of posting, used in turn: events in a post, and whether each event has an id of its own.
const WAYS: [(usize, bool); 4] = [(1, true), (20, false), (1, false), (150, true)];

/// Real time in which the event time advances by an hour, so that hours end during the run and few
/// parts accumulate in each.
const HOUR_IN: Duration = Duration::from_secs(60);

/// Most hours of event time; then the events start at the first hour again.
const MOST_HOURS: u32 = 48;

const DUPLICATES: f64 = 0.05;
const LATE: f64 = 0.01;
const BROKEN: f64 = 0.01;

/// Where and how the load is posted.
pub(crate) struct SteadyLoad {
    pub(crate) ingest_url: String,
    pub(crate) api_key: SecretString,
    pub(crate) trust: Trust,
    pub(crate) kinds: Arc<Kinds>,
    /// Events a second.
    pub(crate) rate: f64,
    pub(crate) seed: u64,
    /// How long the load will last, roughly.
    pub(crate) expected: Duration,
    /// Set to the number of acceptances after each slice.
    pub(crate) accepted: Arc<AtomicU64>,
}

/// A generator from which one slice after the other takes events.
type Events = Arc<Mutex<dyn Iterator<Item = (String, Class)> + Send>>;

/// The next events of a generator.
struct Slice {
    events: Events,
    /// Events still to be taken.
    left: u64,
}

impl Iterator for Slice {
    type Item = (String, Class);

    fn next(&mut self) -> Option<(String, Class)> {
        self.left = self.left.checked_sub(1)?;
        // A generator is as good after a panic as before.
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.next()
    }
}

impl SteadyLoad {
    /// Posts until `stop`, or until a post fails for good; posts under way are finished.
    pub(crate) async fn run(
        self,
        mut ledger: Ledger,
        stop: CancellationToken,
    ) -> anyhow::Result<(Ledger, Sent)> {
        let config = ClientConfig {
            retry_for: RETRY_FOR,
            timeout: ATTEMPT,
            trust: self.trust.clone(),
            ..ClientConfig::new(&self.ingest_url, self.api_key.clone())
        };
        let sender = Sender {
            client: Arc::new(Client::new(&config)?),
            kinds: self.kinds.clone(),
            stop: stop.clone(),
        };
        let (mut events, mut turn) = (self.generators(0)?, 0_u64);
        let mut sent = Sent::default();
        for (batch, ids) in WAYS.iter().cycle() {
            let options = SendOptions {
                batch: *batch,
                connections: CONNECTIONS,
                rate: Some(self.rate),
            };
            let wanted = (self.rate * SLICE.as_secs_f64()).ceil() as u64;
            let slice = Slice {
                events: events[usize::from(*ids)].clone(),
                left: wanted,
            };
            let slice = sender.send(slice, &options, &mut ledger, |_| {}).await?;
            let exhausted = slice.total() < wanted;
            sent.add(slice);
            self.accepted.store(ledger.acceptances(), Ordering::Relaxed);
            if stop.is_cancelled() || sent.failure.is_some() {
                break;
            }
            if exhausted {
                turn += 1;
                events = self.generators(turn)?;
            }
        }
        Ok((ledger, sent))
    }

    /// The events of one pass through the hours. The first generator leaves ids to the pipeline unless
    /// the simulated entity gives them; events of the second all have an id.
    fn generators(&self, turn: u64) -> anyhow::Result<[Events; 2]> {
        let hours = self.expected.as_secs() / HOUR_IN.as_secs() + 1;
        let hours = u32::try_from(hours).unwrap_or(MOST_HOURS).min(MOST_HOURS);
        // Each of the two posts half of the time.
        let seconds = f64::from(hours) * HOUR_IN.as_secs_f64() / 2.0;
        let generator = |stream: u64| {
            let plan = Plan {
                count: Some((self.rate * seconds) as u64 + 1),
                seed: self.seed.wrapping_add(2 * turn + stream),
                duplicates: DUPLICATES,
                late: LATE,
                broken: BROKEN,
                ..Plan::default()
            };
            let span = hours * Duration::from_secs(3_600);
            Generator::new(&plan.spread_before(Utc::now(), span))
        };
        let plain = generator(0)?.map(|sent| (sent.body, sent.class));
        let with_ids = EventsWithIds::new(generator(1)?, self.kinds.clone(), self.seed ^ turn);
        Ok([Arc::new(Mutex::new(plain)), Arc::new(Mutex::new(with_ids))])
    }
}
