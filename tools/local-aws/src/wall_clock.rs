//! Time: the wall clock at the start, moved on by the runtime's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// A moment as the time since the Unix epoch, so that it can be written to disk.
pub(crate) type Moment = Duration;

/// The time is `start` plus the advance of tokio's clock since. A test that pauses tokio's clock thereby
/// moves every timeout and timestamp.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WallClock {
    start: Moment,
    origin: Instant,
}

impl WallClock {
    pub(crate) fn starting_at(start: SystemTime) -> Self {
        let start = start.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            start,
            origin: Instant::now(),
        }
    }

    pub(crate) fn now(&self) -> Moment {
        self.start + self.origin.elapsed()
    }

    /// The runtime's instant of a moment, to sleep until it.
    pub(crate) fn instant(&self, moment: Moment) -> Instant {
        self.origin + moment.saturating_sub(self.start)
    }
}

/// A moment as a [`SystemTime`], for HTTP dates.
pub(crate) fn system_time(moment: Moment) -> SystemTime {
    UNIX_EPOCH + moment
}

/// A moment as `2025-10-04T12:34:56.123Z`, as S3 writes it in XML.
pub(crate) fn rfc3339(moment: Moment) -> String {
    humantime::format_rfc3339_millis(system_time(moment)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_clock_follows_the_paused_clock_of_the_runtime() {
        let clock = WallClock::starting_at(UNIX_EPOCH + Duration::from_secs(1_000));
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(clock.now(), Duration::from_secs(1_090));
        assert_eq!(clock.instant(clock.now()), Instant::now());
        assert_eq!(
            rfc3339(Duration::from_millis(1_500)),
            "1970-01-01T00:00:01.500Z"
        );
    }
}
