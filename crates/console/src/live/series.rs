//! The newest values of series: from each object that arrives, and for a series that is new from what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::array::RecordBatch;
use chrono::TimeDelta;
use contract::Hour;
use engine::kernels::{Ask, EntityFilter, Grouping, Groups, ScanError, Value, Wanted};
use engine::snapshot::{Arrival, HourData};
use engine::{TurnError, Turns};
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::sleep;

use super::arrival_stats::ArrivalStats;
use super::hub::Hub;
use super::table::{Observed, TopicId};
use super::topic::Topic;

/// Values that are published without letting others have a turn at the table.
const AT_ONCE: usize = 512;

/// Objects that are looked at together.
const MOST_ARRIVALS: usize = 32;

/// Series that were asked for within this time are looked up together.
const GATHER: Duration = Duration::from_millis(200);

/// How far back a series is looked up that has no hot row.
const LOOK_BACK: TimeDelta = TimeDelta::hours(2);

/// How far back it is where few entities are missing.
const FAR_BACK: TimeDelta = TimeDelta::hours(24);

/// How many entities are few.
const FEW: usize = 8;

/// Most groups of a look into the parts, by entity and signal.
const MOST_GROUPS: usize = 200_000;

/// Longest time for a look into the parts, its wait for other queries included.
const LOOK_WITHIN: Duration = Duration::from_secs(30);

/// Why a series could not be looked up.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error(transparent)]
    Turn(#[from] TurnError),
    #[error(transparent)]
    Scan(#[from] ScanError),
    #[error(transparent)]
    List(#[from] lake::ReadError),
}

/// Series that were asked for, by kind, signal and entity.
type Missing = BTreeMap<Box<str>, Vec<(TopicId, Arc<Topic>)>>;

/// Publishes values as they arrive.
pub(super) async fn follow(hub: &Hub, stats: &Mutex<ArrivalStats>) {
    let mut arrivals = hub.sources.arrivals.follow();
    loop {
        tokio::select! {
            biased;
            arrived = arrivals.recv() => {
                let mut all = Vec::new();
                match arrived {
                    Ok(arrival) => all.push(arrival),
                    Err(RecvError::Lagged(missed)) => {
                        tracing::warn!(event = "live_behind", missed, "the live stream missed objects: values are looked up");
                        hub.table().forget_values();
                        hub.look();
                    }
                    // The snapshot is kept up to date no longer: the service ends.
                    Err(RecvError::Closed) => return std::future::pending().await,
                }
                while all.len() < MOST_ARRIVALS && let Ok(more) = arrivals.try_recv() {
                    all.push(more);
                }
                {
                    let mut stats = stats.lock().unwrap_or_else(PoisonError::into_inner);
                    all.iter().for_each(|arrival| stats.take(arrival));
                }
                take(hub, &all).await;
            }
            () = hub.unknown.notified() => {
                sleep(GATHER).await;
                look_up(hub).await;
            }
        }
    }
}

/// Publishes the newest values of some objects.
async fn take(hub: &Hub, arrivals: &[Arc<Arrival>]) {
    let wanted = hub.table().signals();
    for (kind, signals) in wanted {
        let rows = arrivals.iter().flat_map(|arrival| &arrival.rows);
        let hours = rows.filter(|(of, _)| **of == *kind);
        let hours: Vec<HourData> = hours.map(|(_, hour)| hour.clone()).collect();
        if hours.is_empty() {
            continue;
        }
        let last = lasts(hub, &hours, &signals, EntityFilter::All, usize::MAX).await;
        match last {
            Ok(groups) => publish(hub, &kind, &signals, &groups, false).await,
            Err(error) => tell(&error.into(), &kind),
        }
    }
}

/// Looks up the series that are new: in the hot rows, and then in parts.
async fn look_up(hub: &Hub) {
    let unknown = hub.table().take_unknown();
    let Some(snapshot) = hub.sources.engine.snapshot() else {
        return;
    };
    let mut missing = Missing::new();
    for (id, topic) in unknown {
        if let Topic::Series(series) = &*topic {
            missing
                .entry(series.kind.clone())
                .or_default()
                .push((id, topic));
        }
    }
    for (kind, series) in missing {
        let hot: Vec<Arc<RecordBatch>> = snapshot.hot_rows(&kind).cloned().collect();
        let signals = signals_of(&series);
        let entities = entities_of(&series);
        if !hot.is_empty() {
            let hours = [HourData {
                hour: Hour::of(hub.sources.clock.now()),
                parts: Vec::new(),
                hot,
            }];
            let filter = filter(&entities);
            match lasts(hub, &hours, &signals, filter, usize::MAX).await {
                Ok(groups) => publish(hub, &kind, &signals, &groups, true).await,
                Err(error) => tell(&error.into(), &kind),
            }
        }
        let series: Vec<_> = {
            let table = hub.table();
            series
                .into_iter()
                .filter(|(id, _)| !table.is_known(*id))
                .collect()
        };
        if series.is_empty()
            || !snapshot
                .kinds()
                .iter()
                .any(|declared| *declared.name == *kind)
        {
            continue;
        }
        let entities = entities_of(&series);
        let back = if entities.len() <= FEW {
            entities
                .iter()
                .map(|entity| (EntityFilter::One(entity.clone()), FAR_BACK))
                .collect()
        } else {
            vec![(EntityFilter::All, LOOK_BACK)]
        };
        let signals = signals_of(&series);
        for (filter, back) in back {
            if let Err(error) = look_back(hub, &kind, &signals, filter, back).await {
                tell(&error, &kind);
            }
        }
    }
}

/// Looks into the hours before the newest one that the kind has.
async fn look_back(
    hub: &Hub,
    kind: &str,
    signals: &[String],
    filter: EntityFilter,
    back: TimeDelta,
) -> Result<(), LookError> {
    let engine = &hub.sources.engine;
    let turns: &Turns = &engine.turns;
    let looked = turns.run(LOOK_WITHIN, async {
        let Some(snapshot) = engine.snapshot() else {
            return Ok::<_, LookError>(None);
        };
        let Some((_, last)) = snapshot.span(kind).await? else {
            return Ok(None);
        };
        let until = last.next().start();
        let hours = snapshot.hours(kind, until - back, until).await?;
        Ok(Some(
            lasts(hub, &hours, signals, filter, MOST_GROUPS).await?,
        ))
    });
    if let Some(groups) = looked.await? {
        publish(hub, kind, signals, &groups, true).await;
    }
    Ok(())
}

async fn lasts(
    hub: &Hub,
    hours: &[HourData],
    signals: &[String],
    entities: EntityFilter,
    most: usize,
) -> Result<Groups, ScanError> {
    let ask = Arc::new(Ask {
        signals: signals.to_vec(),
        times: i64::MIN..i64::MAX,
        entities,
    });
    let by_entity = Grouping {
        step: None,
        by_entity: true,
    };
    let wanted = Wanted {
        ends: true,
        ..Wanted::default()
    };
    let scanner = &hub.sources.engine.scanner;
    scanner.groups(hours, &ask, by_entity, wanted, most).await
}

/// Publishes the last values of these groups, where somebody asks for them.
async fn publish(hub: &Hub, kind: &str, signals: &[String], groups: &Groups, is_look_up: bool) {
    let at = hub.now();
    let mut groups = groups.iter().peekable();
    while groups.peek().is_some() {
        {
            let mut table = hub.table();
            for (group, _, stats) in groups.by_ref().take(AT_ONCE) {
                let Some(entity) = group.entity else {
                    continue;
                };
                for (signal, stat) in signals.iter().zip(stats) {
                    let Some((time, value)) = stat.last() else {
                        continue;
                    };
                    let Some(id) = table.series(kind, signal, entity) else {
                        continue;
                    };
                    let observed = Observed {
                        time: *time,
                        value: match value {
                            Value::Number(number) => json!(number),
                            Value::Text(text) => json!(&**text),
                        },
                    };
                    if is_look_up {
                        table.look_up(id, at, &observed);
                    } else {
                        table.observe(id, at, &observed);
                    }
                }
            }
        }
        tokio::task::yield_now().await;
    }
}

fn signals_of(series: &[(TopicId, Arc<Topic>)]) -> Vec<String> {
    let signals = series.iter().filter_map(|(_, topic)| match &**topic {
        Topic::Series(series) => Some(&*series.signal),
        _ => None,
    });
    let signals: BTreeSet<&str> = signals.collect();
    signals.into_iter().map(str::to_owned).collect()
}

fn entities_of(series: &[(TopicId, Arc<Topic>)]) -> BTreeSet<String> {
    let entities = series.iter().filter_map(|(_, topic)| match &**topic {
        Topic::Series(series) => Some(series.entity.to_string()),
        _ => None,
    });
    entities.collect()
}

fn filter(entities: &BTreeSet<String>) -> EntityFilter {
    match entities.first() {
        Some(one) if entities.len() == 1 => EntityFilter::One(one.clone()),
        _ => EntityFilter::All,
    }
}

fn tell(error: &LookError, kind: &str) {
    let reason = service::errors::chain(error);
    tracing::warn!(event = "live_look_failed", kind, %reason, "some values are not shown before the next event");
}
