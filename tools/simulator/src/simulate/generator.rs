//! What to send, and in which state: sound, repeated, late or broken.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use contract::format_millis;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::breakage::Breakage;
use super::fleet::{Fleet, FleetEvent};
use super::plan::{GRID, Plan, PlanError};
use crate::event::{Class, DueEvent};

/// A duplicate repeats one of this many sound events before it.
const REMEMBERED: usize = 256;

/// Late events are taken from before the start of the period of this length that the run is in.
const LATE_PERIOD: TimeDelta = TimeDelta::hours(72);

/// Least time before that start.
const LATE_LEAST: TimeDelta = TimeDelta::hours(1);

/// Times on the grid between [`LATE_LEAST`] and [`LATE_PERIOD`] before.
const LATE_SLOTS: u64 = 71 * 3_600_000 / 2;

/// Has no divisor in common with [`LATE_SLOTS`], so that its multiples visit each slot once.
const LATE_STRIDE: u64 = 7_742_933;

/// An event of a [`Generator`], and what is to become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulatedEvent {
    /// `vehicle`, `cell`, or one of the kinds of streams.
    pub kind: &'static str,
    /// The event as JSON, one line.
    pub body: String,
    /// In which state it is.
    pub class: Class,
    /// How it was broken, where it was.
    pub breakage: Option<Breakage>,
}

/// Yields the events of a [`Plan`].
///
/// All sound events but duplicates differ from each other: two of the same entity and frame have
/// different times. Duplicates repeat one of the last few hundred, so that both may be under way at once.
#[derive(Debug)]
pub struct Generator {
    fleet: Fleet,
    chance: StdRng,
    start: DateTime<Utc>,
    step: Duration,
    shares: [f64; 3],
    left: Option<u64>,
    yielded: u64,
    late: u64,
    broken: usize,
    recent: VecDeque<FleetEvent>,
}

impl Generator {
    /// A generator at the plan's first event.
    ///
    /// # Errors
    ///
    /// [`PlanError`] where the plan contradicts itself.
    pub fn new(plan: &Plan) -> Result<Generator, PlanError> {
        plan.check()?;
        // Ids depend on the start too: the same seed an hour later yields other events.
        let ids = plan.seed ^ plan.start.timestamp_millis().unsigned_abs().rotate_left(32);
        let fleet = Fleet::new(plan.vehicles, plan.cells, plan.streams, plan.seed, ids);
        Ok(Generator {
            step: plan.step.max(plan.shortest_step()),
            fleet,
            chance: StdRng::seed_from_u64(plan.seed.wrapping_add(1)),
            start: on_grid(plan.start),
            shares: [plan.duplicates, plan.late, plan.broken],
            left: plan.count,
            yielded: 0,
            late: 0,
            broken: 0,
            recent: VecDeque::with_capacity(REMEMBERED),
        })
    }

    /// The events for [`send`](crate::send), due `interval` of real time apart; `None` is as fast as possible.
    pub fn paced(
        self,
        interval: Option<Duration>,
    ) -> impl Iterator<Item = Result<DueEvent, Infallible>> + Send + 'static {
        self.enumerate().map(move |(at, sent)| {
            // From the event's number rather than step by step: rounding does not add up.
            let due = interval.map(|interval| {
                Duration::try_from_secs_f64(interval.as_secs_f64() * at as f64)
                    .unwrap_or(Duration::MAX)
            });
            Ok(DueEvent {
                body: sent.body,
                class: sent.class,
                due,
            })
        })
    }

    /// Simulated time of the next event; `None` past the end of dates.
    fn now(&self) -> Option<DateTime<Utc>> {
        let passed = self.step.as_nanos().checked_mul(u128::from(self.yielded))?;
        let seconds = i64::try_from(passed / 1_000_000_000).ok()?;
        let passed = TimeDelta::new(seconds, (passed % 1_000_000_000) as u32)?;
        self.start.checked_add_signed(passed).map(on_grid)
    }

    /// A time hours to days before `now` that no other event has.
    fn late_time(&mut self, now: DateTime<Utc>) -> DateTime<Utc> {
        let periods = (now - self.start).num_hours() / LATE_PERIOD.num_hours();
        let before = self.start + LATE_PERIOD * i32::try_from(periods).unwrap_or(0) - LATE_LEAST;
        let slot = self.late.wrapping_mul(LATE_STRIDE) % LATE_SLOTS;
        self.late += 1;
        before - TimeDelta::milliseconds(2 * slot as i64 + 1)
    }

    fn draw_class(&mut self) -> Class {
        let [duplicates, late, broken] = self.shares;
        let drawn: f64 = self.chance.random();
        match drawn {
            // Nothing to repeat yet: the first event is always new.
            _ if drawn < duplicates && !self.recent.is_empty() => Class::Duplicate,
            _ if drawn < duplicates => Class::Good,
            _ if drawn < duplicates + late => Class::Late,
            _ if drawn < duplicates + late + broken => Class::Broken,
            _ => Class::Good,
        }
    }

    fn remember(&mut self, event: &FleetEvent) {
        // Only duplicates need it; the copy is not free.
        if self.shares[0] > 0.0 {
            if self.recent.len() == REMEMBERED {
                self.recent.pop_front();
            }
            self.recent.push_back(event.clone());
        }
    }
}

impl Iterator for Generator {
    type Item = SimulatedEvent;

    fn next(&mut self) -> Option<SimulatedEvent> {
        if self.left == Some(0) {
            return None;
        }
        let now = self.now()?;
        let class = self.draw_class();
        let mut breakage = None;
        let event = if class == Class::Duplicate {
            let at = self.chance.random_range(0..self.recent.len());
            self.recent[at].clone()
        } else {
            let mut event = self.fleet.next_event(now)?;
            match class {
                Class::Late => {
                    let (then, now) = (format_millis(self.late_time(now)), format_millis(now));
                    event.body = event.body.replacen(&now, &then, 1);
                }
                Class::Broken => {
                    let way = Breakage::ALL[self.broken % Breakage::ALL.len()];
                    self.broken += 1;
                    event.body = way.apply(event.kind, &event.body);
                    breakage = Some(way);
                }
                Class::Good | Class::Duplicate => {}
            }
            if class != Class::Broken {
                self.remember(&event);
            }
            event
        };
        self.yielded += 1;
        self.left = self.left.map(|left| left - 1);
        Some(SimulatedEvent {
            kind: event.kind,
            body: event.body,
            class,
            breakage,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self.left.map(usize::try_from) {
            Some(Ok(left)) => (left, Some(left)),
            _ => (0, None),
        }
    }
}

fn on_grid(time: DateTime<Utc>) -> DateTime<Utc> {
    let grid = GRID.as_nanos() as u32;
    time.with_nanosecond(time.nanosecond() / grid * grid)
        .unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use chrono::TimeZone;
    use contract::{Kinds, parse_sent};

    use super::*;

    fn plan() -> Plan {
        Plan {
            count: Some(20_000),
            seed: 42,
            duplicates: 0.05,
            late: 0.03,
            broken: 0.02,
            ..Plan::default()
        }
        .spread_before(
            Utc.with_ymd_and_hms(2025, 10, 4, 12, 0, 0).unwrap(),
            Duration::from_secs(6 * 3_600),
        )
    }

    #[test]
    fn one_plan_yields_the_same_events_every_time_and_another_seed_others() {
        let once: Vec<SimulatedEvent> = Generator::new(&plan()).unwrap().collect();
        assert_eq!(once, Generator::new(&plan()).unwrap().collect::<Vec<_>>());
        let other: Vec<SimulatedEvent> = Generator::new(&Plan { seed: 43, ..plan() })
            .unwrap()
            .collect();
        assert!(
            once.iter()
                .zip(&other)
                .filter(|(one, other)| one.body == other.body)
                .count()
                < 100
        );
    }

    #[test]
    fn the_same_seed_at_another_time_uses_other_event_ids() {
        let ids = |plan: &Plan| -> HashSet<String> {
            let events = Generator::new(plan)
                .unwrap()
                .filter(|sent| sent.class == Class::Good && sent.kind == "cell");
            events.map(|sent| sent.body[..52].to_owned()).collect()
        };
        let later = Plan {
            start: plan().start + TimeDelta::seconds(1),
            ..plan()
        };
        assert!(ids(&plan()).is_disjoint(&ids(&later)));
    }

    #[test]
    fn shares_come_out_as_asked() {
        let sent: Vec<SimulatedEvent> = Generator::new(&plan()).unwrap().collect();
        assert_eq!(sent.len(), 20_000);
        for (class, asked) in [
            (Class::Duplicate, 0.05),
            (Class::Late, 0.03),
            (Class::Broken, 0.02),
        ] {
            let share = sent.iter().filter(|sent| sent.class == class).count() as f64 / 20_000.0;
            assert!(
                (share - asked).abs() < 0.006,
                "{class:?}: {share} for {asked}"
            );
        }
    }

    #[test]
    fn every_class_is_what_it_says() {
        let kinds = Kinds::builtin();
        let plan = plan();
        let end = plan.start + TimeDelta::hours(6);
        let mut seen = HashSet::new();
        for sent in Generator::new(&plan).unwrap() {
            let read = parse_sent(&kinds, None, &sent.body, end);
            match sent.class {
                Class::Good => {
                    let event = read.unwrap();
                    assert!(
                        (plan.start..=end).contains(&event.time) && event.kind.name == sent.kind
                    );
                    assert!(seen.insert(sent.body), "good events differ from each other");
                }
                Class::Late => {
                    assert!(read.unwrap().time < end - TimeDelta::hours(1));
                    assert!(seen.insert(sent.body), "late events differ from each other");
                }
                Class::Duplicate => assert!(seen.contains(&sent.body)),
                Class::Broken => {
                    assert_eq!(read.unwrap_err().code, sent.breakage.unwrap().expected())
                }
            }
        }
    }

    #[test]
    fn however_fast_no_frame_of_an_entity_has_the_same_time_twice() {
        let plan = Plan {
            vehicles: 1,
            cells: 0,
            count: Some(50_000),
            step: Duration::ZERO,
            ..plan()
        };
        let plan = Plan {
            duplicates: 0.0,
            late: 0.5,
            broken: 0.0,
            ..plan
        };
        let mut seen = HashSet::new();
        let time_and_frame = |body: String| body[..80].to_owned();
        assert!(
            Generator::new(&plan)
                .unwrap()
                .all(|sent| seen.insert(time_and_frame(sent.body)))
        );
    }
}
