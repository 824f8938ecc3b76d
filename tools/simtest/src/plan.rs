//! The decisions of a seed before a run: how many processes and clients, and how often each fault happens.

use std::ops::Range;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use local_aws::{FaultKind, Faults};

use crate::attack::{BATCHES, GENERAL_FAULTS, Role};
use crate::chance::Chance;

/// Probability of a fault that this run does without.
const NEVER: f64 = 0.0;

/// Everything about a run that its seed decides beforehand. A probability is per occasion, 0 to 1.
#[derive(Debug, Clone)]
pub struct RunPlan {
    /// Seed of all random choices of the run.
    pub seed: u64,
    /// Simulated time at which the run starts.
    pub start: DateTime<Utc>,
    /// Number of ingests.
    pub ingests: usize,
    /// Number of consumers.
    pub consumers: usize,
    /// Number of aggregators.
    pub aggregators: usize,
    /// Number of posts, over all clients.
    pub posts: u64,
    /// Number of clients; each makes one post after the other.
    pub clients: usize,
    /// Longest pause of a client between two posts.
    pub pause: Duration,
    /// Shortest time during which faults happen.
    pub unrest: Duration,
    /// Faults of the emulated AWS, with the probability of each for a request.
    pub cloud: Vec<(FaultKind, f64)>,
    /// Probability that one entry of a batch call fails and its neighbours do not.
    pub entry_failure: f64,
    /// Probability that a receive also delivers a message that is in flight.
    pub duplicate_delivery: f64,
    /// Probability that a conditional write is refused because of a write at the same time.
    pub conflict: f64,
    /// Probability that a request or its answer is slow.
    pub slow: f64,
    /// Delay of a slow request or answer.
    pub slowness: Range<Duration>,
    /// Probability that a request's sender is killed or frozen at that request.
    pub struck: f64,
    /// Probability that the aggregator is killed at a request that each commit makes once: far more than `struck`, for
    /// there are few of them.
    pub take_over: f64,
    /// Mean time between strikes that no request triggers; None for no such strikes.
    pub strike_every: Option<Duration>,
    /// Time for which a process is frozen.
    pub frozen: Range<Duration>,
    /// Time between a process's death and the start of the next in its place.
    pub down: Range<Duration>,
    /// Probability that a post or its answer is lost, or that its client hangs up.
    pub client_trouble: f64,
    /// Probability that an event is odd in one way or another.
    pub odd_events: f64,
    /// Number of messages in the queue that ingest did not make.
    pub strange_messages: u64,
    /// Largest error of a process's clock, ahead or behind.
    pub clock_error: TimeDelta,
    /// Number of times that a reader checks the lake during the run.
    pub looks: u64,
    /// Number of parts that land long after the time in their names.
    pub late_parts: u64,
    /// Whether events have more undeclared signals than their kind may have columns.
    pub new_names: bool,
    /// Whether the first consumer is of a release whose names of parts tell no time.
    pub old_names: bool,
    /// Time from the end of the load to the last run of the aggregator: long enough for it to list the last two days,
    /// or all of `raw/`.
    pub rest: Duration,
}

impl RunPlan {
    /// The plan of a seed.
    pub fn of(seed: u64) -> RunPlan {
        let chance = &mut Chance::new(seed, "plan");
        let noon: DateTime<Utc> = DateTime::from_timestamp(1_759_579_200, 0).unwrap_or_default();
        // Half of the runs cross the end of an hour.
        let start = if chance.hits(0.5) {
            noon + TimeDelta::seconds(3_600 - chance.number(1..30) as i64)
        } else {
            noon + TimeDelta::seconds(chance.number(0..3_000) as i64)
        };
        // Each kind of fault is absent from some runs, rare in others, and common in the rest.
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
        RunPlan {
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
            late_parts: chance.one_of(&[0, 0, 1, 4]),
            old_names: chance.hits(0.25),
            rest: Duration::from_secs(chance.one_of(&[61, 25 * 60]) * 60),
            new_names: chance.hits(0.06),
            take_over: chance.one_of(&[NEVER, 0.02, 0.02, 0.1]),
        }
    }

    /// The fault plan of the emulated AWS.
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

    /// Draws a strike against a process: killed, or frozen for how long.
    pub fn strike(&self, chance: &mut Chance, role: Role) -> Strike {
        if chance.hits(0.5) {
            return Strike::Kill;
        }
        // A replay that is frozen for long would only make the run longer.
        let longest = if role == Role::Replay {
            self.frozen.end.min(Duration::from_secs(60))
        } else {
            self.frozen.end
        };
        Strike::Freeze(chance.time(self.frozen.start..longest))
    }
}

/// A strike against a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strike {
    /// The process ends at once.
    Kill,
    /// The process does nothing for this time, then goes on.
    Freeze(Duration),
}
