//! What a seed decides before a run: how many of each, with which settings, and how much goes wrong.

use std::ops::Range;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use local_aws::{FaultKind, Faults};

use crate::attack::{BATCHES, GENERAL_FAULTS, Moment, Role};
use crate::chance::Chance;

/// How often something goes wrong, per occasion.
const NEVER: f64 = 0.0;

/// The shape of a run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Decides all chance.
    pub seed: u64,
    /// When the run starts.
    pub start: DateTime<Utc>,
    /// How many ingests there are.
    pub ingests: usize,
    /// How many consumers there are.
    pub consumers: usize,
    /// How many aggregators there are.
    pub aggregators: usize,
    /// How many posts are made.
    pub posts: u64,
    /// How many clients post, each one post after the other.
    pub clients: usize,
    /// Pause of a client between two posts, at most.
    pub pause: Duration,
    /// How long things go wrong at least.
    pub unrest: Duration,
    /// Probability of each fault of the cloud, for each request.
    pub cloud: Vec<(FaultKind, f64)>,
    /// Probability that an entry of a batch call fails alone.
    pub entry_failure: f64,
    /// Probability that a receive also brings a message that is in flight.
    pub duplicate_delivery: f64,
    /// Probability that a conditional write meets another at the same time.
    pub conflict: f64,
    /// Probability that a request or its answer is slow.
    pub slow: f64,
    /// How slow.
    pub slowness: Range<Duration>,
    /// Probability, for each request, that its sender is struck.
    pub struck: f64,
    /// Mean time between strikes at any time; none is never.
    pub strike_every: Option<Duration>,
    /// How long a frozen process stands still.
    pub frozen: Range<Duration>,
    /// How long a dead process stays so.
    pub down: Range<Duration>,
    /// Probability that a post or its answer is lost, or its client hangs up.
    pub client_trouble: f64,
    /// Probability of each oddity of an event.
    pub odd_events: f64,
    /// How many messages somebody puts into the queue that ingest did not make.
    pub strange_messages: u64,
    /// Largest error of a process's clock.
    pub clock_error: TimeDelta,
    /// How many times somebody looks at the lake meanwhile.
    pub looks: u64,
}

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64) -> Plan {
        let chance = &mut Chance::new(seed, "plan");
        let noon: DateTime<Utc> = DateTime::from_timestamp(1_759_579_200, 0).unwrap_or_default();
        // Half of the runs cross the end of an hour.
        let start = match chance.hits(0.5) {
            true => noon + TimeDelta::seconds(3_600 - chance.number(1..30) as i64),
            false => noon + TimeDelta::seconds(chance.number(0..3_000) as i64),
        };
        // Each kind of trouble is absent from some runs, rare in some and common in others.
        let mut level = |low: f64, high: f64| chance.one_of(&[NEVER, low, low, high]);
        let cloud = GENERAL_FAULTS
            .map(|kind| (kind, level(0.02, 0.12)))
            .to_vec();
        let (entry_failure, duplicate_delivery) = (level(0.05, 0.3), level(0.1, 0.5));
        let (conflict, slow) = (level(0.03, 0.15), level(0.03, 0.2));
        let (struck, client_trouble) = (level(0.01, 0.04), level(0.05, 0.25));
        let odd_events = level(0.05, 0.2);
        let strike_every = chance.one_of(&[None, Some(8), Some(4)]);
        let longest_freeze = chance.one_of(&[5, 30, 300]);
        Plan {
            seed,
            start,
            ingests: chance.one_of(&[1, 2]),
            consumers: chance.one_of(&[2, 2, 3]),
            aggregators: 2,
            posts: chance.number(3..12),
            clients: chance.one_of(&[1, 3, 6]),
            pause: Duration::from_millis(chance.one_of(&[50, 500, 3_000])),
            unrest: Duration::from_secs(chance.number(3..20)),
            cloud,
            entry_failure,
            duplicate_delivery,
            conflict,
            slow,
            slowness: Duration::from_millis(200)..Duration::from_secs(chance.one_of(&[2, 10, 45])),
            struck,
            strike_every: strike_every.map(Duration::from_secs),
            frozen: Duration::from_millis(500)..Duration::from_secs(longest_freeze),
            down: Duration::from_millis(100)..Duration::from_secs(chance.one_of(&[2, 20])),
            client_trouble,
            odd_events,
            strange_messages: chance.one_of(&[0, 0, 1, 3]),
            clock_error: TimeDelta::milliseconds(chance.one_of(&[0, 900, 5_000])),
            looks: chance.one_of(&[0, 0, 1, 2]),
        }
    }

    /// The faults of the cloud.
    pub fn faults(&self) -> Faults {
        let mut faults = Faults::seeded(self.seed);
        for (kind, probability) in &self.cloud {
            faults = faults.rule(*kind, "*", *probability);
        }
        for operation in BATCHES {
            faults = faults.rule(FaultKind::EntryFailure, operation, self.entry_failure);
        }
        faults
            .rule(
                FaultKind::DuplicateDelivery,
                "ReceiveMessage",
                self.duplicate_delivery,
            )
            .rule(FaultKind::Conflict, "PutObject", self.conflict)
    }

    /// Which strike a process meets: killed or frozen, and when.
    pub fn strike(&self, chance: &mut Chance, role: Role, moment: Moment) -> Strike {
        // A replay that stands still for long would only stretch the run.
        match chance.hits(0.5) {
            true => Strike::Kill,
            false => {
                let longest = match (role, moment) {
                    (Role::Replay, _) => self.frozen.end.min(Duration::from_secs(60)),
                    _ => self.frozen.end,
                };
                Strike::Freeze(chance.time(self.frozen.start..longest))
            }
        }
    }
}

/// What befalls a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strike {
    /// It ends at once.
    Kill,
    /// It stands still for so long.
    Freeze(Duration),
}
