//! When a recorded event is due again.

use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};

/// How fast recorded time passes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    /// As fast as ingest takes the events.
    Max,
    /// This many times as fast as it was recorded.
    Times(f64),
}

/// Not a speed.
#[derive(Debug, thiserror::Error)]
#[error(
    "a speed is `max` or a number above 0, such as 1 (as recorded) or 60 (an hour in a minute)"
)]
pub struct SpeedError;

impl FromStr for Speed {
    type Err = SpeedError;

    fn from_str(text: &str) -> Result<Speed, SpeedError> {
        match text.strip_suffix('x').unwrap_or(text).parse::<f64>() {
            _ if text == "max" => Ok(Speed::Max),
            Ok(times) if times > 0.0 && times.is_finite() => Ok(Speed::Times(times)),
            _ => Err(SpeedError),
        }
    }
}

/// Turns event times into due times, counted from the start of the replay. Each file starts when
/// the one before has ended, however many days were between them.
#[derive(Debug)]
pub(crate) struct Pace {
    speed: Speed,
    /// Event time and due time of the file's first event.
    first: Option<(DateTime<Utc>, Duration)>,
    last_due: Duration,
}

impl Pace {
    pub(crate) fn new(speed: Speed) -> Pace {
        Pace {
            speed,
            first: None,
            last_due: Duration::ZERO,
        }
    }

    pub(crate) fn next_file(&mut self) {
        self.first = None;
    }

    /// When an event of that time is due; `None` is at once. Never earlier than an event before it: a clock
    /// that runs backwards does not reorder a recording. An event without a time is due with the one before it.
    pub(crate) fn due(&mut self, time: Option<DateTime<Utc>>) -> Option<Duration> {
        let Speed::Times(times) = self.speed else {
            return None;
        };
        if let Some(time) = time {
            let (first, start) = *self.first.get_or_insert((time, self.last_due));
            let passed = (time - first).to_std().unwrap_or_default().as_secs_f64() / times;
            let due = Duration::try_from_secs_f64(passed)
                .ok()
                .and_then(|passed| start.checked_add(passed));
            self.last_due = self.last_due.max(due.unwrap_or(Duration::MAX));
        }
        Some(self.last_due)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn events_keep_their_distances_divided_by_the_speed() {
        let mut pace = Pace::new("60".parse().unwrap());
        let start = DateTime::UNIX_EPOCH;
        let mut due = |seconds| {
            pace.due(Some(start + TimeDelta::seconds(seconds)))
                .unwrap()
                .as_millis()
        };
        assert_eq!([due(0), due(6), due(5), due(60)], [0, 100, 100, 1_000]);
        pace.next_file();
        let tomorrow = start + TimeDelta::days(1);
        assert_eq!(pace.due(Some(tomorrow)), Some(Duration::from_secs(1)));
        assert_eq!(pace.due(None), Some(Duration::from_secs(1)));
        assert_eq!(
            pace.due(Some(tomorrow + TimeDelta::minutes(1))),
            Some(Duration::from_secs(2))
        );
    }

    #[test]
    fn a_speed_is_max_or_a_positive_number() {
        assert_eq!("max".parse::<Speed>().unwrap(), Speed::Max);
        assert_eq!("0.5x".parse::<Speed>().unwrap(), Speed::Times(0.5));
        for wrong in ["0", "-1", "NaN", "inf", "fast", ""] {
            assert!(wrong.parse::<Speed>().is_err(), "{wrong}");
        }
    }
}
