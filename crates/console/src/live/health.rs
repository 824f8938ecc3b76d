//! Figures of the pipeline: how much comes, how soon it is seen, what waits, and what it costs.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws::Meter;
use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::arrival_stats::{ArrivalStats, PERIOD};
use super::follow::Pace;
use super::hub::Hub;
use super::topic::Topic;

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(2);

/// Less time than this says nothing of a rate.
const LEAST: Duration = Duration::from_secs(2);

const DAY_SECONDS: f64 = 86_400.0;

/// Publishes the figures.
pub(super) async fn follow(hub: &Hub, stats: &Mutex<ArrivalStats>) {
    let mut pace = Pace::new(hub, EVERY);
    let mut usage = Usage::default();
    loop {
        pace.next().await;
        usage.take(&hub.sources.meters);
        if !hub.table().is_asked(&Topic::Health) {
            continue;
        }
        // Where alerts are not here, or another process leads, these are not known.
        let queues = match hub.sources.alerts.is_here() {
            true => hub
                .sources
                .alerts
                .get("/api/v1/figures")
                .await
                .unwrap_or_default(),
            false => Value::Null,
        };
        let figures = figures(hub, stats, &usage, &queues);
        hub.table().publish(&Topic::Health, hub.now(), figures);
    }
}

fn figures(hub: &Hub, stats: &Mutex<ArrivalStats>, usage: &Usage, queues: &Value) -> Value {
    let snapshot = hub.sources.engine.newest.borrow().clone();
    let age = snapshot.fresh_until().map(|fresh_until| {
        let age = (hub.sources.clock.now() - fresh_until).max(TimeDelta::zero());
        age.as_seconds_f64()
    });
    let kinds = snapshot.kinds().iter();
    let rows = kinds.flat_map(|kind| snapshot.hot_rows(&kind.name).map(|batch| batch.num_rows()));
    let hot_rows: usize = rows.sum();
    let (rate, p50, p95) = {
        let mut stats = stats.lock().unwrap_or_else(PoisonError::into_inner);
        (stats.rate(), stats.delay(0.5), stats.delay(0.95))
    };
    let (requests, dollars) = usage.rates();
    json!({
        "events_per_second": rate,
        "accepted_to_lake_p50_s": p50,
        "accepted_to_lake_p95_s": p95,
        "lake_age_s": age,
        "hot_rows": hot_rows,
        "commit": snapshot.commit(),
        "queue_messages": queues["queue_messages"],
        "queue_oldest_s": queues["queue_oldest_s"],
        "dead_letters": queues["dead_letters"],
        "requests_per_second": requests,
        "dollars_per_day": dollars,
    })
}

/// The requests to AWS of the last minute.
#[derive(Debug, Default)]
struct Usage(VecDeque<(Instant, u64, f64)>);

impl Usage {
    fn take(&mut self, meters: &[Meter]) {
        let requests = meters.iter().flat_map(|meter| meter.usage().into_values());
        let requests = requests.map(|usage| usage.requests).sum();
        let dollars = meters.iter().map(Meter::dollars).sum();
        self.0.push_back((Instant::now(), requests, dollars));
        while self.0.front().is_some_and(|(at, ..)| at.elapsed() > PERIOD) {
            self.0.pop_front();
        }
    }

    /// Requests a second, and dollars a day at this rate; none while too little time has gone by.
    fn rates(&self) -> (Option<f64>, Option<f64>) {
        let (Some(first), Some(last)) = (self.0.front(), self.0.back()) else {
            return (None, None);
        };
        let time = last.0 - first.0;
        if time < LEAST {
            return (None, None);
        }
        let a_second = |more: f64| more / time.as_secs_f64();
        let requests = a_second((last.1 - first.1) as f64);
        (
            Some(requests),
            Some(a_second(last.2 - first.2) * DAY_SECONDS),
        )
    }
}
