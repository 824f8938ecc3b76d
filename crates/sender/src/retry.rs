//! When to post again, and when to give up: decided here, waited for in the client.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use rand::RngExt;
use tokio::time::Instant;

/// First wait after a failure; each next one is twice as long, up to [`LONGEST_WAIT`].
const SHORTEST_WAIT: Duration = Duration::from_millis(100);

/// Longest wait that the client chooses by itself. A server may ask for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The retries of one post.
#[derive(Debug)]
pub(crate) struct Retries {
    deadline: Instant,
    waits: ExponentialBackoff,
}

impl Retries {
    /// Retries for at most `budget` from `now` on.
    pub(crate) fn new(now: Instant, budget: Duration) -> Retries {
        let waits = ExponentialBuilder::default()
            .with_min_delay(SHORTEST_WAIT)
            .with_max_delay(LONGEST_WAIT)
            .with_factor(2.0)
            .with_jitter()
            .without_max_times()
            .build();
        // A budget past the end of the clock is no deadline: 30 years, as tokio has it.
        let deadline = now
            .checked_add(budget)
            .unwrap_or_else(|| now + Duration::from_secs(86_400 * 365 * 30));
        Retries { deadline, waits }
    }

    /// How long to wait before the next attempt; `None` if it would be past the deadline.
    ///
    /// `asked` is the server's `Retry-After`. It is kept to, and a tenth at random is added, so that
    /// clients who were sent away together do not come back together.
    pub(crate) fn next_wait(&mut self, now: Instant, asked: Option<Duration>) -> Option<Duration> {
        let own = self.waits.next().unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT);
        let wait = match asked {
            // Also keeps the product below what a duration holds.
            Some(asked) if asked > self.deadline.saturating_duration_since(now) => return None,
            Some(asked) => asked
                .max(SHORTEST_WAIT)
                .mul_f64(rand::rng().random_range(1.0..1.1)),
            None => own,
        };
        (now.checked_add(wait)? <= self.deadline).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_are_bounded_and_end_at_the_deadline() {
        let start = Instant::now();
        let mut retries = Retries::new(start, Duration::from_secs(60));
        let (mut now, mut waits) = (start, Vec::new());
        while let Some(wait) = retries.next_wait(now, None) {
            now += wait;
            waits.push(wait);
        }
        assert!(
            waits[0] < Duration::from_millis(201) && waits.len() > 12,
            "{waits:?}"
        );
        assert!(
            waits
                .iter()
                .all(|wait| (SHORTEST_WAIT..=LONGEST_WAIT).contains(wait)),
            "{waits:?}"
        );
        assert!((Duration::from_secs(54)..=Duration::from_secs(60)).contains(&(now - start)));
    }

    #[test]
    fn a_server_that_asks_for_time_gets_it_unless_it_is_past_the_deadline() {
        let now = Instant::now();
        let mut retries = Retries::new(now, Duration::from_secs(60));
        let wait = retries
            .next_wait(now, Some(Duration::from_secs(7)))
            .unwrap();
        assert!((Duration::from_secs(7)..Duration::from_millis(7_701)).contains(&wait));
        assert_eq!(retries.next_wait(now, Some(Duration::from_secs(61))), None);
        assert_eq!(retries.next_wait(now, Some(Duration::MAX)), None);
    }

    #[test]
    fn no_budget_means_no_second_attempt() {
        let now = Instant::now();
        assert_eq!(Retries::new(now, Duration::ZERO).next_wait(now, None), None);
    }
}
