//! Sign-ins that failed: they are slowed, and past a bound refused, so that a key cannot be guessed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Failures of one address in [`PERIOD`] after which its sign-ins are refused.
pub(crate) const MOST_OF_ADDRESS: u32 = 10;

/// Failures of all addresses in [`PERIOD`] after which sign-ins are refused.
const MOST_IN_ALL: u32 = 200;

/// For how long failures count.
const PERIOD: Duration = Duration::from_secs(60);

/// Most addresses that are counted by themselves; those past it only count with all.
const MOST_ADDRESSES: usize = 10_000;

/// How much later a failure is answered for each one before it.
const STEP: Duration = Duration::from_millis(100);

/// Failed sign-ins of the last minute.
#[derive(Debug, Default)]
pub(crate) struct SignIns(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    all: Count,
    addresses: HashMap<Option<IpAddr>, Count>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    failures: u32,
    since: Option<Instant>,
}

impl Count {
    /// Seconds until failures are forgotten, if there are `most` of them.
    fn wait(&mut self, most: u32) -> Option<u64> {
        let since = self.since?;
        let left = PERIOD.saturating_sub(since.elapsed());
        if left.is_zero() {
            *self = Count::default();
            return None;
        }
        (self.failures >= most).then(|| left.as_secs() + 1)
    }

    fn add(&mut self) -> u32 {
        self.since.get_or_insert_with(Instant::now);
        self.failures += 1;
        self.failures
    }
}

impl SignIns {
    /// Seconds for which sign-ins from this address are refused; none where they are taken.
    pub(crate) fn refused(&self, address: Option<IpAddr>) -> Option<u64> {
        let mut counts = self.counts();
        let of_address = counts.addresses.get_mut(&address);
        let of_address = of_address.and_then(|count| count.wait(MOST_OF_ADDRESS));
        of_address.max(counts.all.wait(MOST_IN_ALL))
    }

    /// Counts a failure, and gives the time after which to answer it.
    pub(crate) fn failed(&self, address: Option<IpAddr>) -> Duration {
        metrics::counter!("headwater_console_failed_sign_ins_total").increment(1);
        let mut counts = self.counts();
        let in_all = counts.all.add();
        if counts.addresses.len() >= MOST_ADDRESSES && !counts.addresses.contains_key(&address) {
            let is_over = |count: &Count| count.since.is_none_or(|since| since.elapsed() >= PERIOD);
            counts.addresses.retain(|_, count| !is_over(count));
            if counts.addresses.len() >= MOST_ADDRESSES {
                return STEP * in_all.min(20);
            }
        }
        STEP * counts.addresses.entry(address).or_default().add().min(20)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([10, 0, 0, last]))
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_fails_often_waits_and_others_do_not() {
        let sign_ins = SignIns::default();
        let mut slower = Duration::ZERO;
        for _ in 0..MOST_OF_ADDRESS {
            assert_eq!(sign_ins.refused(address(1)), None);
            let delay = sign_ins.failed(address(1));
            assert!(delay > slower);
            slower = delay;
        }
        assert!(sign_ins.refused(address(1)).is_some() && sign_ins.refused(address(2)).is_none());
        advance(PERIOD).await;
        assert_eq!(sign_ins.refused(address(1)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn many_addresses_together_are_refused_too() {
        let sign_ins = SignIns::default();
        for n in 0..MOST_IN_ALL {
            sign_ins.failed(address((n % 100) as u8));
        }
        assert!(sign_ins.refused(address(200)).is_some());
    }
}
