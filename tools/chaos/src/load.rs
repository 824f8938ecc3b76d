//! The load that goes on all the while, and the ledger of what of it was accepted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::Utc;
use contract::Kinds;
use judge::{EventsWithIds, Ledger, SendOptions, Sender, Sent};
use secrecy::SecretString;
use simulator::{Class, Client, ClientConfig, Generator, Plan};
use tokio_util::sync::CancellationToken;

/// How long a post is tried again: longer than any process stays away and any outage lasts, so that
/// it is known of every event whether it was accepted.
const RETRY_FOR: Duration = Duration::from_secs(180);

/// Longest time of one attempt at a post. Ingest answers within its `SEND_TIMEOUT` of 10 s.
const ATTEMPT: Duration = Duration::from_secs(15);

/// Posts under way at once.
const CONNECTIONS: usize = 16;

/// How long one way of posting goes on before the next.
const SLICE: Duration = Duration::from_secs(2);

/// The ways of posting, one after the other: events in a post, and whether each has an id of its own.
const WAYS: [(usize, bool); 4] = [(1, true), (20, false), (1, false), (150, true)];

/// Real time in which the event times go on by an hour: hours come to their end, and each has a
/// number of parts that can be read again and again.
const HOUR_IN: Duration = Duration::from_secs(60);

/// Most hours of event time before they begin anew.
const MOST_HOURS: u32 = 48;

const DUPLICATES: f64 = 0.05;
const LATE: f64 = 0.01;
const BROKEN: f64 = 0.01;

/// Where and how the load is posted.
pub(crate) struct Load {
    pub(crate) ingest_url: String,
    pub(crate) api_key: SecretString,
    pub(crate) kinds: Arc<Kinds>,
    /// Events a second.
    pub(crate) rate: f64,
    pub(crate) seed: u64,
    /// How long it will go on, about.
    pub(crate) expected: Duration,
    /// Told how many acceptances there were.
    pub(crate) accepted: Arc<AtomicU64>,
}

/// A generator that slices take turns at.
type Events = Arc<Mutex<dyn Iterator<Item = (String, Class)> + Send>>;

/// So many of its next events.
struct Slice {
    events: Events,
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

impl Load {
    /// Posts until `stop`, or until a post fails for good; each post is brought to its end.
    ///
    /// # Errors
    ///
    /// If the ledger cannot be written, or the client not be set up.
    pub(crate) async fn run(
        self,
        mut ledger: Ledger,
        stop: CancellationToken,
    ) -> anyhow::Result<(Ledger, Sent)> {
        let config = ClientConfig {
            retry_for: RETRY_FOR,
            timeout: ATTEMPT,
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

    /// The events of one turn through the hours: those whose ids the pipeline derives, unless the
    /// simulated entity gives them, and those that all have one.
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
