//! The time of day, which a simulation sets.

use std::time::SystemTime;

use aws_smithy_async::time::TimeSource;
use chrono::{DateTime, Utc};
use tokio::time::Instant;

/// A clock for the time of day: the system's, or one that starts at a given time and goes on with tokio's clock, so
/// that a paused runtime decides how time passes. Two clocks of one simulation may differ, as the clocks of two
/// machines do.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock(Option<(DateTime<Utc>, Instant)>);

impl Clock {
    /// The system's clock.
    pub fn system() -> Clock {
        Clock(None)
    }

    /// A clock that says `start` now. To be made within the runtime whose clock it follows.
    pub fn starting_at(start: DateTime<Utc>) -> Clock {
        Clock(Some((start, Instant::now())))
    }

    /// The time of day.
    pub fn now(&self) -> DateTime<Utc> {
        match self.0 {
            Some((start, origin)) => start + origin.elapsed(),
            None => Utc::now(),
        }
    }
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        Clock::now(self).into()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_was_set_goes_on_with_the_runtime() {
        let start: DateTime<Utc> = "2025-10-04T12:00:00Z".parse().unwrap();
        let clock = Clock::starting_at(start);
        tokio::time::advance(Duration::from_secs(90)).await;
        let ahead = Clock::starting_at(clock.now() + Duration::from_secs(7));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(clock.now(), start + Duration::from_secs(100));
        assert_eq!(ahead.now(), start + Duration::from_secs(107));
    }
}
