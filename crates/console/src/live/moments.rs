//! The newest anomalies, as `moments/` has them, while somebody shows them.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use aws::{CallError, Fetched, Lake};
use chrono::{DateTime, TimeDelta, Utc};
use contract::Hour;
use lake::key::MOMENTS;
use serde_json::{Map, Value};

use super::follow::Pace;
use super::hub::Hub;
use super::topic::Topic;

/// Time between two looks, each of which is a listing.
const EVERY: Duration = Duration::from_secs(5);

/// Anomalies that are shown.
const SHOWN: usize = 100;

/// How far back is looked at first.
const LOOK_BACK: TimeDelta = TimeDelta::hours(24);

/// How far before the newest name each look lists: names are made a moment before they land.
const OVERLAP: TimeDelta = TimeDelta::minutes(5);

/// Most objects that one look reads, the newest; older ones are not shown.
const MOST_OBJECTS: usize = 64;

/// Larger objects are left out.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// Publishes the anomalies, or why they cannot be had.
pub(super) async fn follow(hub: &Hub) {
    let mut pace = Pace::new(hub, EVERY);
    let mut moments: Option<Moments> = None;
    loop {
        pace.next().await;
        if !hub.table().is_asked(&Topic::Moments) {
            moments = None;
            continue;
        }
        let now = hub.sources.clock.now();
        let moments = moments.get_or_insert_with(|| Moments::new(now));
        match moments.look(&hub.sources.engine.lake, now).await {
            Ok(()) => hub
                .table()
                .publish(&Topic::Moments, hub.now(), moments.newest()),
            Err(error) => {
                let words = service::errors::chain(&error);
                hub.table()
                    .tell_failure(&Topic::Moments, hub.now(), "lake_unavailable", &words);
            }
        }
    }
}

/// The anomalies that were told last.
#[derive(Debug)]
struct Moments {
    /// Objects from this hour on are listed.
    from: DateTime<Utc>,
    /// Keys that were read.
    read: HashSet<String>,
    /// By id, each as it was told last.
    moments: BTreeMap<String, Map<String, Value>>,
}

impl Moments {
    fn new(now: DateTime<Utc>) -> Moments {
        Moments {
            from: now - LOOK_BACK,
            read: HashSet::new(),
            moments: BTreeMap::new(),
        }
    }

    /// Reads what was told since the last look.
    async fn look(&mut self, lake: &Lake, now: DateTime<Utc>) -> Result<(), CallError> {
        let after = format!("{MOMENTS}{}/", Hour::of(self.from));
        let mut keys = Vec::new();
        let mut start = after.clone();
        loop {
            let (objects, more) = lake.list_some(MOMENTS, Some(&start), 1000).await?;
            let Some(last) = objects.last() else {
                break;
            };
            start.clone_from(&last.key);
            keys.extend(
                objects
                    .into_iter()
                    .map(|object| object.key)
                    .filter(|key| !self.read.contains(key)),
            );
            let old = keys.len().saturating_sub(MOST_OBJECTS);
            keys.drain(..old);
            if !more {
                break;
            }
        }
        for key in keys {
            if let Some(Fetched::Whole(object)) = lake.get_within(&key, MOST_BYTES).await? {
                self.take(&object.body);
            }
            self.read.insert(key);
        }
        self.from = self.from.max(now - OVERLAP);
        // Keys sort by time: what is before the next look cannot come again.
        let after = format!("{MOMENTS}{}/", Hour::of(self.from));
        self.read.retain(|key| *key > after);
        Ok(())
    }

    /// Takes lines of JSON; those that are no anomalies are left out.
    fn take(&mut self, lines: &[u8]) {
        let revision = |moment: &Map<String, Value>| {
            moment
                .get("revision")
                .and_then(Value::as_i64)
                .unwrap_or_default()
        };
        for line in lines.split(|byte| *byte == b'\n') {
            let Ok(moment) = serde_json::from_slice::<Map<String, Value>>(line) else {
                continue;
            };
            let Some(id) = moment.get("moment_id").and_then(Value::as_str) else {
                continue;
            };
            let known = self.moments.get(id);
            if known.is_none_or(|known| revision(known) <= revision(&moment)) {
                self.moments.insert(id.to_owned(), moment);
            }
        }
        if self.moments.len() > 2 * SHOWN {
            let mut all: Vec<_> = std::mem::take(&mut self.moments).into_iter().collect();
            all.sort_by_cached_key(|(_, moment)| std::cmp::Reverse(started_at(moment)));
            all.truncate(SHOWN);
            self.moments = all.into_iter().collect();
        }
    }

    /// The newest anomalies, the one that began last first.
    fn newest(&self) -> Value {
        let mut all: Vec<&Map<String, Value>> = self.moments.values().collect();
        all.sort_by_cached_key(|moment| std::cmp::Reverse(started_at(moment)));
        all.truncate(SHOWN);
        all.into_iter().cloned().map(Value::Object).collect()
    }
}

/// When an anomaly began, as a text that sorts by time.
fn started_at(moment: &Map<String, Value>) -> String {
    moment
        .get("started_at")
        .map(Value::to_string)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use aws::{Aws, Condition};
    use lake::key::told_key;
    use local_aws::LocalAws;
    use serde_json::json;

    use super::*;

    async fn put(lake: &Lake, time: DateTime<Utc>, hash: u128, lines: &[Value]) {
        let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let key = told_key(MOMENTS, time, hash);
        let put = lake.put(
            &key,
            lines.into(),
            "application/x-ndjson",
            Default::default(),
            Condition::Always,
        );
        put.await.unwrap();
    }

    #[tokio::test]
    async fn the_newest_revision_of_each_anomaly_is_shown_and_each_object_read_once() {
        let cloud = LocalAws::in_process();
        let aws = Aws::emulated(cloud.http_client(), cloud.endpoint());
        aws::setup::create_bucket(&aws, "lake").await.unwrap();
        let lake = aws.lake("lake");
        let now: DateTime<Utc> = "2026-11-27T12:30:00Z".parse().unwrap();
        let moment = |id: &str, minute: u32, revision: u32| json!({"moment_id": id, "started_at": format!("2026-11-27T12:{minute:02}:00Z"), "revision": revision});
        put(&lake, now - TimeDelta::hours(30), 1, &[moment("old", 1, 1)]).await;
        put(
            &lake,
            now - TimeDelta::minutes(9),
            2,
            &[moment("a", 20, 1), moment("b", 21, 1)],
        )
        .await;
        put(
            &lake,
            now,
            3,
            &[moment("a", 20, 2), json!(7), json!({"no": "id"})],
        )
        .await;
        let mut moments = Moments::new(now);
        moments.look(&lake, now).await.unwrap();
        assert_eq!(
            moments.newest(),
            json!([moment("b", 21, 1), moment("a", 20, 2)])
        );
        let asked = |aws: &Aws| aws.meter().usage()["s3:GetObject"].requests;
        let before = asked(&aws);
        put(&lake, now, 4, &[moment("c", 22, 1)]).await;
        moments.look(&lake, now).await.unwrap();
        assert_eq!(asked(&aws), before + 1);
        assert_eq!(moments.newest()[0], moment("c", 22, 1));
        for minute in 0..500 {
            moments.take(
                moment(&format!("m{minute:03}"), minute % 60, 1)
                    .to_string()
                    .as_bytes(),
            );
        }
        assert!(moments.moments.len() <= 2 * SHOWN);
        assert_eq!(moments.newest().as_array().unwrap().len(), SHOWN);
    }
}
