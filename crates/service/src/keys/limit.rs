//! How much a key may do: token buckets, and bytes a day. The caller says what time it is.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use tokio::time::Instant;

/// A rate, and how much may be done at once after a pause.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// More than 0.
    pub per_second: f64,
    /// At least 1.
    pub burst: f64,
}

/// What bounds a key; no bound where there is none. Each process counts by itself.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limits {
    /// Requests.
    pub requests: Option<Rate>,
    /// Events, good and refused ones.
    pub events: Option<Rate>,
    /// Bytes of bodies in a day (UTC), unfolded where they were compressed.
    pub bytes_per_day: Option<u64>,
}

impl Limits {
    /// Most events of one body: more could never be there at once.
    pub fn most_events(&self) -> usize {
        self.events.map_or(usize::MAX, |rate| rate.burst as usize)
    }
}

/// A token bucket (also called leaky bucket as a meter). It is full at first, and what is taken may leave it in debt:
/// how many events a body has is known only once it has been read.
#[derive(Debug, Default)]
pub(crate) struct Bucket(Option<(f64, Instant)>);

impl Bucket {
    /// Whether there is a whole token.
    ///
    /// # Errors
    ///
    /// The time until there is one.
    pub(crate) fn check(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        let tokens = self.fill(rate, now);
        if tokens >= 1.0 {
            return Ok(());
        }
        Err(Duration::try_from_secs_f64((1.0 - tokens) / rate.per_second).unwrap_or(Duration::MAX))
    }

    /// Takes tokens, also those that are not there.
    pub(crate) fn take(&mut self, rate: Rate, tokens: f64, now: Instant) {
        let there = self.fill(rate, now);
        self.0 = Some((there - tokens, now));
    }

    fn fill(&mut self, rate: Rate, now: Instant) -> f64 {
        let tokens = match self.0 {
            None => rate.burst,
            Some((tokens, at)) => {
                let more = now.saturating_duration_since(at).as_secs_f64() * rate.per_second;
                (tokens + more).min(rate.burst)
            }
        };
        self.0 = Some((tokens, now));
        tokens
    }
}

/// Bytes of a day, which begins at midnight UTC.
#[derive(Debug, Default)]
pub(crate) struct DayBytes(Option<(NaiveDate, u64)>);

impl DayBytes {
    /// Whether the day has room for a byte.
    ///
    /// # Errors
    ///
    /// The time until the next day.
    pub(crate) fn check(&mut self, most: u64, now: DateTime<Utc>) -> Result<(), Duration> {
        if self.of(now) < most {
            return Ok(());
        }
        let midnight = now.date_naive().succ_opt();
        let midnight = midnight.map(|day| day.and_time(NaiveTime::MIN).and_utc());
        let left = midnight.and_then(|midnight| (midnight - now).to_std().ok());
        Err(left.unwrap_or(Duration::MAX))
    }

    pub(crate) fn take(&mut self, bytes: u64, now: DateTime<Utc>) {
        let there = self.of(now);
        self.0 = Some((now.date_naive(), there.saturating_add(bytes)));
    }

    fn of(&mut self, now: DateTime<Utc>) -> u64 {
        match self.0 {
            Some((day, bytes)) if day == now.date_naive() => bytes,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_more_is_taken_than_burst_and_rate_allow(
            steps in prop::collection::vec((0_u64..3_000, 1_u32..4), 1..200),
            per_second in 1_u32..50,
            burst in 1_u32..20,
        ) {
            let rate = Rate { per_second: per_second.into(), burst: burst.into() };
            let start = Instant::now();
            let (mut bucket, mut now, mut taken, mut last) = (Bucket::default(), start, 0.0, 0.0);
            for (pause, tokens) in steps {
                now += Duration::from_millis(pause);
                if bucket.check(rate, now).is_ok() {
                    bucket.take(rate, tokens.into(), now);
                    taken += f64::from(tokens);
                    last = f64::from(tokens);
                }
                let allowed = rate.burst + rate.per_second * (now - start).as_secs_f64();
                // The last ones may have left a debt.
                prop_assert!(taken - last <= allowed + 1e-6, "{taken} of {allowed}");
            }
        }
    }

    #[test]
    fn whoever_waits_as_told_is_let_in() {
        let rate = Rate {
            per_second: 10.0,
            burst: 5.0,
        };
        let (mut bucket, mut now) = (Bucket::default(), Instant::now());
        bucket.check(rate, now).unwrap();
        bucket.take(rate, 105.0, now);
        let wait = bucket.check(rate, now).unwrap_err();
        assert_eq!(wait.as_millis(), 10_100);
        now += wait;
        assert_eq!(bucket.check(rate, now), Ok(()));
    }

    #[test]
    fn a_day_ends_at_midnight() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let mut day = DayBytes::default();
        let evening = at("2026-11-27T23:59:50Z");
        day.check(100, evening).unwrap();
        day.take(250, evening);
        assert_eq!(day.check(100, evening), Err(Duration::from_secs(10)));
        assert_eq!(day.check(100, at("2026-11-28T00:00:00Z")), Ok(()));
    }
}
