//! What the service tells of itself: metrics, and signals of the kind `headwater`.

use lake::tail::TailCounts;
use metrics::{counter, gauge};
use windows::{Counts, PANE};

use crate::api::QueueFigures;
use crate::journal::{State, Status};
use crate::live::{Follow, Reading, Waiting};

/// Figures that are told as differences.
#[derive(Debug, Default)]
pub(super) struct Figures {
    told: Counts,
    tail_told: TailCounts,
    no_room: Since,
    events: Since,
}

/// A count, and what it was at the last reading.
#[derive(Debug, Default)]
struct Since {
    count: u64,
    at_reading: u64,
}

impl Since {
    /// How much was added in each second since the last reading, which was a pane ago.
    fn per_second(&mut self) -> f64 {
        let more = self.count - std::mem::replace(&mut self.at_reading, self.count);
        more as f64 * 1e3 / PANE as f64
    }
}

impl Figures {
    /// The rules have changed, or this process has begun to lead: the windows count from 0 again.
    pub(super) fn begin_again(&mut self) {
        self.told = Counts::default();
        self.tail_told = TailCounts::default();
    }

    /// Updates the metrics.
    pub(super) fn publish(&mut self, follow: &Follow) {
        let (counts, tail, tail_told) = (follow.counts(), follow.tail_counts(), self.tail_told);
        let more = |now: u64, before: u64| now.saturating_sub(before);
        for (name, now, before) in [
            (
                "headwater_alerts_samples_total",
                counts.taken,
                self.told.taken,
            ),
            (
                "headwater_alerts_late_samples_total",
                counts.late,
                self.told.late,
            ),
            (
                "headwater_alerts_too_late_samples_total",
                counts.too_late,
                self.told.too_late,
            ),
            (
                "headwater_alerts_too_far_ahead_samples_total",
                counts.too_far_ahead,
                self.told.too_far_ahead,
            ),
            (
                "headwater_alerts_clock_ahead_samples_total",
                counts.clock_ahead,
                self.told.clock_ahead,
            ),
            (
                "headwater_alerts_left_out_samples_total",
                counts.no_room,
                self.told.no_room,
            ),
            (
                "headwater_alerts_refused_lines_total",
                tail.refused,
                tail_told.refused,
            ),
            (
                "headwater_alerts_too_large_objects_total",
                tail.too_large,
                tail_told.too_large,
            ),
        ] {
            counter!(name).increment(more(now, before));
        }
        self.no_room.count += more(counts.no_room, self.told.no_room);
        self.events.count += more(tail.events, tail_told.events);
        (self.told, self.tail_told) = (counts, tail);
        gauge!("headwater_alerts_lag_seconds").set(follow.lag() as f64 / 1e3);
        gauge!("headwater_alerts_series").set(follow.series() as f64);
    }

    /// The signals of the kind `headwater`; to be asked each 10 s.
    pub(super) fn readings(
        &mut self,
        follow: &Follow,
        (events, dead_letters): (Waiting, Waiting),
        state: &State,
    ) -> Vec<Reading> {
        let count = |status| {
            let notifications = state.notifications.values();
            notifications
                .filter(|notification| notification.status == status)
                .count() as f64
        };
        let mut readings = vec![
            ("lake_lag_seconds", follow.late_by() as f64 / 1e3),
            ("events_per_second", self.events.per_second()),
            ("series", follow.series() as f64),
            (
                "series_left_out_per_minute",
                self.no_room.per_second() * 60.0,
            ),
            ("notifications_open", count(Status::Open)),
            ("notifications_stuck", count(Status::Stuck)),
        ];
        // Where a queue does not answer, its signals are missing, and rules on them have no data.
        if let Some(messages) = events.messages {
            readings.push(("queue_messages", messages as f64));
            readings.extend(queue_age(follow, events).map(|age| ("queue_age_seconds", age)));
        }
        readings.extend(
            dead_letters
                .messages
                .map(|messages| ("dead_letters", messages as f64)),
        );
        readings
    }
}

/// What the API tells of the queues now.
pub(super) fn queue_figures(
    follow: &Follow,
    (events, dead_letters): (Waiting, Waiting),
) -> QueueFigures {
    QueueFigures {
        at: follow.now(),
        queue_messages: events.messages,
        queue_oldest_s: queue_age(follow, events),
        dead_letters: dead_letters.messages,
        lake_lag_s: follow.late_by() as f64 / 1e3,
    }
}

/// For how long the oldest message has waited at most, in seconds: since the queue was empty, or since the newest
/// event that has arrived. None where the queue does not answer.
fn queue_age(follow: &Follow, events: Waiting) -> Option<f64> {
    let messages = events.messages?;
    let since = events.since.max(follow.newest_arrival());
    let age = since.filter(|_| messages > 0);
    Some(age.map_or(0, |since| (follow.now() - since).max(0)) as f64 / 1e3)
}
