//! The time of day without the jumps of a clock that is set.

use std::time::Duration;

use aws::Clock;
use tokio::time::Instant;
use tracing::warn;

/// What the time of day differs by from the time that has passed, in milliseconds, if it was set.
pub(super) const JUMP: i64 = 60_000;

/// A time that the clock was set to is believed after this long.
const BELIEVED_AFTER: Duration = Duration::from_secs(600);

/// The time of day as windows may follow it. A clock that is set ahead by mistake would close windows over events that
/// have yet to happen, and nothing would open them again. So a jump is followed only when arrivals, which are by the
/// clock of ingest, have come so far, or after ten minutes: a machine that slept has jumped rightly.
#[derive(Debug)]
pub(super) struct SteadyClock {
    clock: Clock,
    /// The time that was given last, in milliseconds since 1970, and when that was.
    last: (i64, Instant),
    jumped: Option<Instant>,
}

impl SteadyClock {
    pub(super) fn new(clock: Clock) -> SteadyClock {
        SteadyClock {
            last: (clock.now().timestamp_millis(), Instant::now()),
            clock,
            jumped: None,
        }
    }

    /// The time as it was given last.
    pub(super) fn last(&self) -> i64 {
        self.last.0
    }

    /// The time now; `newest_arrival` is the newest `ingest_received_at` that is known.
    pub(super) fn now(&mut self, newest_arrival: Option<i64>) -> i64 {
        let of_day = self.clock.now().timestamp_millis();
        self.pass(of_day, Instant::now(), newest_arrival)
    }

    fn pass(&mut self, of_day: i64, at: Instant, newest_arrival: Option<i64>) -> i64 {
        let passed = at.saturating_duration_since(self.last.1).as_millis();
        let steady = self.last.0 + i64::try_from(passed).unwrap_or(i64::MAX / 2);
        let jump = of_day - steady;
        let now = if jump.abs() <= JUMP || self.is_believed(at, jump) {
            self.jumped = None;
            of_day
        } else {
            let arrived = newest_arrival.map_or(steady, |newest| newest.min(of_day));
            steady.max(arrived)
        };
        self.last = (now, at);
        now
    }

    fn is_believed(&mut self, at: Instant, jump: i64) -> bool {
        let since = *self.jumped.get_or_insert_with(|| {
            warn!(
                event = "clock_jumped",
                seconds = jump / 1_000,
                "the clock was set by {} s: it is followed once arrivals say so, or in ten minutes",
                jump / 1_000
            );
            at
        });
        at.saturating_duration_since(since) >= BELIEVED_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_759_579_200_000;
    const HOUR: i64 = 3_600_000;

    struct Passing {
        clock: SteadyClock,
        begun: Instant,
    }

    impl Passing {
        fn new() -> Passing {
            let begun = Instant::now();
            let clock = SteadyClock {
                clock: Clock::system(),
                last: (START, begun),
                jumped: None,
            };
            Passing { clock, begun }
        }

        /// What is given after so many seconds, where the clock differs by `set`; from [`START`].
        fn after(&mut self, seconds: i64, set: i64, newest: Option<i64>) -> i64 {
            let at = self.begun + Duration::from_secs(seconds.unsigned_abs());
            let newest = newest.map(|newest| START + newest);
            self.clock.pass(START + seconds * 1_000 + set, at, newest) - START
        }
    }

    #[test]
    fn small_corrections_are_followed() {
        let mut passing = Passing::new();
        assert_eq!(passing.after(1, 0, None), 1_000);
        assert_eq!(passing.after(2, 30_000, None), 32_000);
        assert_eq!(passing.after(3, -20_000, None), -17_000);
    }

    #[test]
    fn a_jump_that_is_taken_back_changes_nothing() {
        for jump in [-HOUR, HOUR] {
            let mut passing = Passing::new();
            for seconds in 1..500 {
                assert_eq!(passing.after(seconds, jump, Some(0)), seconds * 1_000);
            }
            assert_eq!(passing.after(500, 0, Some(0)), 500_000);
            // It is a new jump after that.
            assert_eq!(passing.after(501, jump, Some(0)), 501_000);
            assert_eq!(passing.after(1_100, jump, Some(0)), 1_100_000);
        }
    }

    #[test]
    fn a_jump_that_stays_is_followed_after_ten_minutes() {
        for jump in [-HOUR, HOUR] {
            let mut passing = Passing::new();
            assert_eq!(passing.after(1, jump, None), 1_000);
            assert_eq!(passing.after(600, jump, None), 600_000);
            assert_eq!(passing.after(601, jump, None), 601_000 + jump);
            assert_eq!(passing.after(602, jump, None), 602_000 + jump);
        }
    }

    #[test]
    fn a_jump_that_arrivals_confirm_is_followed_at_once() {
        let mut passing = Passing::new();
        assert_eq!(passing.after(1, HOUR, None), 1_000);
        assert_eq!(passing.after(2, HOUR, Some(HOUR)), HOUR);
        assert_eq!(passing.after(3, HOUR, Some(HOUR)), HOUR + 3_000);
        // No arrival says more than the clock does.
        let mut passing = Passing::new();
        assert_eq!(passing.after(1, HOUR, Some(9 * HOUR)), HOUR + 1_000);
    }
}
