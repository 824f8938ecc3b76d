//! Requests whose key is not accepted: counted, logged with their address, and slowed.
//!
//! They are slowed within bounds, so that nobody can hold seats with them: [`LONGEST`] each, [`MOST_WAITING`] at a
//! time. One more is answered at once. Requests with an accepted key are never slowed, also where they come from the
//! same address, as all do behind a load balancer.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::counter;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use super::KeyError;
use super::limit::{Bucket, Rate};

/// How much later a request is answered for each one of its address that was refused before it.
const STEP: Duration = Duration::from_millis(100);

/// Longest time for which an answer is held back.
const LONGEST: Duration = Duration::from_secs(1);

/// Most answers that are held back at a time.
const MOST_WAITING: usize = 64;

/// For how long the refused requests of an address count.
const PERIOD: Duration = Duration::from_secs(60);

/// Most addresses that are counted by themselves.
const MOST_ADDRESSES: usize = 10_000;

/// Log lines.
const LINES: Rate = Rate {
    per_second: 2.0,
    burst: 20.0,
};

/// The refused requests of the last minute.
#[derive(Debug)]
pub(super) struct Strangers {
    waiting: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    addresses: HashMap<Option<IpAddr>, (u32, Option<Instant>)>,
    lines: Bucket,
}

impl Default for Strangers {
    fn default() -> Strangers {
        Strangers {
            waiting: Semaphore::new(MOST_WAITING),
            state: Mutex::default(),
        }
    }
}

impl Strangers {
    /// Counts a refused request, and returns when it is to be answered. `forwarded` is what a proxy says of the client:
    /// nobody vouches for it.
    pub(super) async fn refused(
        &self,
        error: &KeyError,
        address: Option<IpAddr>,
        forwarded: Option<&str>,
    ) {
        counter!("headwater_refused_keys_total", "code" => error.code()).increment(1);
        // Who sends no key guesses none, and is most often a person who forgot it.
        if *error == KeyError::Missing {
            return;
        }
        let delay = self.note(error, address, forwarded);
        if let Ok(_place) = self.waiting.try_acquire() {
            sleep(delay).await;
        }
    }

    /// Counts and logs; gives for how long the answer is to be held back.
    fn note(&self, error: &KeyError, address: Option<IpAddr>, forwarded: Option<&str>) -> Duration {
        let now = Instant::now();
        let mut state = self.state();
        let is_over = |since: Option<Instant>| since.is_none_or(|since| now - since >= PERIOD);
        if state.addresses.len() >= MOST_ADDRESSES && !state.addresses.contains_key(&address) {
            state.addresses.retain(|_, (_, since)| !is_over(*since));
            if state.addresses.len() >= MOST_ADDRESSES {
                return LONGEST;
            }
        }
        let (refused, since) = state.addresses.entry(address).or_default();
        if is_over(*since) {
            (*refused, *since) = (0, Some(now));
        }
        *refused = refused.saturating_add(1);
        let refused = *refused;
        // The 1st, 10th, 100th of an address: a flood writes a few lines.
        let is_telling = 10_u32.pow(refused.ilog10()) == refused;
        if is_telling && state.lines.check(LINES, now).is_ok() {
            state.lines.take(LINES, 1.0, now);
            drop(state);
            let forwarded = forwarded.map(shown);
            let address = address.map(tracing::field::display);
            tracing::warn!(
                event = "key_refused",
                address,
                forwarded,
                code = error.code(),
                refused,
                "requests without an accepted key, {refused} within a minute from this address"
            );
        }
        (STEP * refused.min(100)).min(LONGEST)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last address of a `x-forwarded-for`, which the nearest proxy has added, as it may stand in a log.
fn shown(forwarded: &str) -> String {
    let last = forwarded.rsplit(',').next().unwrap_or_default().trim();
    let plain = |letter: &char| letter.is_ascii_hexdigit() || ".:[]".contains(*letter);
    last.chars().filter(plain).take(60).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([10, 0, 0, last]))
    }

    #[tokio::test(start_paused = true)]
    async fn guesses_of_an_address_are_slowed_for_a_second_at_most() {
        let strangers = Strangers::default();
        let took = async |from: Option<IpAddr>| {
            let start = Instant::now();
            strangers.refused(&KeyError::Wrong, from, None).await;
            start.elapsed()
        };
        assert_eq!(took(address(1)).await, STEP);
        assert_eq!(took(address(1)).await, STEP * 2);
        for _ in 0..30 {
            took(address(1)).await;
        }
        assert_eq!(took(address(1)).await, LONGEST);
        assert_eq!(took(address(2)).await, STEP);
        tokio::time::advance(PERIOD).await;
        assert_eq!(took(address(1)).await, STEP);
        let start = Instant::now();
        strangers
            .refused(&KeyError::Missing, address(1), None)
            .await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_wait_than_there_are_places() {
        let strangers = Arc::new(Strangers::default());
        let tasks: Vec<_> = (0..500_u16)
            .map(|number| {
                let strangers = strangers.clone();
                let from = Some(IpAddr::from([
                    10,
                    1,
                    (number / 250) as u8,
                    (number % 250) as u8,
                ]));
                tokio::spawn(async move {
                    let start = Instant::now();
                    strangers.refused(&KeyError::Wrong, from, None).await;
                    start.elapsed().is_zero()
                })
            })
            .collect();
        let mut at_once = 0;
        for task in tasks {
            at_once += usize::from(task.await.unwrap());
        }
        assert_eq!(at_once, 500 - MOST_WAITING);
    }

    #[test]
    fn what_a_proxy_says_is_shown_as_an_address_or_not_at_all() {
        assert_eq!(shown("evil\n, 10.0.0.7"), "10.0.0.7");
        assert_eq!(shown("x\u{202e}y=\"1\""), "1");
    }
}
