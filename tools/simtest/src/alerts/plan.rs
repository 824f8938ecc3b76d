//! The decisions of a seed about a run with alerts.

use std::time::Duration;

use chrono::TimeDelta;

use crate::chance::Chance;
use crate::plan::RunPlan;

/// What the seed decides beside [`RunPlan`].
#[derive(Debug, Clone)]
pub struct AlertsPlan {
    /// Number of processes of `alerts`; of two, one stands by.
    pub processes: usize,
    /// Number of devices whose clocks are right.
    pub devices: usize,
    /// Whether there is a device whose clock is minutes ahead.
    pub fast_clock: bool,
    /// Time during which devices send.
    pub load: Duration,
    /// Time between two moments at which devices may measure.
    pub beat: Duration,
    /// `LATENESS`.
    pub lateness: Duration,
    /// `POLL`.
    pub poll: Duration,
    /// Records after which `alerts` writes a snapshot.
    pub snapshot_every: u64,
    /// Probability that an event of a device with a bad connection comes late.
    pub late: f64,
    /// Probability that a message is put into the queue twice.
    pub repeated: f64,
    /// Probability that a receiver does not simply take a message.
    pub refused: f64,
    /// When no consumer works, from the beginning of the load, and for how long; None for never.
    pub outage: Option<(Duration, Duration)>,
    /// For each receiver, when it is away for an hour, from the beginning of the load; None for never.
    pub away: [Option<Duration>; 2],
}

impl AlertsPlan {
    /// The plan of a seed.
    pub fn of(seed: u64) -> AlertsPlan {
        let chance = &mut Chance::new(seed, "alerts plan");
        let seconds = Duration::from_secs;
        let has_outage = chance.hits(0.25);
        // After an outage more must wait than `alerts` finds at one look.
        let (beat, longest) = if has_outage {
            (1, 720)
        } else {
            (chance.one_of(&[2, 4, 6, 10]), 540)
        };
        let load = seconds(chance.number(240..longest));
        let mut away = || {
            // Seldom, for such a run lasts an hour longer.
            let is_away = chance.hits(0.03);
            let from = chance.time(Duration::ZERO..load);
            is_away.then_some(from)
        };
        let away = [away(), away()];
        let outage = has_outage.then(|| {
            let from = chance.time(Duration::ZERO..load / 2);
            (from, chance.time(seconds(60)..seconds(600)))
        });
        AlertsPlan {
            processes: chance.one_of(&[1, 2, 2]),
            devices: chance.one_of(&[2, 4, 6]),
            fast_clock: chance.hits(0.5),
            load,
            beat: seconds(beat),
            lateness: seconds(chance.one_of(&[120, 300, 300, 900])),
            poll: Duration::from_millis(chance.one_of(&[1_000, 3_000, 5_000])),
            snapshot_every: chance.one_of(&[20, 60, 60, 500]),
            late: chance.one_of(&[0.0, 0.05, 0.2]),
            repeated: chance.one_of(&[0.0, 0.05, 0.3]),
            refused: chance.one_of(&[0.0, 0.1, 0.4]),
            outage,
            away,
        }
    }
}

/// The plan of processes, AWS and time: as of the pipeline, but for longer, and with less of each fault.
pub fn run_plan(seed: u64) -> RunPlan {
    let plan = RunPlan::of(seed);
    let chance = &mut Chance::new(seed, "alerts run");
    let strike_every = chance.one_of(&[None, Some(90), Some(30)]);
    let longest_freeze = chance.one_of(&[5, 20, 60]);
    let rare = |probability: f64| probability / 2.0;
    RunPlan {
        consumers: 2,
        old_names: false,
        clock_error: TimeDelta::milliseconds(chance.one_of(&[0, 900, 3_000])),
        cloud: plan
            .cloud
            .iter()
            .map(|(kind, p)| (*kind, rare(*p)))
            .collect(),
        slow: chance.one_of(&[0.0, 0.005, 0.03]),
        slowness: Duration::from_millis(200)..Duration::from_secs(chance.one_of(&[2, 10, 45])),
        struck: chance.one_of(&[0.0, 0.001, 0.004]),
        strike_every: strike_every.map(Duration::from_secs),
        frozen: Duration::from_millis(500)..Duration::from_secs(longest_freeze),
        ..plan
    }
}
