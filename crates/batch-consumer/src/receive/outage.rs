//! Slows receiving down while nothing can be written.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Longest pause between receives while writes fail.
const MAX_OUTAGE_PAUSE: Duration = Duration::from_secs(30);

/// Whether writes fail. Each receive counts towards a message's redrive: while nothing can be
/// written, the fewer the better.
#[derive(Debug, Default)]
pub struct Outage(AtomicU32);

impl Outage {
    /// A batch was written, or not.
    pub fn note(&self, written: bool) {
        if written {
            self.0.store(0, Ordering::Relaxed);
        } else {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits longer the more writes have failed in a row: 1 s, doubling to half a minute.
    pub async fn pause(&self) {
        let failures = self.0.load(Ordering::Relaxed);
        if let Some(doublings) = failures.checked_sub(1) {
            let pause = Duration::from_secs(1 << doublings.min(5));
            tokio::time::sleep(pause.min(MAX_OUTAGE_PAUSE)).await;
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
