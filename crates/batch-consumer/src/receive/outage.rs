//! Slows receiving down while nothing can be written.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const MAX_PAUSE: Duration = Duration::from_secs(30);

/// How many writes have failed in a row. Each receive counts towards `maxReceiveCount`, past which a
/// message becomes a dead letter: while nothing can be written, few receives keep messages alive.
#[derive(Debug, Default)]
pub(crate) struct Outage(AtomicU32);

impl Outage {
    /// Notes whether a batch could be written.
    pub(crate) fn note(&self, written: bool) {
        if written {
            self.0.store(0, Ordering::Relaxed);
        } else {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits 1 s after one failure, doubling to 30 s with each further one in a row; not at all after a success.
    pub(crate) async fn pause(&self) {
        let failures = self.0.load(Ordering::Relaxed);
        if let Some(doublings) = failures.checked_sub(1) {
            let pause = Duration::from_secs(1 << doublings.min(5));
            tokio::time::sleep(pause.min(MAX_PAUSE)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn receives_pause_longer_the_more_writes_fail() {
        let outage = Outage::default();
        let mut pauses = Vec::new();
        for failures in 0..8 {
            let start = Instant::now();
            outage.pause().await;
            pauses.push(start.elapsed().as_secs());
            outage.note(failures > 6);
        }
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 30, 30]);
        let start = Instant::now();
        outage.pause().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
