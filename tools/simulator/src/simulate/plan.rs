//! How many events a generator yields, from whom, and how many of them are wrong.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// Event times are whole multiples of this; those of late events lie halfway between, so that no
/// late event can be the same as one in time.
pub(crate) const GRID: Duration = Duration::from_millis(2);

/// What a generator shall yield; the same plan yields the same events.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// How many vehicles there are.
    pub vehicles: u32,
    /// How many cells there are.
    pub cells: u32,
    /// How many live streams there are.
    pub streams: u32,
    /// How many events are yielded in all, those that are repeated or broken included; `None` is
    /// without end.
    pub count: Option<u64>,
    /// Decides all that is left to chance.
    pub seed: u64,
    /// Share of events that repeat an earlier one, byte for byte; 0 to 1.
    pub duplicates: f64,
    /// Share of events whose time is hours to days in the past; 0 to 1.
    pub late: f64,
    /// Share of events that break their contract; 0 to 1.
    pub broken: f64,
    /// Simulated time of the first event.
    pub start: DateTime<Utc>,
    /// Simulated time from each event to the next. Where it is so short that an entity would send
    /// one frame twice in two milliseconds, the generator takes longer steps.
    pub step: Duration,
}

impl Default for Plan {
    /// 20 vehicles and 5 cells, no streams, a second between an entity's turns, from now on, nothing wrong.
    fn default() -> Plan {
        Plan {
            vehicles: 20,
            cells: 5,
            streams: 0,
            count: None,
            seed: 1,
            duplicates: 0.0,
            late: 0.0,
            broken: 0.0,
            start: Utc::now(),
            step: Duration::from_millis(20),
        }
    }
}

/// A plan that cannot be followed.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum PlanError {
    /// The plan has no vehicles, cells or streams.
    #[error("there is no vehicle, cell or stream to simulate")]
    NoEntities,
    /// A share is not from 0 to 1.
    #[error("the share of {0} events is {1}: it must be from 0 to 1")]
    Share(&'static str, f64),
    /// The shares add up to more than all events.
    #[error("the shares of duplicate, late and broken events add up to {0}: at most 1")]
    Shares(f64),
    /// The last event would come later than time goes.
    #[error("{count} events at {step:?} go on for longer than dates do")]
    TooLong {
        /// The number of events.
        count: u64,
        /// Simulated time between two events.
        step: Duration,
    },
}

impl Plan {
    /// Spreads the plan's `count` events over the `span` before `end`: sets `start` and `step`.
    ///
    /// Does nothing to a plan without a count. Where the span is too short for the events (see
    /// [`step`](Plan::step)), `start` moves back so that none is past `end`.
    pub fn spread_before(mut self, end: DateTime<Utc>, span: Duration) -> Plan {
        if let Some(count) = self.count {
            let count = u32::try_from(count.max(1)).unwrap_or(u32::MAX);
            self.step = (span / count).max(self.shortest_step());
            self.start = TimeDelta::from_std(self.step * count)
                .ok()
                .and_then(|span| end.checked_sub_signed(span))
                .unwrap_or(DateTime::UNIX_EPOCH);
        }
        self
    }

    /// The shortest step at which no entity sends one frame twice at one time of the grid.
    pub(crate) fn shortest_step(&self) -> Duration {
        let [vehicles, cells, streams] = [self.vehicles, self.cells, self.streams].map(u128::from);
        let fewest = 2 * vehicles + cells + streams;
        Duration::from_nanos(GRID.as_nanos().div_ceil(fewest.max(1)) as u64)
    }

    pub(crate) fn check(&self) -> Result<(), PlanError> {
        if self.vehicles == 0 && self.cells == 0 && self.streams == 0 {
            return Err(PlanError::NoEntities);
        }
        for (share, name) in [
            (self.duplicates, "duplicate"),
            (self.late, "late"),
            (self.broken, "broken"),
        ] {
            if !(0.0..=1.0).contains(&share) {
                return Err(PlanError::Share(name, share));
            }
        }
        let sum = self.duplicates + self.late + self.broken;
        if sum > 1.0 + 1e-9 {
            return Err(PlanError::Shares(sum));
        }
        let (count, step) = (self.count.unwrap_or(0), self.step.max(self.shortest_step()));
        let last = i64::try_from(step.as_nanos().saturating_mul(u128::from(count)))
            .ok()
            .and_then(|nanos| self.start.checked_add_signed(TimeDelta::nanoseconds(nanos)));
        last.map(|_| ()).ok_or(PlanError::TooLong { count, step })
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use contract::{Kinds, parse_sent};

    use super::*;
    use crate::simulate::Generator;

    #[test]
    fn a_span_too_short_for_its_events_begins_earlier_and_ends_in_time() {
        let end = Utc.with_ymd_and_hms(2025, 10, 4, 12, 0, 0).unwrap();
        let plan = Plan {
            vehicles: 1,
            cells: 0,
            count: Some(100_000),
            ..Plan::default()
        };
        let plan = plan.spread_before(end, Duration::from_secs(1));
        assert!(plan.start <= end - TimeDelta::seconds(99));
        let last = Generator::new(&plan).unwrap().last().unwrap();
        assert!(
            parse_sent(&Kinds::builtin(), None, &last.body, end)
                .unwrap()
                .time
                <= end
        );
    }

    #[test]
    fn plans_that_contradict_themselves_are_refused() {
        let refused = |plan: Plan| Generator::new(&plan).unwrap_err();
        assert_eq!(
            refused(Plan {
                vehicles: 0,
                cells: 0,
                ..Plan::default()
            }),
            PlanError::NoEntities
        );
        assert_eq!(
            refused(Plan {
                late: -0.1,
                ..Plan::default()
            }),
            PlanError::Share("late", -0.1)
        );
        assert_eq!(
            refused(Plan {
                broken: 0.9,
                duplicates: 0.5,
                late: 0.0,
                ..Plan::default()
            }),
            PlanError::Shares(1.4)
        );
        assert!(matches!(
            refused(Plan {
                broken: f64::NAN,
                ..Plan::default()
            }),
            PlanError::Share("broken", _)
        ));
    }
}
