//! How many events arrive, and how long they took from ingest's answer until they were seen in the lake.

use std::collections::VecDeque;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMillisecondType;
use engine::snapshot::Arrival;
use tokio::time::Instant;

/// The time that the figures are of.
pub(super) const PERIOD: Duration = Duration::from_secs(60);

/// Less time than this says nothing of a rate.
const LEAST: Duration = Duration::from_secs(5);

/// Events of an object whose delay is kept.
const SAMPLES: usize = 128;

/// Most objects that are remembered.
const MOST_OBJECTS: usize = 2048;

/// The place of the column `ingest_received_at`, as in every part.
const RECEIVED_AT: usize = 3;

/// What has arrived within the last minute.
#[derive(Debug)]
pub(super) struct ArrivalStats {
    since: Instant,
    objects: VecDeque<Seen>,
}

#[derive(Debug)]
struct Seen {
    at: Instant,
    events: usize,
    /// Delays in milliseconds, each of as many events as the object has for each sample.
    delays: Vec<i64>,
}

impl Default for ArrivalStats {
    fn default() -> ArrivalStats {
        ArrivalStats {
            since: Instant::now(),
            objects: VecDeque::new(),
        }
    }
}

impl ArrivalStats {
    pub(super) fn take(&mut self, arrival: &Arrival) {
        let seen = arrival.seen_at.timestamp_millis();
        let events = arrival.len();
        let step = events.div_ceil(SAMPLES).max(1);
        let received = arrival.batches().flat_map(|batch| received(batch));
        let delays = received
            .step_by(step)
            .map(|received| (seen - received).max(0));
        self.objects.push_back(Seen {
            at: Instant::now(),
            events,
            delays: delays.collect(),
        });
        if self.objects.len() > MOST_OBJECTS {
            self.objects.pop_front();
        }
        self.expire();
    }

    /// Events a second; none while too little time has gone by.
    pub(super) fn rate(&mut self) -> Option<f64> {
        self.expire();
        let time = self.since.elapsed().min(PERIOD);
        let events: usize = self.objects.iter().map(|seen| seen.events).sum();
        (time >= LEAST).then(|| events as f64 / time.as_secs_f64())
    }

    /// The delay in seconds that this share of the events did not exceed; none where none came.
    pub(super) fn delay(&mut self, share: f64) -> Option<f64> {
        self.expire();
        let delays = self.objects.iter().flat_map(|seen| {
            let weight = seen.events as f64 / seen.delays.len().max(1) as f64;
            seen.delays.iter().map(move |delay| (*delay, weight))
        });
        let mut delays: Vec<(i64, f64)> = delays.collect();
        delays.sort_unstable_by_key(|(delay, _)| *delay);
        let all: f64 = delays.iter().map(|(_, weight)| weight).sum();
        let mut below = 0.0;
        let found = delays.iter().find(|(_, weight)| {
            below += weight;
            below >= all * share
        });
        found
            .or(delays.last())
            .map(|(delay, _)| *delay as f64 / 1e3)
    }

    fn expire(&mut self) {
        while self
            .objects
            .front()
            .is_some_and(|seen| seen.at.elapsed() > PERIOD)
        {
            self.objects.pop_front();
        }
    }
}

fn received(batch: &RecordBatch) -> impl Iterator<Item = i64> {
    let column = batch.columns().get(RECEIVED_AT);
    let times = column.and_then(|column| column.as_primitive_opt::<TimestampMillisecondType>());
    times.into_iter().flat_map(|times| times.iter().flatten())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray, TimestampMillisecondArray};
    use chrono::DateTime;
    use contract::Hour;
    use engine::snapshot::HourData;
    use tokio::time::advance;

    use super::*;

    /// An object that was seen at 100 s, of events that were received so many seconds earlier.
    fn arrival(delays: &[i64]) -> Arrival {
        let seen_at = DateTime::from_timestamp_millis(100_000).unwrap();
        let text: ArrayRef = Arc::new(StringArray::from_iter_values(delays.iter().map(|_| "")));
        let received = delays.iter().map(|delay| 100_000 - delay * 1000);
        let received: ArrayRef = Arc::new(TimestampMillisecondArray::from_iter_values(received));
        let columns = [
            ("a", text.clone()),
            ("b", text.clone()),
            ("c", text),
            ("d", received),
        ];
        let hour = HourData {
            hour: Hour::of(seen_at),
            parts: Vec::new(),
            hot: vec![Arc::new(RecordBatch::try_from_iter(columns).unwrap())],
        };
        Arrival {
            key: "raw/x".into(),
            seen_at,
            rows: vec![("vehicle".into(), hour)],
        }
    }

    #[tokio::test(start_paused = true)]
    async fn rate_and_delays_are_those_of_the_last_minute() {
        let mut stats = ArrivalStats::default();
        stats.take(&arrival(&[1; 90]));
        stats.take(&arrival(&[5; 10]));
        assert_eq!(stats.rate(), None);
        advance(Duration::from_secs(10)).await;
        assert_eq!(stats.rate(), Some(10.0));
        assert_eq!(
            (stats.delay(0.5), stats.delay(0.95)),
            (Some(1.0), Some(5.0))
        );
        // Each sample of a large object stands for several events.
        stats.take(&arrival(&[3; 10_000]));
        assert_eq!(
            (stats.delay(0.5), stats.delay(0.95)),
            (Some(3.0), Some(3.0))
        );
        advance(Duration::from_secs(55)).await;
        assert_eq!(stats.rate(), Some(10_000.0 / 60.0));
        advance(Duration::from_secs(10)).await;
        assert_eq!((stats.rate(), stats.delay(0.5)), (Some(0.0), None));
    }
}
