//! A lake in memory and its clock.

use aws::{Aws, Condition, Lake};
use chrono::{DateTime, TimeDelta, Utc};
use contract::{Hour, Kinds, raw_key, raw_part_name};
use lake::tail::{Tail, TailProgress, TailSettings};
use local_aws::LocalAws;
use std::sync::Arc;

const BUCKET: &str = "lake";

/// A lake whose clock says 12:30 at the start.
pub(crate) struct Stage {
    pub(crate) cloud: LocalAws,
    pub(crate) aws: Aws,
    pub(crate) lake: Lake,
}

impl Stage {
    pub(crate) async fn new() -> Stage {
        let start: DateTime<Utc> = "2025-10-04T12:30:00Z".parse().unwrap();
        let clock = aws::Clock::starting_at(start);
        let cloud = LocalAws::builder()
            .start_time(start.into())
            .build()
            .unwrap();
        let aws = Aws::emulated_at(cloud.http_client(), cloud.endpoint(), clock);
        aws::setup::create_bucket(&aws, BUCKET).await.unwrap();
        let lake = aws.lake(BUCKET);
        Stage { cloud, aws, lake }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.aws.clock().now()
    }

    pub(crate) fn tail_from(&self, from: DateTime<Utc>, settings: TailSettings) -> Tail {
        let (lake, kinds) = (self.lake.clone(), Arc::new(Kinds::builtin()));
        Tail::new(lake, kinds, self.aws.clock(), settings, from)
    }

    /// A tail from the start of the hour before last.
    pub(crate) fn tail(&self, settings: TailSettings) -> Tail {
        self.tail_from("2025-10-04T11:00:00Z".parse().unwrap(), settings)
    }

    pub(crate) async fn put_at(&self, key: &str, body: String) {
        let put = self.lake.put(
            key,
            body.into(),
            "application/x-ndjson",
            Default::default(),
            Condition::Always,
        );
        put.await.unwrap();
    }

    /// Puts a part that is named `seconds` from now, with events of these ids.
    pub(crate) async fn put(&self, seconds: i64, ids: &[&str]) -> String {
        let arrival = self.now() + TimeDelta::seconds(seconds);
        let hash = ids.iter().flat_map(|id| id.bytes()).map(u128::from);
        let hash = hash.fold(0, |hash, byte| hash * 257 + byte);
        let key = raw_key(Hour::of(arrival), raw_part_name(arrival, hash));
        self.put_at(&key, lines(ids)).await;
        key
    }
}

pub(crate) fn line(id: &str, value: i64) -> String {
    let time = "2025-10-04T12:00:00.000Z";
    format!(
        r#"{{"kind":"vehicle","event_id":"{id}","ingest_received_at":"{time}","timestamp":"{time}","vehicle_id":"veh-1","can_id":"0x1F0","payload":{{"engine_rpm":{value}}}}}"#
    ) + "\n"
}

pub(crate) fn lines(ids: &[&str]) -> String {
    ids.iter().map(|id| line(id, 1)).collect()
}

pub(crate) async fn pass(time: TimeDelta) {
    tokio::time::advance(time.to_std().unwrap()).await;
}

/// One poll: the keys and the ids that it gives.
pub(crate) async fn polled(tail: &mut Tail) -> (Vec<String>, Vec<String>, TailProgress) {
    let (mut keys, mut ids) = (Vec::new(), Vec::new());
    let progress = tail.poll(|object| {
        keys.push(object.info.key.clone());
        for (line, event) in object.events {
            let text = std::str::from_utf8(&object.body[line]).unwrap();
            let id = event.event_id.unwrap().into_owned();
            assert!(text.contains(&id) && text.ends_with('\n'), "{text}");
            ids.push(id);
        }
    });
    let progress = progress.await.unwrap();
    assert_eq!(progress.objects, keys.len());
    (keys, ids, progress)
}

pub(crate) async fn ids(tail: &mut Tail) -> Vec<String> {
    polled(tail).await.1
}
